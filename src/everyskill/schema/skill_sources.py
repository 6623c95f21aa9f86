"""The table of the places that skills are synchronized from."""

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from everyskill.schema.base import NOW, TIMESTAMP_MS, Base, TextColumn


class SkillSources(Base):
    """A source by its address, and how far it was read: `revision` is the commit, where it is a git repository."""

    __tablename__ = "skill_sources"
    __table_args__ = (ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),)

    tenant_id: Mapped[TextColumn] = mapped_column(primary_key=True)
    address: Mapped[TextColumn] = mapped_column(primary_key=True)
    ref: Mapped[TextColumn | None]
    revision: Mapped[TextColumn | None]
    synced_at: Mapped[datetime] = mapped_column(TIMESTAMP_MS, server_default=NOW)
