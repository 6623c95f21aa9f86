"""Renders the templates, and gives every page the headers that keep foreign content out and the page private."""

from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Response

from everyskill.web.api.answers import PRIVATE
from everyskill.web.pages.assets import asset
from everyskill.web.pages.readers import Reader
from everyskill.wording import ago, count

_SOURCES = {
    "default-src": "'none'",
    "style-src": "'self'",
    "script-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{what} {whence}" for what, whence in _SOURCES.items()),
    "Cache-Control": PRIVATE,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Vary": "Authorization, Cookie",
    "X-Content-Type-Options": "nosniff",
}
_KIB = 1024


def render(template: str, *, reader: Reader | None, status_code: int = 200, **facts: Any) -> Response[str]:
    """A page. Whatever stands in `facts` is text to the template, never markup."""
    text = _TEMPLATES.get_template(template).render(reader=reader, **facts)
    return Response(text, status_code=status_code, media_type=MediaType.HTML, headers=dict(HEADERS))


def iso(moment: datetime) -> str:
    """A moment for programs, in UTC to the microsecond."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _exact(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _times(number: int) -> str:
    return "once" if number == 1 else count(number, "time")


def _size(number: int) -> str:
    return count(number, "byte") if number < _KIB else f"{number / _KIB:,.1f} KiB"


def _make_templates() -> Environment:
    made = Environment(
        loader=PackageLoader("everyskill.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(ago=ago, exact=_exact, iso=iso, times=_times, size=_size)
    made.globals.update(asset=asset, here=None)
    return made


_TEMPLATES = _make_templates()
