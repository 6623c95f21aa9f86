"""The table of skills as the catalog shows them now."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from everyskill.schema.base import NOW, TIMESTAMP_MS, Base, GeneratedId, TextColumn


class Skills(Base):
    """A skill: what its published version says of it, and when that became visible."""

    __tablename__ = "skills"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        # Skills and versions point at each other, so this key is added after both tables exist.
        ForeignKeyConstraint(
            ["tenant_id", "published_version_id", "published_version"],
            ["skill_versions.tenant_id", "skill_versions.id", "skill_versions.version"],
            ondelete="SET NULL (published_version_id, published_version)",
            use_alter=True,
        ),
        ForeignKeyConstraint(
            ["tenant_id", "author_id"], ["users.tenant_id", "users.id"], ondelete="SET NULL (author_id)"
        ),
        ForeignKeyConstraint(
            ["tenant_id", "successor_id"], ["skills.tenant_id", "skills.id"], ondelete="SET NULL (successor_id)"
        ),
        ForeignKeyConstraint(
            ["tenant_id", "source"], ["skill_sources.tenant_id", "skill_sources.address"], ondelete="SET NULL (source)"
        ),
        UniqueConstraint("tenant_id", "slug"),
        CheckConstraint("status IN ('draft', 'published', 'archived')", name="status"),
        CheckConstraint("(published_version_id IS NULL) = (published_version IS NULL)", name="published_version"),
        CheckConstraint("announced_version <= published_version", name="announced_version"),
        # What's New walks this from the newest update down.
        Index(
            "skills_recent_updates_idx",
            "tenant_id",
            text("updated_at DESC"),
            "id",
            postgresql_where=text("status = 'published'"),
        ),
        # A feed walks this from where it ended the last time. Of all skills, as the newest may be hidden again.
        Index("skills_visible_idx", "tenant_id", "visible_at"),
        # Deleting a skill or a source looks for what refers to it.
        Index("skills_successor_idx", "tenant_id", "successor_id", postgresql_where=text("successor_id IS NOT NULL")),
        Index("skills_source_idx", "tenant_id", "source", postgresql_where=text("source IS NOT NULL")),
    )

    tenant_id: Mapped[TextColumn] = mapped_column(primary_key=True)
    id: Mapped[GeneratedId] = mapped_column(primary_key=True)
    name: Mapped[TextColumn]
    slug: Mapped[TextColumn]
    description: Mapped[TextColumn]
    category: Mapped[TextColumn]
    status: Mapped[TextColumn] = mapped_column(server_default="draft")
    published_version_id: Mapped[TextColumn | None]
    # The number of that version, held to it by the key: every badge compares it, and so looks up one table less.
    published_version: Mapped[int | None]
    author_id: Mapped[TextColumn | None]
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP_MS, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(TIMESTAMP_MS, server_default=NOW)
    # The moment it was last published or shown again. Taken under the tenant's lock (database/catalog/visible_at.py):
    # whoever sees a skill sees all skills of the tenant with earlier ones.
    visible_at: Mapped[datetime] = mapped_column(TIMESTAMP_MS, server_default=NOW)
    # The newest version that badges (S17); NULL where that is the published one.
    announced_version: Mapped[int | None]
    # What to use instead of an archived skill.
    successor_id: Mapped[TextColumn | None]
    # Where it is synchronized from, and its folder there.
    source: Mapped[TextColumn | None]
    source_path: Mapped[TextColumn | None]

    # By name: the module of the views imports this one.
    views: Mapped[list[Any]] = relationship("UserSkillViews", back_populates="skill", viewonly=True)
