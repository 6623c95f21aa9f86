"""The table of slugs that skills had before they were renamed."""

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from everyskill.schema.base import NOW, TIMESTAMP_MS, Base, TextColumn


class SkillRedirects(Base):
    """A slug that leads to a skill, unless another skill has it now."""

    __tablename__ = "skill_redirects"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "skill_id"], ["skills.tenant_id", "skills.id"], ondelete="CASCADE"),
        # Deleting a skill looks for its old slugs.
        Index("skill_redirects_skill_idx", "tenant_id", "skill_id"),
    )

    tenant_id: Mapped[TextColumn] = mapped_column(primary_key=True)
    slug: Mapped[TextColumn] = mapped_column(primary_key=True)
    skill_id: Mapped[TextColumn]
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP_MS, server_default=NOW)
