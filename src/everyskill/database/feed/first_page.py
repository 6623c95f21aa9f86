"""Asks for the first items of several users' feeds at once, where few skills have to be looked up for each."""

from collections.abc import Sequence

from msgspec import Struct

from everyskill.database.rules import IN_WINDOW, IS_PUBLISHED, IS_UPDATED
from everyskill.database.statements import Statement, row_reader, to_json
from everyskill.database.transactions import TenantConnection
from everyskill.model.whats_new import WhatsNewItem


class FeedLookup(Struct, frozen=True):
    """How many items of whose feed, at most."""

    user_id: str
    max_items: int


# First finds what there is to look up: all of a user's views (user_skill_views_tenant_user_skill_unique), or what
# became visible since the user's checkpoint (feed_checkpoints_pkey, skills_visible_idx) and what is pending in it. Each
# is counted no further than to one more than :max_lookups, skills that were hidden again included. Then looks those
# skills up (skills_pkey), and to each the view.
FIND_FIRST_PAGES = Statement(f"""
    SELECT asked.place, found.has_few_views, found.has_few_changes, found.complete_above IS NULL AS is_complete, item.*
      FROM ROWS FROM (json_to_recordset(:lookups::json) AS (user_id text, max_items integer))
           WITH ORDINALITY AS asked (user_id, max_items, place)
      -- 1. Which way is short: all views, or the changes since the checkpoint?
      JOIN LATERAL (
          SELECT (SELECT count(*)
                    FROM (SELECT
                            FROM user_skill_views AS v
                           WHERE v.tenant_id = :tenant_id AND v.user_id = asked.user_id
                           LIMIT :max_lookups::integer + 1) AS counted
                 ) <= :max_lookups AS has_few_views,
                 checkpoint.visible_at IS NOT NULL
                 AND (SELECT count(*)
                        FROM (SELECT
                                FROM skills
                               WHERE skills.tenant_id = :tenant_id AND skills.visible_at > checkpoint.visible_at
                               LIMIT :max_lookups + 1) AS counted
                     ) <= :max_lookups AS has_few_changes,
                 checkpoint.*
            -- One row, also for a user without a checkpoint.
            FROM (SELECT) AS always
            LEFT JOIN LATERAL (
                SELECT c.visible_at, c.pending_skill_ids, c.complete_above
                  FROM feed_checkpoints AS c
                 WHERE c.tenant_id = :tenant_id AND c.user_id = asked.user_id
                OFFSET 0
            ) AS checkpoint ON true
          OFFSET 0
      ) AS found ON true
      -- 3. The items: of the skills in question, those that are updated.
      LEFT JOIN LATERAL (
          SELECT s.id AS skill_id, s.name AS skill_name, s.slug AS skill_slug, s.category, s.updated_at,
                 v.last_viewed_at, v.view_count
            -- 2. The skills in question: viewed; or changed since the checkpoint, or pending in it.
            FROM (SELECT v.skill_id
                    FROM user_skill_views AS v
                   WHERE v.tenant_id = :tenant_id AND v.user_id = asked.user_id AND found.has_few_views
                   UNION
                  SELECT s.id
                    FROM (SELECT skills.id, skills.status
                            FROM skills
                           WHERE skills.tenant_id = :tenant_id AND skills.visible_at > found.visible_at
                             AND NOT found.has_few_views AND found.has_few_changes
                          OFFSET 0) AS s
                   WHERE {IS_PUBLISHED}
                   UNION
                  SELECT unnest(found.pending_skill_ids)
                   WHERE NOT found.has_few_views AND found.has_few_changes
                 ) AS listed
            JOIN LATERAL (
                SELECT s.id, s.name, s.slug, s.category, s.status, s.updated_at, s.published_version,
                       s.announced_version
                  FROM skills AS s
                 WHERE s.tenant_id = :tenant_id AND s.id = listed.skill_id AND {IN_WINDOW}
                   AND (found.has_few_views OR found.complete_above IS NULL OR s.updated_at > found.complete_above)
                OFFSET 0
            ) AS s ON true
            JOIN LATERAL (
                SELECT v.last_viewed_at, v.last_viewed_version, v.view_count
                  FROM user_skill_views AS v
                 WHERE v.tenant_id = :tenant_id AND v.user_id = asked.user_id AND v.skill_id = s.id
                OFFSET 0
            ) AS v ON true
           WHERE {IS_UPDATED}
           ORDER BY s.updated_at DESC, s.id
           LIMIT asked.max_items
      ) AS item ON true
     ORDER BY asked.place, item.updated_at DESC, item.skill_id
""")

_read_item = row_reader(WhatsNewItem)


async def find_first_pages(
    connection: TenantConnection, lookups: Sequence[FeedLookup], *, max_lookups: int
) -> list[list[WhatsNewItem] | None]:
    """For each lookup, in order, the first items of the feed (S7); None where it must be walked."""
    feeds: list[list[WhatsNewItem]] = [[] for _ in lookups]
    may_go_on = [False for _ in lookups]
    for row in await connection.fetch(FIND_FIRST_PAGES, lookups=to_json(lookups), max_lookups=max_lookups):
        place = row["place"] - 1
        # More may follow, unless all views or a complete checkpoint were looked up.
        may_go_on[place] = not (row["has_few_views"] or (row["has_few_changes"] and row["is_complete"]))
        if row["skill_id"] is not None:
            feeds[place].append(_read_item(row))
    return [
        None if goes_on and len(feed) < lookup.max_items else feed
        for lookup, feed, goes_on in zip(lookups, feeds, may_go_on, strict=True)
    ]
