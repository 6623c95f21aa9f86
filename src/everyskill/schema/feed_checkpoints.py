"""The table of how far each person's feed is known: derived from the others, and lost without loss."""

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from everyskill.schema.base import RANDOM_ID, TIMESTAMP_MS, Base, TextColumn


class FeedCheckpoints(Base):
    """Of all skills up to that `visible_at`, those in `pending_skill_ids` alone are updated for the user.

    Where `complete_above` is not NULL, it says so only of updates later than that. A NULL `visible_at` says nothing.
    """

    __tablename__ = "feed_checkpoints"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"], ondelete="CASCADE"),
    )

    tenant_id: Mapped[TextColumn] = mapped_column(primary_key=True)
    user_id: Mapped[TextColumn] = mapped_column(primary_key=True)
    visible_at: Mapped[datetime | None] = mapped_column(TIMESTAMP_MS)
    pending_skill_ids: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    complete_above: Mapped[datetime | None] = mapped_column(TIMESTAMP_MS)
    # Another one each time it is invalidated: a feed that was read before that must not save it again.
    token: Mapped[TextColumn] = mapped_column(server_default=RANDOM_ID)
