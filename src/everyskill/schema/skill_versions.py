"""The table of versions. The application may insert and read them, never change them."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from everyskill.schema.base import NOW, TIMESTAMP_MS, Base, GeneratedId, TextColumn


class SkillVersions(Base):
    """One version of a skill. `files` is a list of `{path, size, hash}`."""

    __tablename__ = "skill_versions"
    __table_args__ = (
        # What a skill refers to: its copy of the number can be no other than the version's.
        UniqueConstraint("tenant_id", "id", "version"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        ForeignKeyConstraint(["tenant_id", "skill_id"], ["skills.tenant_id", "skills.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["tenant_id", "created_by"], ["users.tenant_id", "users.id"], ondelete="SET NULL (created_by)"
        ),
        UniqueConstraint("tenant_id", "skill_id", "version"),
        CheckConstraint("version >= 1", name="version"),
    )

    tenant_id: Mapped[TextColumn] = mapped_column(primary_key=True)
    id: Mapped[GeneratedId] = mapped_column(primary_key=True)
    skill_id: Mapped[TextColumn]
    version: Mapped[int]
    name: Mapped[TextColumn]
    description: Mapped[TextColumn]
    content: Mapped[TextColumn]
    content_hash: Mapped[TextColumn]
    files: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    created_by: Mapped[TextColumn | None]
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP_MS, server_default=NOW)
