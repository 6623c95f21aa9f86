"""What's New: the first items, paging, counting, and marking all as seen."""

from contextlib import suppress
from datetime import datetime

import asyncpg

from everyskill.database import feed_checkpoints, short_feeds, visibility, whats_new
from everyskill.database.feed_checkpoints import Checkpoint
from everyskill.database.scope import HASTY_PLANS, WALKING_PLANS, TenantScope
from everyskill.database.short_feeds import FeedLookup
from everyskill.errors import EverySkillError, UserNotFound
from everyskill.model.inputs import MAX_LIMIT, check_id, check_limit, check_moment
from everyskill.model.whats_new import DEFAULT_LIMIT, FeedCursor, WhatsNewItem, WhatsNewPage


async def get_whats_new_page(
    tenant: TenantScope, user_id: str, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> WhatsNewPage:
    """A page of the feed (S7), and the moment to hand to mark_all_seen.

    Pages follow each other by keyset: no item comes twice or is skipped while skills change. One that changes meanwhile
    moves to the front, behind the reader; as all pages have the `as_of` of the first, marking them keeps its badge.
    Raises InvalidLimit, InvalidCursor, InvalidIdentifier.
    """
    check_id("user_id", user_id)
    check_limit(limit)
    after = None if cursor is None else FeedCursor.decode(cursor)
    if after is None:
        as_of, items = await _read_first_page(tenant, user_id, limit + 1)
    else:
        as_of = after.as_of
        async with tenant.reading() as connection:
            items = await whats_new.find_page_after(connection, user_id, after, limit=limit + 1)
    if len(items) <= limit:
        return WhatsNewPage(items, None, as_of)
    last = items[limit - 1]
    return WhatsNewPage(items[:limit], FeedCursor(as_of, last.updated_at, last.skill_id).encode(), as_of)


async def get_feed(tenant: TenantScope, user_id: str, *, limit: int) -> list[WhatsNewItem]:
    """The first items of the user's feed (S7). Concurrent calls share a query. Raises Overloaded."""
    items = await tenant.folded.find_feed(tenant.tenant_id, user_id, limit)
    if items is not None:
        return items
    async with tenant.reading() as connection:
        items, found = await whats_new.walk_feed(connection, user_id, limit=limit)
    await _remember(tenant, user_id, found)
    return items


async def count_whats_new(tenant: TenantScope, user_id: str, at_most: int | None = None) -> int:
    """How many items the user's whole feed has, counted no further than `at_most`, 1 to 100, where that is given.

    A number beside a bell needs no more than a few, which costs as little as reading them; to count a feed of thousands
    looks each of them up. Raises InvalidLimit, InvalidIdentifier, Overloaded.
    """
    check_id("user_id", user_id)
    most = MAX_LIMIT if at_most is None else check_limit(at_most)
    counted = len(await get_feed(tenant, user_id, limit=most))
    if at_most is not None or counted < most:
        return counted
    async with tenant.reading() as connection:
        return await whats_new.count_whats_new(connection, user_id)


async def mark_all_seen(tenant: TenantScope, user_id: str, as_of: datetime) -> int:
    """Takes the badge from all that was updated up to `as_of`, the moment of the list the user saw (S8).

    What became visible later keeps its badge. Counts no views. Returns how many rows moved. Raises UserNotFound,
    InvalidTimestamp, InvalidIdentifier.
    """
    check_id("user_id", user_id)
    moment = check_moment("as_of", as_of)
    async with tenant.writing(plans=WALKING_PLANS) as connection:
        moved, has_user = await whats_new.mark_all_seen(connection, user_id, moment)
    if not has_user:
        raise UserNotFound(user_id)
    return moved


async def _read_first_page(tenant: TenantScope, user_id: str, limit: int) -> tuple[datetime, list[WhatsNewItem]]:
    """The moment of a list, and the list."""
    found = None
    async with tenant.reading() as connection:
        as_of = await visibility.find_moment_of_list(connection)
        [items] = await short_feeds.find_feeds(connection, [FeedLookup(0, user_id, limit)])
        if items is None:
            items, found = await whats_new.walk_feed(connection, user_id, limit=limit)
    await _remember(tenant, user_id, found)
    return as_of, items


async def _remember(tenant: TenantScope, user_id: str, found: Checkpoint | None) -> None:
    """Keeps what reading a feed found out, for the next time; never fails, as the feed can do without."""
    if found is None:
        return
    with suppress(EverySkillError, asyncpg.PostgresError):
        async with tenant.writing(plans=HASTY_PLANS) as connection:
            await feed_checkpoints.remember(connection, user_id, found)
