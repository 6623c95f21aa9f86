"""What's New, step by step.

1. `first_page.find_first_pages` answers nearly every call: where a user has few views, or where little changed since
   the user's checkpoint, those few skills are looked up. Concurrent calls share its statement.
2. Where it answers None, `walk.walk_feed` reads the updates of the last 30 days, newest first, up to the limit.
3. What that walk read completely is saved as the user's checkpoint, so that later feeds end at step 1. The very first
   walk of a user only makes the row to save in.

Behind the first page `walk.find_page_after` goes on from a cursor. `mark_seen.mark_all_seen` empties the feed.
"""

from contextlib import suppress
from datetime import datetime

import asyncpg

from everyskill.database.catalog.visible_at import read_list_moment
from everyskill.database.feed import checkpoint
from everyskill.database.feed.first_page import FeedLookup, find_first_pages
from everyskill.database.feed.limits import FeedLimits
from everyskill.database.feed.walk import walk_feed
from everyskill.database.transactions import TenantTransactions
from everyskill.errors import EverySkillError
from everyskill.model.whats_new import WhatsNewItem


async def read_first_page(
    transactions: TenantTransactions, user_id: str, *, limit: int, limits: FeedLimits
) -> tuple[datetime, list[WhatsNewItem]]:
    """The moment of a list, and the first items of the feed: steps 1 to 3 for one caller."""
    async with transactions.read() as connection:
        # Before the items: one that becomes visible between the two keeps its badge, shown or not.
        as_of = await read_list_moment(connection)
        [items] = await find_first_pages(connection, [FeedLookup(user_id, limit)], max_lookups=limits.max_lookups)
        proven = None
        if items is None:
            items, proven = await walk_feed(connection, user_id, limit=limit, max_pending=limits.max_pending)
    await _save(transactions, user_id, proven)
    return as_of, items


async def walk_first_page(
    transactions: TenantTransactions, user_id: str, *, limit: int, limits: FeedLimits
) -> list[WhatsNewItem]:
    """The first items of a feed for which step 1 gave None: steps 2 and 3."""
    async with transactions.read() as connection:
        items, proven = await walk_feed(connection, user_id, limit=limit, max_pending=limits.max_pending)
    await _save(transactions, user_id, proven)
    return items


async def _save(transactions: TenantTransactions, user_id: str, proven: checkpoint.Checkpoint | None) -> None:
    """Saves the checkpoint for the next time, unless that meets a lock; never fails, as the feed can do without."""
    if proven is None:
        return
    with suppress(EverySkillError, asyncpg.PostgresError):
        async with transactions.write_at_once() as connection:
            await checkpoint.save(connection, user_id, proven)
