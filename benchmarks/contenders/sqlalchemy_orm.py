"""What a Python team would write first: the same questions in SQLAlchemy's ORM, an async session for each call."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import DateTime, ForeignKey, String, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from benchmarks.dataset import EXTREME, LARGE
from benchmarks.driver import Ask

WINDOW = timedelta(days=30)


class Base(DeclarativeBase):
    """The tables of plain_schema.sql."""

    type_annotation_map = {str: String, datetime: DateTime(timezone=True)}  # noqa: RUF012 - as SQLAlchemy wants it


class Skill(Base):
    """A skill."""

    __tablename__ = "skills"
    id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    name: Mapped[str]
    slug: Mapped[str]
    category: Mapped[str]
    status: Mapped[str]
    published_version_id: Mapped[str | None] = mapped_column(ForeignKey("skill_versions.id"))
    updated_at: Mapped[datetime]


class SkillVersion(Base):
    """One version of it."""

    __tablename__ = "skill_versions"
    id: Mapped[str] = mapped_column(primary_key=True)
    skill_id: Mapped[str]
    version: Mapped[int]
    description: Mapped[str]


class SkillFeedback(Base):
    """What people say of it."""

    __tablename__ = "skill_feedback"
    id: Mapped[str] = mapped_column(primary_key=True)
    skill_id: Mapped[str]
    created_at: Mapped[datetime]


class View(Base):
    """Who last saw it when."""

    __tablename__ = "user_skill_views"
    id: Mapped[str] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    tenant_id: Mapped[str]
    user_id: Mapped[str]
    skill_id: Mapped[str]
    last_viewed_at: Mapped[datetime]
    last_viewed_version: Mapped[int | None]
    view_count: Mapped[int]


class Views:
    """The calls of one tenant."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], tenant_id: str) -> None:
        self._sessions = sessions
        self._tenant_id = tenant_id

    async def record(self, user_id: str, skill_id: str, version: int) -> None:
        """Record a view."""
        async with self._sessions() as session, session.begin():
            await self._record(session, user_id, skill_id, version)

    async def badges(self, user_id: str, skill_ids: Sequence[str]) -> set[str]:
        """Which of some skills are updated."""
        return {view.skill_id for view, updated in await self.find_states(user_id, skill_ids) if updated}

    async def find_states(self, user_id: str, skill_ids: Sequence[str]) -> list[tuple[View, bool]]:
        """The views of some skills, and whether these were updated since."""
        async with self._sessions() as session:
            rows = await session.execute(
                select(View, Skill, SkillVersion)
                .join(Skill, Skill.id == View.skill_id)
                .outerjoin(SkillVersion, SkillVersion.id == Skill.published_version_id)
                .where(View.tenant_id == self._tenant_id, View.user_id == user_id, View.skill_id.in_(skill_ids))
            )
            return [(view, _is_updated(view, skill, version)) for view, skill, version in rows]

    async def visit(self, user_id: str, skill_id: str) -> tuple[bool, int]:
        """What changed, and record."""
        async with self._sessions() as session, session.begin():
            skill = await session.get_one(Skill, skill_id)
            version = await session.get_one(SkillVersion, skill.published_version_id)
            view = await session.scalar(self._of(user_id).where(View.skill_id == skill_id))
            updated = view is not None and _is_updated(view, skill, version)
            since = view.last_viewed_at if view else datetime.now(UTC)
            counted = select(func.count()).where(SkillFeedback.skill_id == skill_id, SkillFeedback.created_at > since)
            feedback = await session.scalar(counted) or 0
            await self._record(session, user_id, skill_id, version.version)
        return updated, feedback

    async def whats_new(
        self, user_id: str, limit: int = 10
    ) -> list[tuple[str, str, str, str, datetime, datetime, int]]:
        """The feed."""
        async with self._sessions() as session:
            rows = await session.execute(
                select(View, Skill)
                .join(Skill, Skill.id == View.skill_id)
                .where(
                    View.tenant_id == self._tenant_id,
                    View.user_id == user_id,
                    Skill.status == "published",
                    Skill.updated_at > View.last_viewed_at,
                    Skill.updated_at >= datetime.now(UTC) - WINDOW,
                )
                .order_by(Skill.updated_at.desc(), Skill.id)
                .limit(limit)
            )
            return [
                (
                    skill.id,
                    skill.name,
                    skill.slug,
                    skill.category,
                    skill.updated_at,
                    view.last_viewed_at,
                    view.view_count,
                )
                for view, skill in rows
            ]

    async def _record(self, session: AsyncSession, user_id: str, skill_id: str, version: int) -> None:
        new = insert(View).values(
            tenant_id=self._tenant_id,
            user_id=user_id,
            skill_id=skill_id,
            last_viewed_at=func.now(),
            last_viewed_version=version,
            view_count=1,
        )
        await session.execute(
            new.on_conflict_do_update(
                constraint="user_skill_views_tenant_user_skill_unique",
                set_={
                    "last_viewed_at": new.excluded.last_viewed_at,
                    "last_viewed_version": new.excluded.last_viewed_version,
                    "view_count": View.view_count + 1,
                },
            )
        )

    def _of(self, user_id: str) -> Any:
        return select(View).where(View.tenant_id == self._tenant_id, View.user_id == user_id)


def _is_updated(view: View, skill: Skill, version: SkillVersion | None) -> bool:
    newer = version is not None and view.last_viewed_version is not None and version.version > view.last_viewed_version
    return newer or skill.updated_at > view.last_viewed_at


@asynccontextmanager
async def open_views(url: str) -> AsyncIterator[tuple[Views, Views]]:
    """The calls of the large and of the extreme tenant."""
    engine = create_async_engine("postgresql+asyncpg://", pool_size=10, max_overflow=0, connect_args={"dsn": url})
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    yield Views(sessions, LARGE), Views(sessions, EXTREME)
    await engine.dispose()


@asynccontextmanager
async def open_contender(url: str) -> AsyncIterator[dict[str, Ask]]:
    """All calls."""
    async with open_views(url) as (large, extreme):
        yield {
            "record": large.record,
            "badges": large.badges,
            "visit": large.visit,
            "whats_new": large.whats_new,
            "whats_new_extreme": extreme.whats_new,
        }
