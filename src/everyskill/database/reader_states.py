"""Asks, in one snapshot, for all that a change summary is made of."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from asyncpg import Record
from msgspec import Struct
from sqlalchemy import Text, and_, column, func, select, true
from sqlalchemy.sql import Select

from everyskill.database.scope import TenantConnection
from everyskill.database.statements import TENANT, Statement, look_up
from everyskill.database.user_skill_views import ASKED, VIEW_FIELDS, Lookup, encode_lookups
from everyskill.model.changes import SkillState, VersionFacts
from everyskill.model.skills import SkillFile, SkillStatus
from everyskill.model.views import UserSkillView
from everyskill.schema import (
    SkillFeedbackItems,
    Skills,
    SkillVersions,
    UserSkillViews,
    is_published,
)
from everyskill.schema.base import MOMENT


def _find_reader_states() -> Select[*tuple[Any, ...]]:
    wanted = func.unnest(ASKED.c.skill_ids).table_valued(column("skill_id", Text)).render_derived(name="wanted")
    skills = select(Skills.id, Skills.status, Skills.updated_at, Skills.published_version_id, Skills.published_version)
    skill = look_up(skills.where(Skills.tenant_id == TENANT, Skills.id == wanted.c.skill_id), "shown")
    versions = select(SkillVersions.description, SkillVersions.files)
    of_tenant = SkillVersions.tenant_id == TENANT
    published = look_up(versions.where(of_tenant, SkillVersions.id == skill.c.published_version_id), "published")
    of_user = and_(UserSkillViews.tenant_id == TENANT, UserSkillViews.user_id == ASKED.c.user_id)
    view = look_up(select(*VIEW_FIELDS).where(of_user, UserSkillViews.skill_id == skill.c.id), "viewed")
    of_view = and_(SkillVersions.skill_id == skill.c.id, SkillVersions.version == view.c.last_viewed_version)
    seen = look_up(versions.where(of_tenant, of_view), "seen")
    new_feedback = select(func.count()).where(
        SkillFeedbackItems.tenant_id == TENANT,
        SkillFeedbackItems.skill_id == skill.c.id,
        SkillFeedbackItems.created_at > view.c.last_viewed_at,
    )
    return (
        select(
            ASKED.c.place,
            *view.c,
            skill.c.id.label("of_skill"),
            skill.c.status,
            skill.c.updated_at,
            skill.c.published_version,
            published.c.description.label("published_description"),
            published.c.files.label("published_files"),
            seen.c.description.label("seen_description"),
            seen.c.files.label("seen_files"),
            new_feedback.scalar_subquery().label("feedback_count"),
            # Read after the snapshot was taken, so no change that is in it has a later moment.
            func.clock_timestamp(type_=MOMENT).label("as_of"),
        )
        .select_from(ASKED)
        .join(wanted, true())
        .join(skill, true())
        .outerjoin(published, true())
        .outerjoin(view, true())
        .outerjoin(seen, true())
        .where(is_published(skill.c))
    )


FIND_READER_STATES = Statement(_find_reader_states())


class ReaderState(Struct, frozen=True):
    """A user's last view of a skill, the skill as it stands, and the moment at which both were so."""

    previous: UserSkillView | None
    skill: SkillState
    feedback_count: int
    as_of: datetime


async def find_reader_states(connection: TenantConnection, lookups: Sequence[Lookup]) -> list[dict[str, ReaderState]]:
    """For each lookup, in its place, what skills are to the user now, by id; without those hidden or not there."""
    found: list[dict[str, ReaderState]] = [{} for _ in lookups]
    for row in await connection.fetch(FIND_READER_STATES, lookups=encode_lookups(lookups)):
        found[row["place"]][row["of_skill"]] = _reader_state(row)
    return found


def _reader_state(row: Record) -> ReaderState:
    previous = None if row["id"] is None else UserSkillView(*(row[field.key] for field in VIEW_FIELDS))
    skill = SkillState(
        status=SkillStatus(row["status"]),
        updated_at=row["updated_at"],
        published_version=row["published_version"],
        published=_facts(row, "published"),
        seen=_facts(row, "seen"),
    )
    return ReaderState(previous, skill, row["feedback_count"], row["as_of"])


def _facts(row: Record, which: str) -> VersionFacts | None:
    description, files = row[f"{which}_description"], row[f"{which}_files"]
    if description is None:
        return None
    return VersionFacts(description, msgspec.json.decode(files, type=tuple[SkillFile, ...]))
