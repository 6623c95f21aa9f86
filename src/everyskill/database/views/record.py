"""Records views: the statement that runs on every page view."""

from collections.abc import Collection, Sequence
from typing import Literal, TypeAlias

import asyncpg

from everyskill.database.catalog.visible_at import SOMEBODY_PUBLISHES
from everyskill.database.feed.checkpoint import invalidate
from everyskill.database.rules import IS_PUBLISHED, IS_UPDATED
from everyskill.database.statements import Statement
from everyskill.database.transactions import TenantConnection
from everyskill.model.views import NewUserSkillView, ViewKey, combine_views

# What a view could not be recorded without.
Missing: TypeAlias = Literal["tenant", "user", "skill"]

# Records the views of known users and visible skills, neither version nor time beyond what exists (S5), never going
# back (S4). Users and skills by their primary keys, views by user_skill_views_tenant_user_skill_unique.
# Returns what was recorded; `is_outdated` where the row had no known version before, and the view is of an older state
# of the skill than what is published.
RECORD_VIEWS = Statement(f"""
    WITH seen AS (
        SELECT asked.user_id, asked.skill_id, asked.view_count, v.last_viewed_at, v.last_viewed_version,
               {IS_UPDATED} AS is_updated
          FROM unnest(
                   :user_ids::text[], :skill_ids::text[], :viewed_ats::timestamptz[], :versions::integer[],
                   :view_counts::integer[]
               ) AS asked (user_id, skill_id, viewed_at, version, view_count)
          JOIN LATERAL (
              SELECT users.id FROM users WHERE users.tenant_id = :tenant_id AND users.id = asked.user_id OFFSET 0
          ) AS u ON true
          JOIN LATERAL (
              SELECT skills.status, skills.updated_at, skills.published_version, skills.announced_version
                FROM skills
               WHERE skills.tenant_id = :tenant_id AND skills.id = asked.skill_id
              OFFSET 0
          ) AS s ON true
          -- v is the view as it will be stored: would the skill still be updated after it?
          JOIN LATERAL (
              -- Not now(), which is when the transaction began: a version committed later may be in the snapshot. Not
              -- before what is published, though the clock was set back.
              SELECT greatest(
                         least(asked.viewed_at, CASE
                             WHEN asked.version IS NOT NULL THEN greatest(clock_timestamp(), s.updated_at)
                             -- The time alone tells what was seen: nothing of a publication that is under way, whose
                             -- lock is tried for after the clock was read.
                             ELSE (SELECT CASE WHEN {SOMEBODY_PUBLISHES} THEN s.updated_at ELSE latest.moment END
                                     FROM (SELECT greatest(clock_timestamp(), s.updated_at) AS moment
                                           OFFSET 0) AS latest)
                         END),
                         -- Who saw a version that was published while the clock was ahead saw its update, whatever
                         -- clock the caller goes by.
                         CASE WHEN asked.version >= s.published_version AND s.updated_at > clock_timestamp()
                              THEN s.updated_at END
                     ) AS last_viewed_at,
                     -- least() would turn an unknown version into the published one.
                     CASE WHEN asked.version <= s.published_version THEN asked.version
                          WHEN asked.version > s.published_version THEN s.published_version
                      END AS last_viewed_version
          ) AS v ON true
         WHERE {IS_PUBLISHED}
         -- One order for all writers, so that no two batches deadlock.
         ORDER BY asked.user_id, asked.skill_id
    ), recorded AS (
        INSERT INTO user_skill_views AS known
               (tenant_id, user_id, skill_id, last_viewed_at, last_viewed_version, view_count)
        SELECT :tenant_id, user_id, skill_id, last_viewed_at, last_viewed_version, view_count FROM seen
        ON CONFLICT ON CONSTRAINT user_skill_views_tenant_user_skill_unique DO UPDATE
           -- greatest() passes over NULL: an unknown version never erases a known one.
           SET last_viewed_at = greatest(known.last_viewed_at, excluded.last_viewed_at),
               last_viewed_version = greatest(known.last_viewed_version, excluded.last_viewed_version),
               view_count = least(known.view_count::bigint + excluded.view_count, 2147483647)
    )
    SELECT seen.user_id, seen.skill_id,
           -- The row as it was before: no part of a statement sees what another part writes.
           seen.is_updated AND (
               SELECT before.last_viewed_version
                 FROM user_skill_views AS before
                WHERE before.tenant_id = :tenant_id AND before.user_id = seen.user_id
                  AND before.skill_id = seen.skill_id
           ) IS NULL AS is_outdated
      FROM seen
""")

# What stands in the way of views that were not recorded, by the primary keys of tenants and users.
FIND_MISSING = Statement("""
    SELECT asked.user_id, asked.skill_id,
           CASE WHEN NOT EXISTS (SELECT FROM tenants WHERE tenants.id = :tenant_id) THEN 'tenant'
                WHEN NOT EXISTS (
                    SELECT FROM users WHERE users.tenant_id = :tenant_id AND users.id = asked.user_id
                ) THEN 'user'
                -- Or it appeared between the two statements: the view was not recorded all the same.
                ELSE 'skill'
            END AS missing
      FROM unnest(:user_ids::text[], :skill_ids::text[]) AS asked (user_id, skill_id)
""")

_REFERENCES: dict[str | None, Missing] = {
    "user_skill_views_tenant_id_fkey": "tenant",
    "user_skill_views_tenant_id_user_id_fkey": "user",
    "user_skill_views_tenant_id_skill_id_fkey": "skill",
}


async def record_views(connection: TenantConnection, views: Sequence[NewUserSkillView]) -> list[Missing | None]:
    """Records views in one upsert, those of one user and skill as one; times and versions never go back (S4).

    For each view, in order: None when it was recorded, else what this tenant lacks.
    """
    combined = combine_views(views)
    recorded = await _upsert(connection, list(combined.values()))
    # A first view of an older state of the skill is an update for the user, and the skill itself did not change.
    outdated = {user_id for (user_id, _), is_outdated in recorded.items() if is_outdated}
    if outdated:
        await invalidate(connection, outdated)
    missing: dict[ViewKey, Missing] = {}
    if len(recorded) < len(combined):
        missing = await _find_missing(connection, combined.keys() - recorded.keys())
    return [missing.get((view.user_id, view.skill_id)) for view in views]


def missing_reference(error: asyncpg.ForeignKeyViolationError) -> Missing:
    """What a view refers to that was deleted after its statement had seen it. Raises any other error again."""
    if error.constraint_name not in _REFERENCES:
        raise error
    return _REFERENCES[error.constraint_name]


async def _upsert(connection: TenantConnection, views: Sequence[NewUserSkillView]) -> dict[ViewKey, bool]:
    rows = await connection.fetch(
        RECORD_VIEWS,
        user_ids=[view.user_id for view in views],
        skill_ids=[view.skill_id for view in views],
        viewed_ats=[view.last_viewed_at for view in views],
        versions=[view.last_viewed_version for view in views],
        view_counts=[view.view_count for view in views],
    )
    return {(row["user_id"], row["skill_id"]): row["is_outdated"] for row in rows}


async def _find_missing(connection: TenantConnection, keys: Collection[ViewKey]) -> dict[ViewKey, Missing]:
    rows = await connection.fetch(
        FIND_MISSING, user_ids=[user_id for user_id, _ in keys], skill_ids=[skill_id for _, skill_id in keys]
    )
    return {(row["user_id"], row["skill_id"]): row["missing"] for row in rows}
