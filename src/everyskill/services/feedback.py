"""Feedback: what people say about a skill."""

from datetime import datetime

from everyskill.database.catalog import feedback
from everyskill.errors import InvalidText, SkillNotFound
from everyskill.model.feedback import FeedbackType, Sentiment, SkillFeedback
from everyskill.model.inputs import MAX_COMMENT_LENGTH, check_choice, check_id, check_moment, check_text
from everyskill.services.tenant_scope import TenantScope


async def add_feedback(
    tenant: TenantScope,
    skill_id: str,
    *,
    user_id: str | None = None,
    comment: str | None = None,
    sentiment: Sentiment | str | None = None,
    feedback_type: FeedbackType | str = FeedbackType.COMMENT,
) -> SkillFeedback:
    """Adds feedback to the published version of a skill: a comment, a sentiment, or both.

    Raises SkillNotFound for a skill that is not there, hidden, or another tenant's; UserNotFound, InvalidText,
    InvalidChoice, InvalidIdentifier.
    """
    skill_id = check_id("skill_id", skill_id)
    if user_id is not None:
        user_id = check_id("user_id", user_id)
    if comment is not None:
        comment = check_text("comment", comment, longest=MAX_COMMENT_LENGTH)
    if comment is None and sentiment is None:
        raise InvalidText("comment", "must be given where no sentiment is")
    chosen_sentiment = None if sentiment is None else check_choice("sentiment", sentiment, Sentiment)
    chosen_type = check_choice("feedback_type", feedback_type, FeedbackType)
    added = await tenant._transactions.run(
        lambda connection: feedback.insert_feedback(
            connection,
            skill_id,
            user_id=user_id,
            comment=comment,
            sentiment=chosen_sentiment,
            feedback_type=chosen_type,
        )
    )
    if added is None:
        raise SkillNotFound(skill_id)
    return added


async def count_feedback_since(tenant: TenantScope, skill_id: str, since: datetime) -> int:
    """How many feedback items the skill, hidden or not (S11), got after `since`, strictly (S16). 0 for one not there.

    Raises InvalidTimestamp, InvalidIdentifier.
    """
    skill_id = check_id("skill_id", skill_id)
    moment = check_moment("since", since)
    async with tenant._transactions.read() as connection:
        return await feedback.count_feedback_since(connection, skill_id, moment)
