"""Asks about skills and their versions."""

from typing import Any

import msgspec
from asyncpg import Record
from sqlalchemy import Integer, and_, false, func, or_, select
from sqlalchemy.sql import Select

from everyskill.database.scope import TenantConnection
from everyskill.database.statements import TENANT, Statement, parameter
from everyskill.model.skills import (
    Skill,
    SkillFile,
    SkillListItem,
    SkillStatus,
    SkillVersion,
)
from everyskill.schema import IS_PUBLISHED, IS_UPDATED, VIEWS, Skills, SkillVersions, UserSkillViews

SKILL_FIELDS = (
    Skills.id,
    Skills.name,
    Skills.slug,
    Skills.description,
    Skills.category,
    Skills.status,
    Skills.published_version_id,
    Skills.published_version,
    Skills.author_id,
    Skills.created_at,
    Skills.updated_at,
)
_LIST_FIELDS = (
    Skills.id,
    Skills.name,
    Skills.slug,
    Skills.description,
    Skills.category,
    Skills.status,
    Skills.published_version,
    Skills.updated_at,
)
VERSION_FIELDS = (
    SkillVersions.id,
    SkillVersions.skill_id,
    SkillVersions.version,
    SkillVersions.name,
    SkillVersions.description,
    SkillVersions.content,
    SkillVersions.content_hash,
    SkillVersions.files,
    SkillVersions.created_by,
    SkillVersions.created_at,
)
OF_SLUG = and_(Skills.tenant_id == TENANT, Skills.slug == parameter("slug"))

FIND_SKILL = Statement(select(*SKILL_FIELDS).where(OF_SLUG))
FIND_VERSIONS = Statement(
    select(*VERSION_FIELDS)
    .where(SkillVersions.tenant_id == TENANT, SkillVersions.skill_id == parameter("skill_id"))
    .order_by(SkillVersions.version.desc())
)
LIST_CATEGORIES = Statement(
    select(Skills.category).where(Skills.tenant_id == TENANT, IS_PUBLISHED).distinct().order_by(Skills.category)
)
FIND_VERSION_NUMBER = Statement(
    select(SkillVersions.version).where(SkillVersions.tenant_id == TENANT, SkillVersions.id == parameter("version_id"))
)


def _matching() -> Select[*tuple[Any, ...]]:
    """A page of the catalog by slug. A filter that is NULL lets everything pass."""
    category, status, words = parameter("category"), parameter("status"), parameter("text")
    return (
        select(*_LIST_FIELDS)
        .select_from(Skills)
        .where(
            Skills.tenant_id == TENANT,
            or_(status.is_(None), Skills.status == status),
            or_(category.is_(None), Skills.category == category),
            or_(
                words.is_(None),
                # strpos, not LIKE: what people type holds % and _ that mean themselves.
                func.strpos(
                    func.lower(func.concat_ws(" ", Skills.name, Skills.slug, Skills.description)), func.lower(words)
                )
                > 0,
            ),
            or_(parameter("after_slug").is_(None), Skills.slug > parameter("after_slug")),
        )
        .order_by(Skills.slug)
        .limit(parameter("limit", Integer))
    )


LIST_SKILLS = Statement(_matching().add_columns(false().label("is_updated")))
LIST_SKILLS_FOR_USER = Statement(
    _matching()
    .outerjoin(UserSkillViews, and_(VIEWS, UserSkillViews.user_id == parameter("user_id")))
    .add_columns(func.coalesce(IS_UPDATED, false()).label("is_updated"))
)


async def find_skill(connection: TenantConnection, slug: str) -> Skill | None:
    """The skill of that slug, hidden or not."""
    row = await connection.fetch_row(FIND_SKILL, slug=slug)
    return None if row is None else msgspec.convert(dict(row), Skill)


async def find_versions(connection: TenantConnection, skill_id: str) -> list[SkillVersion]:
    """All versions of a skill, newest first."""
    return [version_of(row) for row in await connection.fetch(FIND_VERSIONS, skill_id=skill_id)]


async def find_version_number(connection: TenantConnection, version_id: str) -> int | None:
    """The number of a version, if there is one of that id."""
    number: int | None = await connection.fetch_value(FIND_VERSION_NUMBER, version_id=version_id)
    return number


async def list_skills(
    connection: TenantConnection,
    user_id: str | None,
    *,
    category: str | None,
    text: str | None,
    status: SkillStatus | None,
    after_slug: str | None,
    limit: int,
) -> list[SkillListItem]:
    """Skills by slug, behind `after_slug`; with a user's badges where a user is named. `text` is lower case."""
    filters = {"category": category, "text": text, "status": status, "after_slug": after_slug, "limit": limit}
    if user_id is None:
        rows = await connection.fetch(LIST_SKILLS, **filters)
    else:
        rows = await connection.fetch(LIST_SKILLS_FOR_USER, user_id=user_id, **filters)
    return [msgspec.convert(dict(row), SkillListItem) for row in rows]


async def list_categories(connection: TenantConnection) -> list[str]:
    """The categories that published skills are in, by name."""
    return [row["category"] for row in await connection.fetch(LIST_CATEGORIES)]


def version_of(row: Record) -> SkillVersion:
    """A row of VERSION_FIELDS as a value."""
    values = {**row, "files": msgspec.json.decode(row["files"], type=tuple[SkillFile, ...])}
    return msgspec.convert(values, SkillVersion)
