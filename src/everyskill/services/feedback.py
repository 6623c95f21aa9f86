"""Feedback: what people say about a skill."""

from datetime import datetime
from functools import partial

from everyskill.database.catalog import feedback, skills
from everyskill.database.transactions import TenantConnection
from everyskill.errors import InvalidText, SkillNotFound
from everyskill.model.feedback import FeedbackCursor, FeedbackType, Sentiment, SkillFeedback, SkillFeedbackPage
from everyskill.model.inputs import (
    MAX_COMMENT_LENGTH,
    check_choice,
    check_id,
    check_limit,
    check_moment,
    check_text,
)
from everyskill.model.skills import find_slugs
from everyskill.services.skills import DEFAULT_PAGE, require_skill
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

    Raises SkillNotFound for a skill that is not there, hidden, or another tenant's, and SkillArchived for one that the
    user viewed; UserNotFound, InvalidText, InvalidChoice, InvalidIdentifier.
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
    insert = partial(
        feedback.insert_feedback,
        user_id=user_id,
        comment=comment,
        sentiment=chosen_sentiment,
        feedback_type=chosen_type,
    )

    async def add(connection: TenantConnection) -> SkillFeedback:
        added = await insert(connection, skill_id)
        if added is None:
            # Not an id, then: maybe a slug.
            named = await require_skill(connection, skill_id, user_id=user_id)
            added = await insert(connection, named.id)
        if added is None:
            raise SkillNotFound(skill_id)
        return added

    return await tenant._transactions.run(add)


async def list_feedback(
    tenant: TenantScope, slug_or_id: str, *, limit: int = DEFAULT_PAGE, cursor: str | None = None
) -> SkillFeedbackPage:
    """A page of the feedback on a skill, newest first, with the names of its users. Records nothing (S10).

    `limit` is 1 to 100; `cursor` is the last page's `next_cursor`. Raises InvalidLimit, InvalidCursor, and what
    get_skill raises.
    """
    slug_or_id = check_id("skill", slug_or_id)
    limit = check_limit(limit)
    after = {} if cursor is None else {"after": FeedbackCursor.decode(cursor)}
    async with tenant._transactions.read() as connection:
        skill = await require_skill(connection, slug_or_id)
        items = await feedback.list_feedback(connection, skill.id, limit=limit + 1, **after)
    if len(items) <= limit:
        return SkillFeedbackPage(items, None)
    last = items[limit - 1]
    return SkillFeedbackPage(items[:limit], FeedbackCursor(last.created_at, last.id).encode())


async def count_feedback_since(
    tenant: TenantScope, skill_id: str, since: datetime, excluding_user_id: str | None = None
) -> int:
    """How many feedback items the skill, hidden or not (S11), got after `since`, strictly (S16). 0 for one not there.

    Those of `excluding_user_id` are not counted, as in a change summary those of its reader are not.

    Raises InvalidTimestamp, InvalidIdentifier.
    """
    skill_id = check_id("skill_id", skill_id)
    moment = check_moment("since", since)
    excluded = None if excluding_user_id is None else check_id("excluding_user_id", excluding_user_id)
    async with tenant._transactions.read() as connection:
        counted = await feedback.count_feedback_since(connection, skill_id, moment, excluding_user_id=excluded)
        if counted or not find_slugs([skill_id]):
            return counted
        named = await skills.find_skill(connection, skill_id, include_hidden=True)
        if named is None:
            return 0
        return await feedback.count_feedback_since(connection, named.id, moment, excluding_user_id=excluded)
