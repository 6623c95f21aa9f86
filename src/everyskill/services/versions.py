"""Versions: the history of a skill, and how two of its versions differ."""

from msgspec.structs import replace

from everyskill.database.catalog import files, versions
from everyskill.database.transactions import TenantConnection
from everyskill.errors import SkillFileNotFound, VersionNotFound
from everyskill.model.diffs import FileDiff, diff_versions, differing_files
from everyskill.model.inputs import (
    MAX_DESCRIPTION_LENGTH,
    MAX_LIMIT,
    MAX_VERSION,
    check_id,
    check_limit,
    check_text,
    check_type,
    check_version,
)
from everyskill.model.skills import MAX_CONTENT_LENGTH, SkillVersion, VersionSummary
from everyskill.services.skills import require_skill
from everyskill.services.tenant_scope import TenantScope

# Texts that are compared at once, beside those of SKILL.md.
MAX_COMPARED_BYTES = 8 * 1024 * 1024


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


async def compare_versions(
    tenant: TenantScope,
    slug_or_id: str,
    old: int,
    new: int,
    *,
    path: str | None = None,
    include_hidden: bool = False,
) -> list[FileDiff]:
    """How one version of a published skill differs from another, file by file, or one file alone.

    Raises VersionNotFound for a number the skill does not have, SkillFileNotFound for a path that neither version has,
    InvalidVersion, InvalidText, and what get_skill raises.
    """
    slug_or_id = check_id("skill", slug_or_id)
    check_version(old)
    check_version(new)
    check_type("include_hidden", include_hidden, bool)
    path = None if path is None else check_text("file path", path, longest=MAX_DESCRIPTION_LENGTH)
    async with tenant._transactions.read() as connection:
        skill = await require_skill(connection, slug_or_id, include_hidden=include_hidden)
        before, after = [await require_version(connection, skill.id, number) for number in (old, new)]
        if path is not None:
            before, after = _only(before, path), _only(after, path)
            if not before.files and not after.files:
                raise SkillFileNotFound(path)
        texts = await find_texts(connection, before, after)
    diffs = await tenant.run_in_worker(lambda: diff_versions(before, after, tenant._diff_lines, texts=texts))
    return [diff for diff in diffs if path in {None, diff.path}]


async def find_texts(connection: TenantConnection, old: SkillVersion, new: SkillVersion) -> dict[str, str]:
    """The texts by hash that show how two versions differ, as far as they are not too large to be compared."""
    wanted: list[str] = []
    size = 0
    for file in differing_files(old, new):
        if file.size <= MAX_CONTENT_LENGTH and size + file.size <= MAX_COMPARED_BYTES:
            wanted.append(file.hash)
            size += file.size
    return await files.find_texts(connection, wanted)


def _only(version: SkillVersion, path: str) -> SkillVersion:
    return replace(version, files=tuple(file for file in version.files if file.path == path))


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
