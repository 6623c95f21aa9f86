"""Marks a whole feed as seen."""

from datetime import datetime

from everyskill.database.rules import IS_UPDATED, SKILL_OF_VIEW
from everyskill.database.statements import NESTED_LOOP_PLAN, Statement
from everyskill.database.transactions import TenantConnection

# Brings the user's updated views up to date: found by user_skill_views_tenant_user_skill_unique, and to each the skill
# by skills_pkey, as nobody has more views than there are skills; written by user_skill_views_pkey. By visible_at, as a
# list missed what has a later one (catalog/visible_at.py), also what was hidden while it was read and keeps updated_at.
MARK_ALL_SEEN = Statement(
    f"""
    WITH updated AS (
        SELECT v.id, s.published_version, s.updated_at
          FROM user_skill_views AS v
          {SKILL_OF_VIEW}
         WHERE v.tenant_id = :tenant_id AND v.user_id = :user_id
           AND {IS_UPDATED} AND s.visible_at <= :as_of::timestamptz
         -- The order in which batches of views lock their rows, so that no two deadlock.
         ORDER BY v.skill_id
           FOR NO KEY UPDATE OF v
    ), marked AS (
        UPDATE user_skill_views AS v
           SET last_viewed_at = greatest(v.last_viewed_at, least(:as_of, clock_timestamp()), updated.updated_at),
               last_viewed_version = greatest(v.last_viewed_version, updated.published_version)
          FROM updated
         WHERE v.tenant_id = :tenant_id AND v.id = updated.id
        RETURNING v.id
    )
    SELECT (SELECT count(*) FROM marked) AS marked,
           EXISTS (SELECT FROM users AS u WHERE u.tenant_id = :tenant_id AND u.id = :user_id) AS has_user
    """,
    plan=NESTED_LOOP_PLAN,
)


async def mark_all_seen(connection: TenantConnection, user_id: str, as_of: datetime) -> tuple[int, bool]:
    """Moves the user's updated views up to an `as_of` (S8): how many, and whether there is such a user."""
    [row] = await connection.fetch(MARK_ALL_SEEN, user_id=user_id, as_of=as_of)
    return row["marked"], row["has_user"]
