"""Asks, in one snapshot, for all that a change summary is made of."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from asyncpg import Record
from msgspec import Struct
from sqlalchemy import and_, any_, func, select
from sqlalchemy.orm import aliased

from everyskill.database.scope import TenantConnection
from everyskill.database.statements import TENANT, Statement, parameter, parameters
from everyskill.database.user_skill_views import VIEW_FIELDS
from everyskill.model.changes import SkillState, VersionFacts
from everyskill.model.skills import SkillFile, SkillStatus
from everyskill.model.views import UserSkillView
from everyskill.schema import (
    IS_PUBLISHED,
    PUBLISHES,
    VIEWS,
    SkillFeedbackItems,
    Skills,
    SkillVersions,
    UserSkillViews,
)
from everyskill.schema.base import MOMENT

_seen = aliased(SkillVersions, name="seen")

FIND_READER_STATES = Statement(
    select(
        *VIEW_FIELDS,
        Skills.id.label("of_skill"),
        Skills.status,
        Skills.updated_at,
        SkillVersions.version.label("published_version"),
        SkillVersions.description.label("published_description"),
        SkillVersions.files.label("published_files"),
        _seen.description.label("seen_description"),
        _seen.files.label("seen_files"),
        select(func.count())
        .where(
            SkillFeedbackItems.tenant_id == TENANT,
            SkillFeedbackItems.skill_id == Skills.id,
            SkillFeedbackItems.created_at > UserSkillViews.last_viewed_at,
        )
        .scalar_subquery()
        .label("feedback_count"),
        # Read after the snapshot was taken, so no change that is in it has a later moment.
        func.clock_timestamp(type_=MOMENT).label("as_of"),
    )
    .select_from(Skills)
    .outerjoin(SkillVersions, PUBLISHES)
    .outerjoin(UserSkillViews, and_(VIEWS, UserSkillViews.user_id == parameter("user_id")))
    .outerjoin(
        _seen,
        and_(
            _seen.tenant_id == Skills.tenant_id,
            _seen.skill_id == Skills.id,
            _seen.version == UserSkillViews.last_viewed_version,
        ),
    )
    .where(Skills.tenant_id == TENANT, Skills.id == any_(parameters("skill_ids")), IS_PUBLISHED)
)


class ReaderState(Struct, frozen=True):
    """A user's last view of a skill, the skill as it stands, and the moment at which both were so."""

    previous: UserSkillView | None
    skill: SkillState
    feedback_count: int
    as_of: datetime


async def find_reader_states(
    connection: TenantConnection, user_id: str, skill_ids: Sequence[str]
) -> dict[str, ReaderState]:
    """What skills are to a user now, by id; one that is not there or hidden is not in it."""
    rows = await connection.fetch(FIND_READER_STATES, user_id=user_id, skill_ids=skill_ids)
    return {row["of_skill"]: _reader_state(row) for row in rows}


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
