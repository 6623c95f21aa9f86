"""The table of people."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from everyskill.schema.base import NOW, TIMESTAMPTZ, Base, TextColumn


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
    created_at: Mapped[datetime] = mapped_column(TIMESTAMPTZ, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(TIMESTAMPTZ, server_default=NOW)
    # How often the user signed out: a session of an earlier generation is over.
    session_generation: Mapped[int] = mapped_column(server_default=text("0"))

    # By name: the module of the views imports this one.
    skill_views: Mapped[list[Any]] = relationship("UserSkillViews", back_populates="user", viewonly=True)
