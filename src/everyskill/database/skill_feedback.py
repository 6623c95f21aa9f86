"""Asks about feedback and adds it."""

from datetime import datetime

from msgspec import convert
from sqlalchemy import Integer, cast, func, select
from sqlalchemy.dialects.postgresql import insert

from everyskill.database.scope import TenantConnection, refusing
from everyskill.database.statements import TENANT, Statement, parameter
from everyskill.errors import SkillNotFound, UserNotFound
from everyskill.model.feedback import FeedbackType, Sentiment, SkillFeedback
from everyskill.schema import IS_PUBLISHED, SkillFeedbackItems, Skills
from everyskill.schema.base import MILLISECONDS, MOMENT

_FIELDS = (
    SkillFeedbackItems.id,
    SkillFeedbackItems.skill_id,
    SkillFeedbackItems.skill_version_id,
    SkillFeedbackItems.user_id,
    SkillFeedbackItems.feedback_type,
    SkillFeedbackItems.sentiment,
    SkillFeedbackItems.comment,
    SkillFeedbackItems.status,
    SkillFeedbackItems.created_at,
)

COUNT_SINCE = Statement(
    select(func.count()).where(
        SkillFeedbackItems.tenant_id == TENANT,
        SkillFeedbackItems.skill_id == parameter("skill_id"),
        # Rounded to the millisecond like what it is compared with (S13).
        SkillFeedbackItems.created_at > cast(parameter("since", MOMENT), MILLISECONDS),
    )
)
FIND_FEEDBACK = Statement(
    select(*_FIELDS)
    .where(SkillFeedbackItems.tenant_id == TENANT, SkillFeedbackItems.skill_id == parameter("skill_id"))
    .order_by(SkillFeedbackItems.created_at.desc(), SkillFeedbackItems.id)
    .limit(parameter("limit", Integer))
)
INSERT_FEEDBACK = Statement(
    insert(SkillFeedbackItems)
    .from_select(
        [
            "tenant_id",
            "skill_id",
            "skill_version_id",
            "user_id",
            "feedback_type",
            "sentiment",
            "comment",
            "created_at",
        ],
        select(
            Skills.tenant_id,
            Skills.id,
            Skills.published_version_id,
            parameter("user_id"),
            parameter("feedback_type"),
            parameter("sentiment"),
            parameter("comment"),
            func.clock_timestamp(type_=MOMENT),
        ).where(Skills.tenant_id == TENANT, Skills.id == parameter("skill_id"), IS_PUBLISHED),
    )
    .returning(*_FIELDS)
)


async def count_since(connection: TenantConnection, skill_id: str, since: datetime) -> int:
    """How many feedback items were added to the skill after that moment (S16)."""
    return int(await connection.fetch_value(COUNT_SINCE, skill_id=skill_id, since=since))


async def find_feedback(connection: TenantConnection, skill_id: str, *, limit: int) -> list[SkillFeedback]:
    """The newest feedback on the skill."""
    rows = await connection.fetch(FIND_FEEDBACK, skill_id=skill_id, limit=limit)
    return [convert(dict(row), SkillFeedback) for row in rows]


async def insert_feedback(
    connection: TenantConnection,
    skill_id: str,
    *,
    user_id: str | None,
    feedback_type: FeedbackType,
    sentiment: Sentiment | None,
    comment: str | None,
) -> SkillFeedback | None:
    """Adds feedback to a visible skill; None when there is none of that id. Raises UserNotFound."""
    with refusing(
        skill_feedback_tenant_id_user_id_fkey=UserNotFound(user_id or ""),
        skill_feedback_tenant_id_skill_id_fkey=SkillNotFound(skill_id),
    ):
        row = await connection.fetch_row(
            INSERT_FEEDBACK,
            skill_id=skill_id,
            user_id=user_id,
            feedback_type=feedback_type,
            sentiment=sentiment,
            comment=comment,
        )
    return None if row is None else convert(dict(row), SkillFeedback)
