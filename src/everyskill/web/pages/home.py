"""The home page: What's New, and marking all of it as seen."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect
from msgspec import Struct

from everyskill.model import ChangeItem, WhatsNewItem, describe
from everyskill.web.auth.authentication import CurrentIdentity, CurrentTenant
from everyskill.web.moments import read_moment
from everyskill.web.pages.context import PageContext, require_csrf_token
from everyskill.web.pages.rendering import render

_PAGE_SIZE = 20


class MarkAllSeenForm(Struct, frozen=True):
    """The `as_of` of the list that the page showed."""

    as_of: str


class Entry(Struct, frozen=True):
    """One entry of the feed: who changed what and why, and what it newly asks for."""

    item: WhatsNewItem
    versions: str
    sentence: str
    capabilities: ChangeItem | None

    @classmethod
    def of(cls, item: WhatsNewItem) -> "Entry":
        """The entry of an item."""
        versions = [change.detail for change in item.changes if change.type == "version_bump" and change.detail]
        capabilities = next((change for change in item.changes if change.severity), None)
        sentence = describe(change for change in item.changes if change is not capabilities)
        return cls(item, "".join(versions), sentence, capabilities)


@get("/")
async def show_home(
    tenant: CurrentTenant, page_context: PageContext, cursor: FromQuery[str | None] = None
) -> Response[str]:
    """What's New. Records nothing."""
    page = await tenant.get_whats_new_page(page_context.user_id, _PAGE_SIZE, cursor)
    entries = [Entry.of(item) for item in page.items]
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


handlers = [show_home, mark_all_seen]
