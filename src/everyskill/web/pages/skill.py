"""A skill's page: what changed, what it says, how it became so, and what people think of it."""

import asyncio
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, QueryParameter, URLEncodedBody
from litestar.response import Redirect
from msgspec import Struct

from everyskill.errors import InvalidVersion
from everyskill.handles import Tenant
from everyskill.model.inputs import check_version
from everyskill.model.views import AnyView, ViewBeforeVisit
from everyskill.web.auth.authentication import Asker, House
from everyskill.web.moments import read_moment
from everyskill.web.pages.markdown import to_html
from everyskill.web.pages.readers import Reading, require_form
from everyskill.web.pages.rendering import iso, render

From = Annotated[int, QueryParameter(name="from")]
_MOST_DIGITS = 10

To = Annotated[int, QueryParameter(name="to")]


class LookForm(Struct, frozen=True, kw_only=True):
    """The look that the page told its changes against, and the page's moment, so that the next page can do so too."""

    since: str = ""
    since_version: str = ""
    viewed_at: str = ""


class SeenForm(LookForm, frozen=True, kw_only=True):
    """What the page showed."""

    version: int | None = None


class FeedbackForm(LookForm, frozen=True, kw_only=True):
    """What somebody says about the skill."""

    comment: str
    sentiment: str = ""


@get("/skills/{slug:str}")
async def show_skill(
    tenant: House,
    reader: Reading,
    slug: FromPath[str],
    *,
    since: FromQuery[str] = "",
    since_version: FromQuery[str] = "",
    visited: FromQuery[str] = "",
) -> Response[str]:
    """The skill, with what changed since the reader's last look or since the one before this visit. Records nothing."""
    look = _look_before(since, since_version, visited)
    reading = await tenant.get_skill_page(reader.user_id, slug, since=look)
    content = "" if reading.published is None else reading.published.content
    text = await asyncio.to_thread(to_html, content)
    told_against = "" if reading.since is None else _query(reading.since, reading.as_of)
    return render("skill.html", reader=reader, reading=reading, text=text, look=told_against)


@post("/skills/{slug:str}/seen", guards=[require_form])
async def mark_seen(
    tenant: House,
    identity: Asker,
    slug: FromPath[str],
    data: URLEncodedBody[SeenForm],
) -> Response[Any]:
    """Record the view by hand, where no script does."""
    viewed_at, back = read_moment("viewed_at", data.viewed_at), _back(slug, data)
    await tenant.record_skill_view(identity.user_id, await _id_of(tenant, slug), data.version, viewed_at)
    return back


@post("/skills/{slug:str}/feedback", guards=[require_form])
async def add_feedback(
    tenant: House,
    identity: Asker,
    slug: FromPath[str],
    data: URLEncodedBody[FeedbackForm],
) -> Response[Any]:
    """Say something about the skill."""
    skill_id, back = await _id_of(tenant, slug), _back(slug, data)
    await tenant.add_feedback(
        skill_id, user_id=identity.user_id, comment=data.comment, sentiment=data.sentiment or None
    )
    return back


@get("/skills/{slug:str}/diff")
async def show_diff(tenant: House, reader: Reading, slug: FromPath[str], old: From, new: To) -> Response[str]:
    """How one version differs from another. Records nothing."""
    files = await tenant.compare_versions(slug, old, new)
    skill = (await tenant.get_skill(slug)).skill
    return render("diff.html", reader=reader, skill=skill, old=old, new=new, files=files)


async def _id_of(tenant: Tenant, slug: str) -> str:
    return (await tenant.get_skill(slug)).skill.id


def _back(slug: str, form: LookForm) -> Redirect:
    look = _look_before(form.since, form.since_version, form.viewed_at)
    query = "" if look is None else f"?{_query(look, look.visited_at)}"
    return Redirect(f"/skills/{quote(slug, safe='')}{query}", status_code=303)


def _look_before(since: str, version: str, visited: str) -> ViewBeforeVisit | None:
    """The look that an address or a form names. Raises InvalidTimestamp or InvalidVersion."""
    if not since or not visited:
        return None
    if len(version) > _MOST_DIGITS or not version.isascii() or not (version.isdecimal() or not version):
        raise InvalidVersion(version)
    number = check_version(int(version)) if version else None
    return ViewBeforeVisit(read_moment("since", since), number, read_moment("visited", visited))


def _query(look: AnyView, visited_at: datetime) -> str:
    version = {} if look.last_viewed_version is None else {"since_version": look.last_viewed_version}
    return urlencode({"since": iso(look.last_viewed_at), **version, "visited": iso(visited_at)})


handlers = [show_skill, mark_seen, add_feedback, show_diff]
