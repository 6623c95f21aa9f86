"""Visits: asks in one snapshot what changed for users since their last views, and records new ones after that (S6)."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record
from msgspec import Struct

from everyskill.database.rules import IS_PUBLISHED, IS_UPDATED
from everyskill.database.statements import Statement, row_reader, to_json
from everyskill.database.transactions import TenantConnection
from everyskill.database.views.comparisons import PUBLISHERS, StoredPair, find_facts, read_publishers
from everyskill.database.views.lookups import ASKED_BY_SLUG, LOOKUPS, Lookup
from everyskill.database.views.record import Missing, record_views
from everyskill.model.changes import MAX_NEW_FEEDBACK, Publishers
from everyskill.model.comparisons import Comparison, Comparisons, Pair
from everyskill.model.skills import SkillStatus
from everyskill.model.views import NewUserSkillView, UserSkillView, ViewKey

# The user's view of each visible skill, the skill, which versions there are to compare and who published them, and how
# much feedback of others came since, counted as far as S16 says. All by primary keys,
# user_skill_views_tenant_user_skill_unique, skill_versions_tenant_id_skill_id_version_unique and
# skill_feedback_skill_created_idx.
FIND_CHANGES = Statement(f"""
    SELECT asked.place, wanted.asked_as, s.id AS skill_id, s.status, s.updated_at, s.published_version,
           coalesce(s.announced_version, s.published_version) AS announced_version,
           v.id, v.tenant_id, v.user_id, v.last_viewed_at, v.last_viewed_version, v.view_count,
           pair.seen, made.authors, made.note,
           (SELECT count(*)
              FROM (
                  SELECT FROM skill_feedback AS f
                   WHERE f.tenant_id = :tenant_id AND f.skill_id = s.id AND f.created_at > v.last_viewed_at
                     AND f.user_id IS DISTINCT FROM asked.user_id
                   LIMIT {MAX_NEW_FEEDBACK + 1}
              ) AS counted
           ) AS feedback_count,
           -- Read after the snapshot was taken, and never before what is shown, though the clock was set back.
           greatest(clock_timestamp(), s.updated_at) AS as_of
      FROM {LOOKUPS}
      JOIN LATERAL (
          SELECT by_id AS asked_as, by_id AS skill_id FROM unnest(asked.skill_ids) AS by_id
           UNION ALL {ASKED_BY_SLUG}
          OFFSET 0
      ) AS wanted ON true
      JOIN LATERAL (
          SELECT skills.id, skills.status, skills.updated_at, skills.published_version_id, skills.published_version,
                 skills.announced_version
            FROM skills
           WHERE skills.tenant_id = :tenant_id AND skills.id = wanted.skill_id
          OFFSET 0
      ) AS s ON true
      LEFT JOIN LATERAL (
          SELECT views.*
            FROM user_skill_views AS views
           WHERE views.tenant_id = :tenant_id AND views.user_id = asked.user_id AND views.skill_id = s.id
          OFFSET 0
      ) AS v ON true
      JOIN LATERAL (
          SELECT s.id AS skill_id, s.published_version AS published,
                 CASE WHEN s.published_version <> v.last_viewed_version AND {IS_UPDATED}
                      THEN v.last_viewed_version END AS seen
          OFFSET 0
      ) AS pair ON true
      LEFT JOIN LATERAL ({PUBLISHERS}) AS made ON pair.seen IS NOT NULL
     WHERE {IS_PUBLISHED}
""")

_read_view = row_reader(UserSkillView)


class SkillChanges(Struct, frozen=True):
    """What a change summary is made of: a user's last view, the skill now, and the moment at which both were so.

    `pair` are the versions to compare, if any: `comparison` where that was done before, else `stored`, of which a
    version may be missing.
    """

    previous: UserSkillView | None
    status: SkillStatus
    updated_at: datetime
    published_version: int | None
    announced_version: int | None
    feedback_count: int
    as_of: datetime
    publishers: Publishers
    pair: Pair | None
    comparison: Comparison | None
    stored: StoredPair | None


async def find_changes(
    connection: TenantConnection, lookups: Sequence[Lookup], comparisons: Comparisons
) -> list[dict[str, SkillChanges]]:
    """For each lookup, in order, what changed in its skills, by what was asked; without what is hidden or not there.

    The versions of all pairs that are not known to `comparisons` are read in one query more.
    """
    rows = await connection.fetch(FIND_CHANGES, lookups=to_json(lookups))
    pairs = {pair: comparisons.find(pair) for row in rows if (pair := _pair(connection, row)) is not None}
    unknown = [pair for pair, comparison in pairs.items() if comparison is None]
    stored = await find_facts(connection, unknown) if unknown else {}
    found: list[dict[str, SkillChanges]] = [{} for _ in lookups]
    for row in rows:
        pair = _pair(connection, row)
        comparison, versions = (None, None) if pair is None else (pairs[pair], stored.get(pair))
        found[row["place"] - 1][row["asked_as"]] = _skill_changes(row, pair, comparison, versions)
    return found


async def visit_skills(
    connection: TenantConnection, visits: Sequence[ViewKey], *, comparisons: Comparisons
) -> list[SkillChanges | Missing]:
    """For each user id and skill id, in order, what changed before any of these visits, which are then recorded.

    Where one could not be recorded, what this tenant lacks.
    """
    asked = list(dict.fromkeys(visits))
    found = await find_changes(connection, [Lookup(user_id, [skill_id]) for user_id, skill_id in asked], comparisons)
    changes = {visit: each[visit[1]] for visit, each in zip(asked, found, strict=True) if each}
    views = [
        NewUserSkillView(
            tenant_id=connection.tenant_id,
            user_id=user_id,
            skill_id=skill_id,
            last_viewed_at=changes[user_id, skill_id].as_of,
            last_viewed_version=changes[user_id, skill_id].published_version,
        )
        for user_id, skill_id in visits
        if (user_id, skill_id) in changes
    ]
    recorded: list[Missing | None] = await record_views(connection, views) if views else []
    missing = {(view.user_id, view.skill_id): reason for view, reason in zip(views, recorded, strict=True)}
    return [missing.get(visit) or changes.get(visit) or "skill" for visit in visits]


def _pair(connection: TenantConnection, row: Record) -> Pair | None:
    if row["seen"] is None:
        return None
    return Pair(connection.tenant_id, row["skill_id"], row["seen"], row["published_version"])


def _skill_changes(
    row: Record, pair: Pair | None, comparison: Comparison | None, stored: StoredPair | None
) -> SkillChanges:
    return SkillChanges(
        previous=None if row["id"] is None else _read_view(row),
        status=SkillStatus(row["status"]),
        updated_at=row["updated_at"],
        published_version=row["published_version"],
        announced_version=row["announced_version"],
        feedback_count=row["feedback_count"],
        as_of=row["as_of"],
        publishers=read_publishers(row),
        pair=pair,
        comparison=comparison,
        stored=stored,
    )
