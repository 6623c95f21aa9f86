"""What people say about a skill."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from everyskill.model.cursors import Cursor
from everyskill.model.inputs import check_id, check_moment


class FeedbackType(StrEnum):
    """The kind of a feedback item."""

    COMMENT = "comment"
    BUG = "bug"
    IDEA = "idea"
    PRAISE = "praise"


class Sentiment(StrEnum):
    """How the writer felt about the skill."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"


class FeedbackStatus(StrEnum):
    """How far a feedback item has been dealt with."""

    OPEN = "open"
    RESOLVED = "resolved"


class SkillFeedback(Struct, frozen=True):
    """One feedback item. `skill_version_id` is the version that was published when it was written.

    `user_name` is the name that its user has now; None for one without a name, and for one who was deleted.
    """

    id: str
    skill_id: str
    skill_version_id: str | None
    user_id: str | None
    feedback_type: FeedbackType
    sentiment: Sentiment | None
    comment: str | None
    status: FeedbackStatus
    created_at: datetime
    user_name: str | None


class SkillFeedbackPage(Struct, frozen=True):
    """A page of a skill's feedback, newest first. `next_cursor` is None on the last one."""

    items: list[SkillFeedback]
    next_cursor: str | None


class FeedbackCursor(Cursor, frozen=True):
    """The last item of a page: the next one starts behind it, newest first, ties by id."""

    created_at: datetime
    feedback_id: str

    def checked(self) -> "FeedbackCursor":
        """Returns it with plain values. Raises InvalidInput."""
        return FeedbackCursor(check_moment("created_at", self.created_at), check_id("feedback_id", self.feedback_id))
