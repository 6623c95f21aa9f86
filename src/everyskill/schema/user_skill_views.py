"""The table at the heart: who last saw which skill, when, in which version, how often."""

from datetime import datetime

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from everyskill.schema.base import NOW, RANDOM_ID, TIMESTAMP_MS, Base, TextColumn
from everyskill.schema.skills import Skills
from everyskill.schema.tenants import Tenants
from everyskill.schema.users import Users


class UserSkillViews(Base):
    """One line a user and skill; written on every page view, so it is shaped for updates that touch no index."""

    __tablename__ = "user_skill_views"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["tenant_id", "skill_id"], ["skills.tenant_id", "skills.id"], ondelete="CASCADE"),
        UniqueConstraint("tenant_id", "user_id", "skill_id", name="user_skill_views_tenant_user_skill_unique"),
        # The three are EverySkill's own. Deleting a skill finds its views by skill_id; no statement of ours needs the
        # others.
        Index("user_skill_views_user_id_idx", "user_id"),
        Index("user_skill_views_skill_id_idx", "skill_id"),
        Index("user_skill_views_tenant_id_idx", "tenant_id"),
        # A B-tree here would take a new entry in every index at each re-view. BRIN lets PostgreSQL 16+ update the row
        # in place (HOT), which doubles the write speed; no question of ours needs these columns in order.
        Index("user_skill_views_user_viewed_idx", "user_id", "last_viewed_at", postgresql_using="brin"),
        # Room for the updated row beside the old one: HOT needs both on one page.
        {"postgresql_with": {"fillfactor": 85}},
    )

    # The one key that does not lead with the tenant; being random, it reveals nothing of other tenants.
    id: Mapped[str] = mapped_column(Text, primary_key=True, server_default=RANDOM_ID)
    tenant_id: Mapped[str] = mapped_column(Text, ForeignKey("tenants.id"))
    user_id: Mapped[TextColumn]
    skill_id: Mapped[TextColumn]
    last_viewed_at: Mapped[datetime] = mapped_column(TIMESTAMP_MS, server_default=NOW)
    last_viewed_version: Mapped[int | None]
    view_count: Mapped[int] = mapped_column(server_default=text("1"))

    # The keys share the tenant column, and none of these relations writes: the services do.
    tenant: Mapped[Tenants] = relationship(back_populates="skill_views", viewonly=True)
    user: Mapped[Users] = relationship(back_populates="skill_views", viewonly=True)
    skill: Mapped[Skills] = relationship(back_populates="views", viewonly=True)
