"""Asks about feedback and adds it."""

from datetime import UTC, datetime

from everyskill.database.rules import IS_PUBLISHED
from everyskill.database.statements import Statement, read_row, read_rows
from everyskill.database.transactions import TenantConnection, translate_constraint_errors
from everyskill.errors import SkillNotFound, UserNotFound
from everyskill.model.feedback import FeedbackCursor, FeedbackType, Sentiment, SkillFeedback

_COLUMNS = """
    f.id, f.skill_id, f.skill_version_id, f.user_id, f.feedback_type, f.sentiment, f.comment, f.status, f.created_at,
    (SELECT users.name FROM users WHERE users.tenant_id = :tenant_id AND users.id = f.user_id) AS user_name
"""

# How much feedback came after a moment: one range of skill_feedback_skill_created_idx. The moment is rounded to the
# millisecond like what it is compared with (S13).
COUNT_FEEDBACK_SINCE = Statement("""
    SELECT count(*)
      FROM (
          SELECT FROM skill_feedback AS f
           WHERE f.tenant_id = :tenant_id AND f.skill_id = :skill_id
             AND f.created_at > (:since::timestamptz)::timestamptz(3)
             AND (:excluding_user_id::text IS NULL OR f.user_id IS DISTINCT FROM :excluding_user_id)
           LIMIT :at_most::bigint
      ) AS counted
""")

# A page of the feedback, newest first, by skill_feedback_skill_created_idx backwards; the users by users_pkey. The
# first condition follows from the second, and lets the index scan start at the cursor.
LIST_FEEDBACK = Statement(f"""
    SELECT {_COLUMNS}
      FROM skill_feedback AS f
     WHERE f.tenant_id = :tenant_id AND f.skill_id = :skill_id
       AND f.created_at <= :after_created_at
       AND (f.created_at < :after_created_at OR f.id > :after_id)
     ORDER BY f.created_at DESC, f.id
     LIMIT :limit
""")

# Adds feedback to the published version of a skill that can be seen, by skills_pkey.
INSERT_FEEDBACK = Statement(f"""
    INSERT INTO skill_feedback AS f
           (tenant_id, skill_id, skill_version_id, user_id, feedback_type, sentiment, comment, created_at)
    SELECT s.tenant_id, s.id, s.published_version_id, :user_id, :feedback_type, :sentiment, :comment, clock_timestamp()
      FROM skills AS s
     WHERE s.tenant_id = :tenant_id AND s.id = :skill_id AND {IS_PUBLISHED}
    RETURNING {_COLUMNS}
""")


# Before the first item: later than any.
_BEGINNING = FeedbackCursor(datetime.max.replace(tzinfo=UTC), "")


async def count_feedback_since(
    connection: TenantConnection,
    skill_id: str,
    since: datetime,
    *,
    at_most: int | None = None,
    excluding_user_id: str | None = None,
) -> int:
    """How many feedback items were added to the skill after that moment (S16), counted no further than `at_most`.

    Those of `excluding_user_id` are not counted.
    """
    return int(
        await connection.fetch_value(
            COUNT_FEEDBACK_SINCE,
            skill_id=skill_id,
            since=since,
            at_most=at_most,
            excluding_user_id=excluding_user_id,
        )
    )


async def list_feedback(
    connection: TenantConnection, skill_id: str, *, limit: int, after: FeedbackCursor = _BEGINNING
) -> list[SkillFeedback]:
    """The newest feedback on the skill, behind the cursor."""
    rows = await connection.fetch(
        LIST_FEEDBACK,
        skill_id=skill_id,
        after_created_at=after.created_at,
        after_id=after.feedback_id,
        limit=limit,
    )
    return read_rows(rows, SkillFeedback)


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
    with translate_constraint_errors(
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
    return read_row(row, SkillFeedback)
