"""Visits: asks in one snapshot what changed for users since their last views, and records new ones after that (S6)."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from asyncpg import Record
from msgspec import Struct

from everyskill.database.rules import IS_PUBLISHED, IS_UPDATED
from everyskill.database.statements import Statement, row_reader, to_json
from everyskill.database.transactions import TenantConnection
from everyskill.database.views.lookups import ASKED_BY_SLUG, LOOKUPS, Lookup
from everyskill.database.views.record import Missing, record_views
from everyskill.model.changes import MAX_NEW_FEEDBACK, VersionFacts
from everyskill.model.skills import SkillFile, SkillStatus
from everyskill.model.views import NewUserSkillView, UserSkillView, ViewKey

# Whether there are two versions to compare. What no caller needs is not read: 10,000 files take 50 ms.
_IS_COMPARED = f"s.published_version <> v.last_viewed_version AND {IS_UPDATED}"

# The user's view of each visible skill, the skill, what its published version and the version that was seen consist of
# where they differ, and how much feedback came since, counted as far as S16 says. All by primary keys,
# user_skill_views_tenant_user_skill_unique, skill_versions_tenant_id_skill_id_version_unique and
# skill_feedback_skill_created_idx.
FIND_CHANGES = Statement(f"""
    SELECT asked.place, wanted.asked_as, s.id AS skill_id, s.status, s.updated_at, s.published_version,
           coalesce(s.announced_version, s.published_version) AS announced_version,
           v.id, v.tenant_id, v.user_id, v.last_viewed_at, v.last_viewed_version, v.view_count,
           published.description AS published_description, published.files AS published_files,
           seen.description AS seen_description, seen.files AS seen_files,
           (SELECT count(*)
              FROM (
                  SELECT FROM skill_feedback AS f
                   WHERE f.tenant_id = :tenant_id AND f.skill_id = s.id AND f.created_at > v.last_viewed_at
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
      LEFT JOIN LATERAL (
          SELECT skill_versions.description, skill_versions.files
            FROM skill_versions
           WHERE skill_versions.tenant_id = :tenant_id AND skill_versions.id = s.published_version_id
             AND {_IS_COMPARED}
          OFFSET 0
      ) AS published ON true
      LEFT JOIN LATERAL (
          SELECT skill_versions.description, skill_versions.files
            FROM skill_versions
           WHERE skill_versions.tenant_id = :tenant_id AND skill_versions.skill_id = s.id
             AND skill_versions.version = v.last_viewed_version AND {_IS_COMPARED}
          OFFSET 0
      ) AS seen ON true
     WHERE {IS_PUBLISHED}
""")

_read_view = row_reader(UserSkillView)


class StoredFacts(Struct, frozen=True):
    """The facts of a version, with its files as JSON: 10,000 of them take long to read, and a batch has many."""

    description: str
    files_json: str

    def read(self) -> VersionFacts:
        """The facts themselves."""
        return VersionFacts(self.description, msgspec.json.decode(self.files_json, type=tuple[SkillFile, ...]))


class SkillChanges(Struct, frozen=True):
    """What a change summary is made of: a user's last view, the skill now, and the moment at which both were so."""

    previous: UserSkillView | None
    status: SkillStatus
    updated_at: datetime
    published_version: int | None
    announced_version: int | None
    published: StoredFacts | None
    seen: StoredFacts | None
    feedback_count: int
    as_of: datetime

    @property
    def size(self) -> int:
        """How much there is to read in both versions."""
        return sum(len(version.files_json) for version in (self.published, self.seen) if version is not None)


async def find_changes(connection: TenantConnection, lookups: Sequence[Lookup]) -> list[dict[str, SkillChanges]]:
    """For each lookup, in order, what changed in its skills, by what was asked; without what is hidden or not there."""
    found: list[dict[str, SkillChanges]] = [{} for _ in lookups]
    for row in await connection.fetch(FIND_CHANGES, lookups=to_json(lookups)):
        found[row["place"] - 1][row["asked_as"]] = _skill_changes(row)
    return found


async def visit_skills(connection: TenantConnection, visits: Sequence[ViewKey]) -> list[SkillChanges | Missing]:
    """For each user id and skill id, in order, what changed before any of these visits, which are then recorded.

    Where one could not be recorded, what this tenant lacks.
    """
    asked = list(dict.fromkeys(visits))
    found = await find_changes(connection, [Lookup(user_id, [skill_id]) for user_id, skill_id in asked])
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


def _skill_changes(row: Record) -> SkillChanges:
    return SkillChanges(
        previous=None if row["id"] is None else _read_view(row),
        status=SkillStatus(row["status"]),
        updated_at=row["updated_at"],
        published_version=row["published_version"],
        announced_version=row["announced_version"],
        published=_stored_facts(row["published_description"], row["published_files"]),
        seen=_stored_facts(row["seen_description"], row["seen_files"]),
        feedback_count=row["feedback_count"],
        as_of=row["as_of"],
    )


def _stored_facts(description: str | None, files_json: str | None) -> StoredFacts | None:
    return None if description is None or files_json is None else StoredFacts(description, files_json)
