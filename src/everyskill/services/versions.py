"""Versions: the history of a skill, and how two of its versions differ."""

from everyskill.database.catalog import versions
from everyskill.database.transactions import TenantConnection
from everyskill.errors import VersionNotFound
from everyskill.model.diffs import FileDiff, diff_versions
from everyskill.model.inputs import MAX_LIMIT, MAX_VERSION, check_id, check_limit, check_type, check_version
from everyskill.model.skills import SkillVersion, VersionSummary
from everyskill.services.skills import require_skill
from everyskill.services.tenant_scope import TenantScope


async def list_versions(
    tenant: TenantScope,
    slug_or_id: str,
    *,
    include_hidden: bool = False,
    limit: int = MAX_LIMIT,
    up_to: int = MAX_VERSION,
) -> list[VersionSummary]:
    """A page of a skill's history, newest first, without the texts.

    `limit` is 1 to 100; `up_to` is the highest number of the page: for the next one, a number below the last page's
    lowest. Raises InvalidLimit, InvalidVersion, and what get_skill raises.
    """
    slug_or_id = check_id("skill", slug_or_id)
    check_type("include_hidden", include_hidden, bool)
    limit, up_to = check_limit(limit), check_version(up_to)
    async with tenant._transactions.read() as connection:
        skill = await require_skill(connection, slug_or_id, include_hidden=include_hidden)
        return await versions.list_versions(connection, skill.id, limit=limit, up_to=up_to)


async def get_version(
    tenant: TenantScope, slug_or_id: str, number: int, *, include_hidden: bool = False
) -> SkillVersion:
    """One version of a skill, text included. Records nothing (S10).

    Raises SkillNotFound, VersionNotFound, InvalidArgument, InvalidIdentifier, InvalidVersion.
    """
    slug_or_id = check_id("skill", slug_or_id)
    number = check_version(number)
    check_type("include_hidden", include_hidden, bool)
    async with tenant._transactions.read() as connection:
        skill = await require_skill(connection, slug_or_id, include_hidden=include_hidden)
        return await require_version(connection, skill.id, number)


async def compare_versions(tenant: TenantScope, slug_or_id: str, old: int, new: int) -> list[FileDiff]:
    """How one version of a published skill differs from another, file by file.

    Raises VersionNotFound for a number the skill does not have, InvalidVersion, and what get_skill raises.
    """
    slug_or_id = check_id("skill", slug_or_id)
    check_version(old)
    check_version(new)
    async with tenant._transactions.read() as connection:
        skill = await require_skill(connection, slug_or_id)
        before, after = [await require_version(connection, skill.id, number) for number in (old, new)]
    return await tenant.run_in_worker(lambda: diff_versions(before, after, tenant._diff_lines))


async def get_version_number(tenant: TenantScope, version_id: str) -> int | None:
    """The number of a version: 1, 2, 3 … of its skill, hidden or not (S11); None when there is no such version here.

    Raises InvalidIdentifier.
    """
    version_id = check_id("version_id", version_id)
    async with tenant._transactions.read() as connection:
        return await versions.find_version_number(connection, version_id)


async def require_version(connection: TenantConnection, skill_id: str, number: int) -> SkillVersion:
    """The version of that number. Raises VersionNotFound."""
    version = await versions.find_version(connection, skill_id, number)
    if version is None:
        raise VersionNotFound(number)
    return version
