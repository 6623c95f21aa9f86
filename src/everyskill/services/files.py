"""Files of skills: list, read and pack those of a version, and remove what no version has any more."""

from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial

from msgspec import Struct

from everyskill.database.catalog import files
from everyskill.database.catalog.files import Unused, remove_unused
from everyskill.database.transactions import TenantConnection
from everyskill.errors import FileNotKept, SkillFileNotFound, SkillFolderError, VersionNotFound
from everyskill.model.archives import ArchiveWriter
from everyskill.model.inputs import MAX_DESCRIPTION_LENGTH, check_id, check_text, check_type, check_version
from everyskill.model.kept_files import KeptContent
from everyskill.model.skill_files import FileContent, FileEntry, is_safe_path, skill_file_content
from everyskill.model.skills import SkillFile, SkillVersion
from everyskill.services.skills import require_skill
from everyskill.services.tenant_scope import TenantScope
from everyskill.services.versions import require_version

# Publishers of the tenant wait for each batch, which reads the lists of files of all versions.
PRUNED_AT_ONCE = 10_000
MAX_UNUSED = 100_000


class SkillArchive(Struct, frozen=True):
    """A zip of a version, made while `pieces` is read."""

    file_name: str
    pieces: AsyncIterator[bytes]


async def list_files(
    tenant: TenantScope, slug_or_id: str, version: int | None = None, *, include_hidden: bool = False
) -> list[FileEntry]:
    """The files of a version, SKILL.md first and the others by path; of the published version by default.

    Raises SkillNotFound, VersionNotFound, InvalidArgument, InvalidIdentifier, InvalidVersion.
    """
    async with tenant._transactions.read() as connection:
        _, found = await _find_version(connection, slug_or_id, version, include_hidden=include_hidden)
        return await _entries(connection, found)


async def read_file(
    tenant: TenantScope, slug_or_id: str, path: str, version: int | None = None, *, include_hidden: bool = False
) -> FileContent:
    """A file of a version with its bytes; of the published version by default.

    Raises SkillFileNotFound for a path that the version does not have, FileNotKept where only the hash is known,
    InvalidText, and what list_files raises.
    """
    path = check_text("file path", path, longest=MAX_DESCRIPTION_LENGTH)
    async with tenant._transactions.read() as connection:
        _, found = await _find_version(connection, slug_or_id, version, include_hidden=include_hidden)
        file = next((file for file in found.files if file.path == path), None)
        if file is None:
            raise SkillFileNotFound(path)
        [content] = await _read_contents(connection, found, [file])
    if content is None:
        raise FileNotKept(path)
    return content


async def get_archive(
    tenant: TenantScope, slug_or_id: str, version: int | None = None, *, include_hidden: bool = False
) -> SkillArchive:
    """A zip of a version, in a folder of the skill's slug; of the published version by default.

    Raises FileNotKept where of one file only the hash is known, SkillFolderError where a path leads out of the folder,
    and what list_files raises.
    """
    async with tenant._transactions.read() as connection:
        slug, found = await _find_version(connection, slug_or_id, version, include_hidden=include_hidden)
        entries = await _entries(connection, found)
    for entry in entries:
        check_path(entry.path)
        if entry.is_text is None:
            raise FileNotKept(entry.path)
    return SkillArchive(f"{slug}-v{found.version}.zip", _pack(tenant, slug, found))


async def read_files(tenant: TenantScope, version: SkillVersion) -> AsyncIterator[FileContent | SkillFile]:
    """Each file of a version with its bytes, in the order of list_files; without them where they are not kept.

    A few megabytes are in memory at a time, and no transaction is open while the caller works.
    """
    for chunk in _chunks(_in_order(version.files)):
        async with tenant._transactions.read() as connection:
            contents = await _read_contents(connection, version, chunk)
        for file, content in zip(chunk, contents, strict=True):
            yield file if content is None else content


async def prune_files(tenant: TenantScope, *, dry_run: bool = False) -> Unused:
    """Removes the contents that no version refers to any more, in batches. Others are not affected, publishers wait.

    With `dry_run` it only counts them. Raises InvalidArgument.
    """
    check_type("dry_run", dry_run, bool)
    if dry_run:
        async with tenant._transactions.read() as connection:
            return await files.count_unused(connection)
    removed, removed_bytes = 0, 0
    while hashes := await _find_unused(tenant):
        for start in range(0, len(hashes), PRUNED_AT_ONCE):
            batch = hashes[start : start + PRUNED_AT_ONCE]
            pruned = await tenant._transactions.run(partial(remove_unused, hashes=batch))
            removed, removed_bytes = removed + pruned.files, removed_bytes + pruned.bytes
    return Unused(removed, removed_bytes)


async def _find_unused(tenant: TenantScope) -> list[str]:
    async with tenant._transactions.read() as connection:
        return await files.find_unused(connection, limit=MAX_UNUSED)


def check_path(path: str) -> str:
    """Returns a path that lies within a folder. Raises SkillFolderError."""
    if not is_safe_path(path):
        raise SkillFolderError(path, None, "leads out of the folder of the skill, or cannot be written everywhere")
    return path


async def _find_version(
    connection: TenantConnection, slug_or_id: str, version: int | None, *, include_hidden: bool
) -> tuple[str, SkillVersion]:
    slug_or_id = check_id("skill", slug_or_id)
    check_type("include_hidden", include_hidden, bool)
    number = None if version is None else check_version(version)
    skill = await require_skill(connection, slug_or_id, include_hidden=include_hidden)
    number = skill.published_version if number is None else number
    if number is None:
        raise VersionNotFound("published")
    return skill.slug, await require_version(connection, skill.id, number)


async def _entries(connection: TenantConnection, version: SkillVersion) -> list[FileEntry]:
    kept = await files.find_kept(connection, [file.hash for file in version.files])
    kept |= dict.fromkeys(skill_file_content(version), True)
    return [
        FileEntry(file.path, file.size, file.hash, kept.get(file.hash), file.is_executable)
        for file in _in_order(version.files)
    ]


async def _read_contents(
    connection: TenantConnection, version: SkillVersion, wanted: Iterable[SkillFile]
) -> list[FileContent | None]:
    found = {key: KeptContent(content, is_text=True) for key, content in skill_file_content(version).items()}
    wanted = list(wanted)
    found |= await files.find_contents(connection, [file.hash for file in wanted if file.hash not in found])
    return [_content(file, found.get(file.hash)) for file in wanted]


def _content(file: SkillFile, kept: KeptContent | None) -> FileContent | None:
    if kept is None:
        return None
    return FileContent(file.path, len(kept.content), file.hash, kept.is_text, file.is_executable, kept.content)


def _in_order(listed: Iterable[SkillFile]) -> list[SkillFile]:
    return sorted(listed, key=lambda file: (not file.is_skill, file.path))


def _chunks(listed: Iterable[SkillFile]) -> Iterator[list[SkillFile]]:
    chunk: list[SkillFile] = []
    for file in listed:
        if chunk and sum(each.size for each in (*chunk, file)) > files.MAX_MESSAGE_BYTES:
            yield chunk
            chunk = []
        chunk.append(file)
    if chunk:
        yield chunk


async def _pack(tenant: TenantScope, slug: str, version: SkillVersion) -> AsyncIterator[bytes]:
    archive = ArchiveWriter()
    async for file in read_files(tenant, version):
        if isinstance(file, SkillFile):
            raise FileNotKept(file.path)
        add = partial(archive.add, f"{slug}/{file.path}", file.content, is_executable=file.is_executable)
        yield await tenant.run_in_worker(add)
    yield archive.end()
