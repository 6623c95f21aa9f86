"""The table of companies. Its own id is the tenant."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from everyskill.schema.base import NOW, TIMESTAMPTZ, Base, TextColumn


class Tenants(Base):
    """A company. Every other row belongs to one."""

    __tablename__ = "tenants"
    __table_args__ = (
        # Outside a tenant's transaction the setting reads '', which must match no row.
        CheckConstraint("id <> ''", name="id"),
        UniqueConstraint("slug"),
    )

    id: Mapped[TextColumn] = mapped_column(primary_key=True)
    name: Mapped[TextColumn]
    slug: Mapped[TextColumn]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(TIMESTAMPTZ, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(TIMESTAMPTZ, server_default=NOW)

    # By name: the module of the views imports this one.
    skill_views: Mapped[list[Any]] = relationship("UserSkillViews", back_populates="tenant", viewonly=True)
