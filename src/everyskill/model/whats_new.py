"""The What's New feed: its items, its 30-day window, and the cursor that pages through it."""

import base64
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from everyskill.errors import InvalidCursor, InvalidInput
from everyskill.model.inputs import check_id, check_moment, shown

WINDOW = timedelta(days=30)
DEFAULT_LIMIT = 10


class WhatsNewItem(Struct, frozen=True):
    """A skill that changed since the user last looked. Times are aware, in UTC."""

    skill_id: str
    skill_name: str
    skill_slug: str
    category: str
    updated_at: datetime
    last_viewed_at: datetime
    view_count: int


class WhatsNewPage(Struct, frozen=True):
    """A page of the feed. `as_of` is the newest change that its first page knew of; mark_all_seen takes it."""

    items: list[WhatsNewItem]
    next_cursor: str | None
    as_of: datetime


class FeedCursor(Struct, frozen=True, array_like=True):
    """The last item of a page: the next one starts behind it, newest first, ties by skill id.

    `as_of` is the moment of the first page: what became visible after it stands on no page that follows.
    """

    as_of: datetime
    updated_at: datetime
    skill_id: str

    def encode(self) -> str:
        """The cursor as URL-safe text."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "FeedCursor":
        """Reads what `encode` wrote. Raises InvalidCursor for anything else."""
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            cursor = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=cls)
            as_of, updated_at = check_moment("as_of", cursor.as_of), check_moment("updated_at", cursor.updated_at)
            return cls(as_of, updated_at, check_id("skill_id", cursor.skill_id))
        except (ValueError, AttributeError, RecursionError, InvalidInput) as error:
            raise InvalidCursor(str(shown(text))) from error
