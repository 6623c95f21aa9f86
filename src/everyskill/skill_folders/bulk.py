"""Publishes folders while others are read: many in one transaction, and one by one where that fails."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import asdict

from everyskill import services
from everyskill.errors import InvalidArgument, InvalidIdentifier, InvalidText, SkillFolderError
from everyskill.model.skills import Publication, SkillFolder
from everyskill.services.tenant_scope import TenantScope
from everyskill.skill_folders.folder_errors import folder_error

# What is in memory at a time, twice: one batch is read while the one before is published.
MAX_FOLDERS = 500
MAX_BYTES = 16 * 1024 * 1024

FolderRead: TypeAlias = tuple[Path, SkillFolder | SkillFolderError]
FolderPublished: TypeAlias = tuple[Path, Publication | SkillFolderError]


class ImportedAs(Struct, frozen=True, kw_only=True):
    """What `publish_skills` is to say of all versions of an import."""

    author_id: str | None = None
    author_name: str | None = None
    note: str | None = None
    authored_at: datetime | None = None
    quiet: bool = False
    source: str | None = None
    dry_run: bool = False


async def publish_folders(
    tenant: TenantScope, results: Iterator[FolderRead], root: Path, said: ImportedAs
) -> AsyncGenerator[FolderPublished, None]:
    """What became of each folder, in the order given. A broken one stops no other.

    Raises what publish_skills does, but for what is wrong with one folder.
    """
    reading = asyncio.create_task(asyncio.to_thread(_next_batch, results))
    try:
        while batch := await reading:
            reading = asyncio.create_task(asyncio.to_thread(_next_batch, results))
            for published in await _publish(tenant, batch, root, said):
                yield published
    finally:
        # Its thread cannot be stopped, and nobody else may read on beside it.
        await asyncio.wait([reading])


def _next_batch(results: Iterator[FolderRead]) -> list[FolderRead]:
    batch: list[FolderRead] = []
    size = 0
    for folder, skill in results:
        batch.append((folder, skill))
        if isinstance(skill, SkillFolder):
            size += len(skill.content) + sum(map(len, skill.contents.values()))
        if len(batch) == MAX_FOLDERS or size >= MAX_BYTES:
            break
    return batch


async def _publish(tenant: TenantScope, batch: list[FolderRead], root: Path, said: ImportedAs) -> list[FolderPublished]:
    skills = {folder: skill for folder, skill in batch if isinstance(skill, SkillFolder)}
    arguments: dict[str, Any] = asdict(said)
    if said.source is not None:
        arguments["source_paths"] = {skill.slug: _path(folder, root) for folder, skill in skills.items()}
    try:
        published = await services.publish_skills(tenant, list(skills.values()), **arguments)
    except (InvalidIdentifier, InvalidText, InvalidArgument) as error:
        if len(skills) > 1:
            return [each for read in batch for each in await _publish(tenant, [read], root, said)]
        return [(folder, _or_error(folder, skill, error)) for folder, skill in batch]
    outcomes = dict(zip(skills, published, strict=True))
    return [(folder, skill if isinstance(skill, SkillFolderError) else outcomes[folder]) for folder, skill in batch]


def _or_error(
    folder: Path, skill: SkillFolder | SkillFolderError, error: InvalidIdentifier | InvalidText | InvalidArgument
) -> SkillFolderError:
    return skill if isinstance(skill, SkillFolderError) else folder_error(folder, str(error).rstrip("."))


def _path(folder: Path, root: Path) -> str:
    return folder.relative_to(root).as_posix()
