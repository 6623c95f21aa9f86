"""The table of people."""

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from everyskill.schema.base import MOMENT, NOW, Base, TextColumn

if TYPE_CHECKING:
    from everyskill.schema.user_skill_views import UserSkillViews


class Users(Base):
    """A person of one tenant."""

    __tablename__ = "users"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        UniqueConstraint("tenant_id", "email"),
        CheckConstraint("role IN ('admin', 'member')", name="role"),
    )

    tenant_id: Mapped[TextColumn] = mapped_column(primary_key=True)
    id: Mapped[TextColumn] = mapped_column(primary_key=True)
    email: Mapped[TextColumn | None]
    name: Mapped[TextColumn | None]
    role: Mapped[TextColumn] = mapped_column(server_default="member")
    created_at: Mapped[datetime] = mapped_column(MOMENT, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(MOMENT, server_default=NOW)

    skill_views: Mapped[list["UserSkillViews"]] = relationship(back_populates="user", viewonly=True)
