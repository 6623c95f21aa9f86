"""The table of feedback on skills."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from everyskill.schema.base import NOW, TIMESTAMP_MS, Base, GeneratedId, TextColumn


class SkillFeedbackItems(Base):
    """One thing somebody said about a skill."""

    __tablename__ = "skill_feedback"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        ForeignKeyConstraint(["tenant_id", "skill_id"], ["skills.tenant_id", "skills.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["tenant_id", "skill_version_id"],
            ["skill_versions.tenant_id", "skill_versions.id"],
            ondelete="SET NULL (skill_version_id)",
        ),
        ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"], ondelete="SET NULL (user_id)"),
        CheckConstraint("feedback_type IN ('comment', 'bug', 'idea', 'praise')", name="feedback_type"),
        CheckConstraint("sentiment IN ('positive', 'neutral', 'negative')", name="sentiment"),
        CheckConstraint("status IN ('open', 'resolved')", name="status"),
        # "How much since": one range of this index answers it.
        Index("skill_feedback_skill_created_idx", "tenant_id", "skill_id", "created_at"),
    )

    tenant_id: Mapped[TextColumn] = mapped_column(primary_key=True)
    id: Mapped[GeneratedId] = mapped_column(primary_key=True)
    skill_id: Mapped[TextColumn]
    skill_version_id: Mapped[TextColumn | None]
    user_id: Mapped[TextColumn | None]
    feedback_type: Mapped[TextColumn] = mapped_column(server_default="comment")
    sentiment: Mapped[TextColumn | None]
    comment: Mapped[TextColumn | None]
    status: Mapped[TextColumn] = mapped_column(server_default="open")
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP_MS, server_default=NOW)
