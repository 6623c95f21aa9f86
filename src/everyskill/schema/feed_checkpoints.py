"""The table of how far each person's feed is known: derived from the others, and lost without loss."""

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from everyskill.schema.base import MILLISECONDS, RANDOM_ID, Base, TextColumn


class FeedCheckpoints(Base):
    """Of all skills up to that `visible_at`, those in `waiting` alone are updated for the user.

    Where `down_to` is not NULL, that is said of updates later than it alone. A NULL `visible_at` says nothing at all.
    """

    __tablename__ = "feed_checkpoints"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"], ondelete="CASCADE"),
    )

    tenant_id: Mapped[TextColumn] = mapped_column(primary_key=True)
    user_id: Mapped[TextColumn] = mapped_column(primary_key=True)
    visible_at: Mapped[datetime | None] = mapped_column(MILLISECONDS)
    waiting: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    down_to: Mapped[datetime | None] = mapped_column(MILLISECONDS)
    # Another one each time it is taken back: who began to read the feed before that must not bring it again.
    token: Mapped[TextColumn] = mapped_column(server_default=RANDOM_ID)
