"""A skill's page: what changed, what it says, how it became so, and what people think of it."""

import asyncio
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, QueryParameter, URLEncodedBody
from litestar.response import Redirect
from msgspec import Struct

from everyskill.handles import Tenant
from everyskill.model import LastLook
from everyskill.web.api.moments import read_moment
from everyskill.web.authentication import Asker, House
from everyskill.web.pages.markdown import to_html
from everyskill.web.pages.readers import Reading, require_form
from everyskill.web.pages.rendering import iso, render

From = Annotated[int, QueryParameter(name="from")]
To = Annotated[int, QueryParameter(name="to")]


class LookForm(Struct, frozen=True, kw_only=True):
    """The look that the page told its changes against, so that the next page can do so too."""

    since: str = ""
    since_version: str = ""


class SeenForm(LookForm, frozen=True, kw_only=True):
    """What the page showed."""

    viewed_at: str
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
    since: FromQuery[str | None] = None,
    since_version: FromQuery[int | None] = None,
) -> Response[str]:
    """The skill, with what changed since the reader's last look or since the one that is named. Records nothing."""
    look = LastLook(read_moment("since", since), since_version) if since else None
    reading = await tenant.read_skill_for_user(reader.user_id, slug, since=look)
    content = "" if reading.published is None else reading.published.content
    text = await asyncio.to_thread(to_html, content)
    told_against = "" if reading.since is None else _query(reading.since)
    return render("skill.html", reader=reader, reading=reading, text=text, look=told_against)


@post("/skills/{slug:str}/seen", guards=[require_form])
async def mark_seen(
    tenant: House,
    identity: Asker,
    slug: FromPath[str],
    data: URLEncodedBody[SeenForm],
) -> Response[Any]:
    """Record the view by hand, where no script does."""
    viewed_at = read_moment("viewed_at", data.viewed_at)
    await tenant.record_skill_view(identity.user_id, await _id_of(tenant, slug), data.version, viewed_at)
    return _back(slug, data)


@post("/skills/{slug:str}/feedback", guards=[require_form])
async def add_feedback(
    tenant: House,
    identity: Asker,
    slug: FromPath[str],
    data: URLEncodedBody[FeedbackForm],
) -> Response[Any]:
    """Say something about the skill."""
    skill_id = await _id_of(tenant, slug)
    await tenant.add_feedback(
        skill_id, user_id=identity.user_id, comment=data.comment, sentiment=data.sentiment or None
    )
    return _back(slug, data)


@get("/skills/{slug:str}/diff")
async def show_diff(tenant: House, reader: Reading, slug: FromPath[str], old: From, new: To) -> Response[str]:
    """How one version differs from another. Records nothing."""
    files = await tenant.compare_versions(slug, old, new)
    skill = (await tenant.read_skill(slug)).skill
    return render("diff.html", reader=reader, skill=skill, old=old, new=new, files=files)


async def _id_of(tenant: Tenant, slug: str) -> str:
    return (await tenant.read_skill(slug)).skill.id


def _back(slug: str, form: LookForm) -> Redirect:
    if not form.since:
        return Redirect(f"/skills/{quote(slug, safe='')}", status_code=303)
    version = int(form.since_version) if form.since_version.isdecimal() else None
    look = LastLook(read_moment("since", form.since), version)
    return Redirect(f"/skills/{quote(slug, safe='')}?{_query(look)}", status_code=303)


def _query(look: LastLook) -> str:
    version = {} if look.last_viewed_version is None else {"since_version": look.last_viewed_version}
    return urlencode({"since": iso(look.last_viewed_at), **version})


handlers = [show_skill, mark_seen, add_feedback, show_diff]
