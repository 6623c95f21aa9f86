"""What's New: the first items, paging, counting, and marking all as seen."""

from datetime import datetime

from msgspec.structs import replace

from everyskill.database import feed
from everyskill.database.feed import mark_seen, walk
from everyskill.errors import UserNotFound
from everyskill.model.inputs import MAX_LIMIT, check_id, check_limit, check_moment
from everyskill.model.whats_new import DEFAULT_LIMIT, FeedCursor, WhatsNewItem, WhatsNewPage
from everyskill.services.tenant_scope import TenantScope
from everyskill.services.visits import get_changes_for_skills


async def get_whats_new_for_user(tenant: TenantScope, user_id: str, limit: int = DEFAULT_LIMIT) -> list[WhatsNewItem]:
    """The skills updated for the user in the last 30 days, newest first (S7). `limit` is 1 to 100.

    Concurrent calls share a query. Raises InvalidLimit, InvalidIdentifier, Overloaded. To page on, use
    get_whats_new_page.
    """
    user_id = check_id("user_id", user_id)
    limit = check_limit(limit)
    items = await tenant._batched.find_first_page(tenant.tenant_id, user_id, limit)
    if items is not None:
        return items
    return await feed.walk_first_page(tenant._transactions, user_id, limit=limit, limits=tenant._feed_limits)


async def get_whats_new_page(
    tenant: TenantScope, user_id: str, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> WhatsNewPage:
    """A page of the feed (S7), and the moment to hand to mark_all_seen.

    Pages follow each other by keyset: no item comes twice or is skipped while skills change. One that changes meanwhile
    moves to the front, before the cursor; as all pages have the `as_of` of the first, marking them keeps its badge.
    Each item has its change summary, read after the page.
    Raises InvalidLimit, InvalidCursor, InvalidIdentifier.
    """
    user_id = check_id("user_id", user_id)
    limit = check_limit(limit)
    after = None if cursor is None else FeedCursor.decode(cursor)
    if after is None:
        as_of, items = await feed.read_first_page(
            tenant._transactions, user_id, limit=limit + 1, limits=tenant._feed_limits
        )
    else:
        as_of = after.as_of
        async with tenant._transactions.read() as connection:
            items = await walk.find_page_after(connection, user_id, after, limit=limit + 1)
    shown = await _with_changes(tenant, user_id, items[:limit])
    if len(items) <= limit:
        return WhatsNewPage(shown, None, as_of)
    last = shown[-1]
    return WhatsNewPage(shown, FeedCursor(as_of, last.updated_at, last.skill_id).encode(), as_of)


async def _with_changes(tenant: TenantScope, user_id: str, items: list[WhatsNewItem]) -> list[WhatsNewItem]:
    changes = await get_changes_for_skills(tenant, user_id, [item.skill_id for item in items])
    # A skill that was hidden between the two reads has none.
    return [replace(item, changes=changes.get(item.skill_id, [])) for item in items]


async def count_whats_new(tenant: TenantScope, user_id: str, at_most: int | None = None) -> int:
    """How many items the user's whole feed has, counted no further than `at_most`, 1 to 100, where that is given.

    A count beside a bell needs no more than a few, which cost as little as reading them; counting a feed of thousands
    looks each of them up. Raises InvalidLimit, InvalidIdentifier, Overloaded.
    """
    user_id = check_id("user_id", user_id)
    most = MAX_LIMIT if at_most is None else check_limit(at_most)
    counted = len(await get_whats_new_for_user(tenant, user_id, most))
    if at_most is not None or counted < most:
        return counted
    async with tenant._transactions.read() as connection:
        return await walk.count_items(connection, user_id)


async def mark_all_seen(tenant: TenantScope, user_id: str, as_of: datetime) -> int:
    """Takes the badge from all that was updated up to `as_of`, the moment of the list the user saw (S8).

    What became visible later keeps its badge. Counts no views. Returns how many skills lost their badge.

    Raises UserNotFound, InvalidTimestamp, InvalidIdentifier.
    """
    user_id = check_id("user_id", user_id)
    moment = check_moment("as_of", as_of)
    marked, has_user = await tenant._transactions.run(
        lambda connection: mark_seen.mark_all_seen(connection, user_id, moment)
    )
    if not has_user:
        raise UserNotFound(user_id)
    return marked
