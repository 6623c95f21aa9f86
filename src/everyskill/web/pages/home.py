"""The home page: What's New, and marking all of it as seen."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect
from msgspec import Struct

from everyskill.model import ChangeItem, WhatsNewItem
from everyskill.web.auth.authentication import CurrentIdentity, CurrentTenant
from everyskill.web.moments import read_moment
from everyskill.web.pages.context import PageContext, require_csrf_token
from everyskill.web.pages.rendering import render

_PAGE_SIZE = 20


class MarkAllSeenForm(Struct, frozen=True):
    """The `as_of` of the list that the page showed."""

    as_of: str


class Entry(Struct, frozen=True):
    """One entry of the feed, and in a few words what changed."""

    item: WhatsNewItem
    summary: str


@get("/")
async def show_home(
    tenant: CurrentTenant, page_context: PageContext, cursor: FromQuery[str | None] = None
) -> Response[str]:
    """What's New. Records nothing."""
    page = await tenant.get_whats_new_page(page_context.user_id, _PAGE_SIZE, cursor)
    changes = await tenant.get_changes_for_skills(page_context.user_id, [item.skill_id for item in page.items])
    entries = [Entry(item, _summarize(changes.get(item.skill_id, []))) for item in page.items]
    return await tenant.run_in_worker(
        lambda: render(
            "home.html",
            page_context=page_context,
            entries=entries,
            cursor=cursor,
            as_of=page.as_of,
            next_cursor=page.next_cursor,
        )
    )


@post("/whats-new/seen", guards=[require_csrf_token])
async def mark_all_seen(
    tenant: CurrentTenant, identity: CurrentIdentity, data: URLEncodedBody[MarkAllSeenForm]
) -> Response[Any]:
    """Clears the badges of the list that the page showed, and of nothing that changed later."""
    await tenant.mark_all_seen(identity.user_id, read_moment("as_of", data.as_of))
    return Redirect("/", status_code=303)


def _summarize(changes: list[ChangeItem]) -> str:
    # The detail of a version bump, "v2 → v4", is shorter than its label and says more.
    words = (item.detail if item.type == "version_bump" and item.detail else item.label for item in changes)
    return " · ".join(words)


handlers = [show_home, mark_all_seen]
