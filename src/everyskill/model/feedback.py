"""What people say about a skill."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


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
    """One feedback item. `skill_version_id` is the version that was published when it was written."""

    id: str
    skill_id: str
    skill_version_id: str | None
    user_id: str | None
    feedback_type: FeedbackType
    sentiment: Sentiment | None
    comment: str | None
    status: FeedbackStatus
    created_at: datetime
