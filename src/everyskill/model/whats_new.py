"""The What's New feed: its items, its 30-day window, and the cursor that pages through it."""

from datetime import datetime, timedelta

from msgspec import Struct

from everyskill.model.changes import ChangeItem
from everyskill.model.cursors import Cursor
from everyskill.model.inputs import check_id, check_moment

WINDOW = timedelta(days=30)
DEFAULT_LIMIT = 10


class WhatsNewItem(Struct, frozen=True):
    """A skill that changed since the user last looked. Times are aware, in UTC.

    `changes` is its change summary where a page was asked for; the first items alone come without.
    """

    skill_id: str
    skill_name: str
    skill_slug: str
    category: str
    updated_at: datetime
    last_viewed_at: datetime
    view_count: int
    changes: list[ChangeItem] = []


class WhatsNewPage(Struct, frozen=True):
    """A page of the feed. `as_of` is the newest change that its first page knew of; mark_all_seen takes it."""

    items: list[WhatsNewItem]
    next_cursor: str | None
    as_of: datetime


class FeedCursor(Cursor, frozen=True):
    """The last item of a page: the next one starts behind it, newest first, ties by skill id.

    `as_of` is the moment of the first page: what became visible after it stands on no page that follows.
    """

    as_of: datetime
    updated_at: datetime
    skill_id: str

    def checked(self) -> "FeedCursor":
        """Returns it with plain values. Raises InvalidInput."""
        as_of, updated_at = check_moment("as_of", self.as_of), check_moment("updated_at", self.updated_at)
        return FeedCursor(as_of, updated_at, check_id("skill_id", self.skill_id))
