"""Asks for one skill by whatever it is called, and for single versions of it."""

from msgspec import convert
from sqlalchemy import Integer, and_, or_, select

from everyskill.database.scope import TenantConnection
from everyskill.database.skills import SKILL_FIELDS, VERSION_FIELDS, version_of
from everyskill.database.statements import TENANT, Statement, parameter
from everyskill.model.skills import Skill, SkillVersion, VersionSummary
from everyskill.schema import IS_PUBLISHED, Skills, SkillVersions

_CALLED = parameter("slug_or_id")
_OF_SKILL = and_(SkillVersions.tenant_id == TENANT, SkillVersions.skill_id == parameter("skill_id"))

FIND_VISIBLE_SKILL = Statement(
    select(*SKILL_FIELDS)
    .where(Skills.tenant_id == TENANT, or_(Skills.id == _CALLED, Skills.slug == _CALLED), IS_PUBLISHED)
    # A slug may look like an id; then the id counts, as it never changes.
    .order_by((Skills.id == _CALLED).desc())
    .limit(1)
)
FIND_VERSION = Statement(
    select(*VERSION_FIELDS).where(_OF_SKILL, SkillVersions.version == parameter("number", Integer))
)
FIND_SUMMARIES = Statement(
    select(
        SkillVersions.id,
        SkillVersions.version,
        SkillVersions.name,
        SkillVersions.description,
        SkillVersions.content_hash,
        SkillVersions.created_by,
        SkillVersions.created_at,
    )
    .where(_OF_SKILL)
    .order_by(SkillVersions.version.desc())
)


async def find_visible_skill(connection: TenantConnection, slug_or_id: str) -> Skill | None:
    """The published skill of that slug or id."""
    row = await connection.fetch_row(FIND_VISIBLE_SKILL, slug_or_id=slug_or_id)
    return None if row is None else convert(dict(row), Skill)


async def find_version(connection: TenantConnection, skill_id: str, number: int) -> SkillVersion | None:
    """A version of a skill by its number."""
    row = await connection.fetch_row(FIND_VERSION, skill_id=skill_id, number=number)
    return None if row is None else version_of(row)


async def find_summaries(connection: TenantConnection, skill_id: str) -> list[VersionSummary]:
    """All versions of a skill without their texts, newest first."""
    return [VersionSummary(*row) for row in await connection.fetch(FIND_SUMMARIES, skill_id=skill_id)]
