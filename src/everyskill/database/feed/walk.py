"""Walks the recent updates, newest first: the feed where too many skills are in question to look each of them up."""

from datetime import UTC, datetime

from everyskill.database.feed.checkpoint import Checkpoint, read_start
from everyskill.database.rules import IN_WINDOW, IS_PUBLISHED, IS_UPDATED
from everyskill.database.statements import Statement, row_reader
from everyskill.database.transactions import TenantConnection
from everyskill.model.whats_new import FeedCursor, WhatsNewItem

# The published updates of the window by skills_recent_updates_idx, in the order of the feed, and to each the view of
# the user by user_skill_views_tenant_user_skill_unique; OFFSET 0 keeps the planner from starting with the views.
_UPDATES_AND_VIEWS = f"""
      FROM skills AS s
      JOIN LATERAL (
          SELECT v.last_viewed_at, v.last_viewed_version, v.view_count
            FROM user_skill_views AS v
           WHERE v.tenant_id = :tenant_id AND v.user_id = :user_id AND v.skill_id = s.id
          OFFSET 0
      ) AS v ON true
     WHERE s.tenant_id = :tenant_id AND {IS_PUBLISHED} AND {IN_WINDOW} AND {IS_UPDATED}
"""

# The items behind a cursor: older than it, or as old and with a greater id. The first condition says so together with
# the second, and lets the index scan start at the cursor.
FIND_ITEMS_AFTER = Statement(f"""
    SELECT s.id AS skill_id, s.name AS skill_name, s.slug AS skill_slug, s.category, s.updated_at,
           v.last_viewed_at, v.view_count
    {_UPDATES_AND_VIEWS}
       AND s.updated_at <= :after_updated_at
       AND (s.updated_at < :after_updated_at OR s.id > :after_skill_id)
     ORDER BY s.updated_at DESC, s.id
     LIMIT :limit
""")

# The length of the whole feed, along the same two indexes. In order, as another index on the tenant may look as good.
COUNT_ITEMS = Statement(f"SELECT count(*) FROM (SELECT {_UPDATES_AND_VIEWS} ORDER BY s.updated_at DESC, s.id) AS items")

# Before the first item: later than any update.
_BEGINNING = datetime.max.replace(tzinfo=UTC)

_read_item = row_reader(WhatsNewItem)


async def walk_feed(
    connection: TenantConnection, user_id: str, *, limit: int, max_pending: int
) -> tuple[list[WhatsNewItem], Checkpoint | None]:
    """The user's updated skills of the last 30 days, newest first (S7), and the checkpoint that this proves, if any."""
    # Before the walk: what becomes visible between the two is later than the checkpoint.
    start = await read_start(connection, user_id)
    if start is None:
        return await _find_items(connection, user_id, _BEGINNING, "", limit), None
    # One more than is asked for or saved shows whether the feed ends there.
    enough = max(limit, max_pending) + 1
    items = await _find_items(connection, user_id, _BEGINNING, "", enough)
    return items[:limit], Checkpoint.proven_by(start, items, enough)


async def find_page_after(
    connection: TenantConnection, user_id: str, cursor: FeedCursor, *, limit: int
) -> list[WhatsNewItem]:
    """What comes behind a cursor in the user's feed."""
    return await _find_items(connection, user_id, cursor.updated_at, cursor.skill_id, limit)


async def count_items(connection: TenantConnection, user_id: str) -> int:
    """How many items the user's whole feed has."""
    return int(await connection.fetch_value(COUNT_ITEMS, user_id=user_id))


async def _find_items(
    connection: TenantConnection, user_id: str, updated_at: datetime, skill_id: str, limit: int
) -> list[WhatsNewItem]:
    rows = await connection.fetch(
        FIND_ITEMS_AFTER, user_id=user_id, after_updated_at=updated_at, after_skill_id=skill_id, limit=limit
    )
    return [_read_item(row) for row in rows]
