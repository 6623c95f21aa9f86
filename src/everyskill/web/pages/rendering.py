"""Renders the templates, and sends every page with headers that forbid foreign content and shared caching."""

from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Response

from everyskill.model import inputs
from everyskill.web.headers import NO_SNIFF, PRIVATE
from everyskill.web.pages.assets import asset_url
from everyskill.web.pages.context import BaseContext
from everyskill.wording import ago, count

_POLICY = {
    "default-src": "'none'",
    "style-src": "'self'",
    "script-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
_HEADERS = {
    "Content-Security-Policy": "; ".join(f"{directive} {source}" for directive, source in _POLICY.items()),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    **PRIVATE,
    **NO_SNIFF,
}
_KIB = 1024
# Of the files and the versions of a skill; a page says how many more there are.
_MAX_LISTED = 200


def render(
    template: str, *, page_context: BaseContext | None, status_code: int = 200, **variables: Any
) -> Response[str]:
    """A page; `page_context` is None where nobody is signed in. The template escapes every variable but Markup."""
    text = _TEMPLATES.get_template(template).render(page_context=page_context, **variables)
    return Response(text, status_code=status_code, media_type=MediaType.HTML, headers=dict(_HEADERS))


def iso(moment: datetime) -> str:
    """A moment in UTC as RFC 3339, to the microsecond."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _exact(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _times(number: int) -> str:
    return "once" if number == 1 else count(number, "time")


def _size(number: int) -> str:
    return count(number, "byte") if number < _KIB else f"{number / _KIB:,.1f} KiB"


_TEMPLATES = Environment(
    loader=PackageLoader("everyskill.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(ago=ago, exact=_exact, counted=count, iso=iso, times=_times, size=_size)
_TEMPLATES.globals.update(asset_url=asset_url, limits=inputs, max_listed=_MAX_LISTED, active_page=None, is_error=False)
