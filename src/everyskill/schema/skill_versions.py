"""The table of versions. The application may insert and read them, never change them."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from everyskill.schema.base import NOW, TIMESTAMP_MS, Base, GeneratedId, TextColumn


class SkillVersions(Base):
    """One version of a skill. `files` is a list of `{path, size, hash}`.

    NULL in `category`, `front_matter` or `capabilities` says that it is not known, as for versions of older programs.
    """

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
    category: Mapped[TextColumn | None]
    # Not JSONB, which forgets the author's order.
    front_matter: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    capabilities: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    # Of an author who is not a user: a name from a git repository, say.
    author_name: Mapped[TextColumn | None]
    note: Mapped[TextColumn | None]
    # When the author says that it was made. Only to be shown: what is new is decided by moments of the database.
    authored_at: Mapped[datetime | None] = mapped_column(TIMESTAMP_MS)
    is_quiet: Mapped[bool] = mapped_column(server_default=text("false"))
