"""The home page: What's New, and marking all of it as seen."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect
from msgspec import Struct

from everyskill.model import ChangeItem, WhatsNewItem
from everyskill.web.auth.authentication import Asker, House
from everyskill.web.moments import read_moment
from everyskill.web.pages.readers import Reading, require_form
from everyskill.web.pages.rendering import render

_LENGTH = 20


class SeenForm(Struct, frozen=True):
    """The moment of the list that was seen."""

    as_of: str


class Entry(Struct, frozen=True):
    """One entry of the feed, and in a few words what changed."""

    item: WhatsNewItem
    summary: str


@get("/")
async def show_home(tenant: House, reader: Reading, cursor: FromQuery[str | None] = None) -> Response[str]:
    """What's New. Records nothing."""
    page = await tenant.get_whats_new_page(reader.user_id, _LENGTH, cursor)
    changes = await tenant.get_changes_for_skills(reader.user_id, [item.skill_id for item in page.items])
    entries = [Entry(item, _summary(changes.get(item.skill_id, []))) for item in page.items]
    return render(
        "home.html", reader=reader, entries=entries, cursor=cursor, as_of=page.as_of, next_cursor=page.next_cursor
    )


@post("/whats-new/seen", guards=[require_form])
async def mark_all_seen(tenant: House, identity: Asker, data: URLEncodedBody[SeenForm]) -> Response[Any]:
    """Take the badge from all that stood on the list, and from nothing that came later."""
    await tenant.mark_all_seen(identity.user_id, read_moment("as_of", data.as_of))
    return Redirect("/", status_code=303)


def _summary(changes: list[ChangeItem]) -> str:
    # "v2 → v4" says it shorter than its label does.
    words = (item.detail if item.type == "version_bump" and item.detail else item.label for item in changes)
    return " · ".join(words)


handlers = [show_home, mark_all_seen]
