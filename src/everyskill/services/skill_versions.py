"""Reading a skill: what it says now, its history, and how two of its versions differ."""

import asyncio

from everyskill.database import skill_versions
from everyskill.database.scope import TenantConnection, TenantScope
from everyskill.errors import SkillNotFound, VersionNotFound
from everyskill.model.diffs import FileDiff, diff_versions
from everyskill.model.inputs import check_id, check_version
from everyskill.model.skills import Skill, SkillText, SkillVersion, VersionSummary


async def read_skill(tenant: TenantScope, slug_or_id: str) -> SkillText:
    """A published skill by slug or id, with the text of its published version. Records nothing (S10).

    Raises SkillNotFound for one that is not there, hidden, or another tenant's; InvalidIdentifier.
    """
    async with tenant.reading() as connection:
        skill = await _find(connection, slug_or_id)
        number = skill.published_version
        published = None if number is None else await skill_versions.find_version(connection, skill.id, number)
    return SkillText(skill, published)


async def list_versions(tenant: TenantScope, slug_or_id: str) -> list[VersionSummary]:
    """The history of a published skill, newest first, without the texts. Raises as read_skill does."""
    async with tenant.reading() as connection:
        skill = await _find(connection, slug_or_id)
        return await skill_versions.find_summaries(connection, skill.id)


async def compare_versions(tenant: TenantScope, slug_or_id: str, old: int, new: int) -> list[FileDiff]:
    """How one version of a published skill differs from another, file by file.

    Raises VersionNotFound for a number the skill does not have, InvalidVersion, and what read_skill raises.
    """
    check_version(old)
    check_version(new)
    async with tenant.reading() as connection:
        skill = await _find(connection, slug_or_id)
        before, after = [await _find_version(connection, skill, number) for number in (old, new)]
    # Long texts take a while to compare, and others wait on this loop.
    return await asyncio.to_thread(diff_versions, before, after)


async def _find(connection: TenantConnection, slug_or_id: str) -> Skill:
    skill = await skill_versions.find_visible_skill(connection, check_id("skill", slug_or_id))
    if skill is None:
        raise SkillNotFound(slug_or_id)
    return skill


async def _find_version(connection: TenantConnection, skill: Skill, number: int) -> SkillVersion:
    version = await skill_versions.find_version(connection, skill.id, number)
    if version is None:
        raise VersionNotFound(number)
    return version
