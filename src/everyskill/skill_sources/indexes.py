"""Downloads what .well-known/agent-skills/index.json lists, and verifies each digest.

The format is version 0.2 of the Agent Skills Discovery RFC; an index without `$schema` is one of version 0.1.
"""

import asyncio
import re
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryFile
from urllib.parse import quote, urljoin

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from everyskill.errors import EverySkillError, InvalidSource
from everyskill.model.skills import SKILL_FILE_NAME
from everyskill.skill_sources.addresses import Downloads
from everyskill.skill_sources.archives import hash_of_file, unpack
from everyskill.skill_sources.bounds import Bounds
from everyskill.skill_sources.entries import check_paths, write_file
from everyskill.skill_sources.source import Source

SCHEMA = "https://schemas.agentskills.io/discovery/0.2.0/schema.json"
MAX_INDEX_BYTES = 1024 * 1024
MAX_SKILLS = 1_000
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_MAX_NAME_LENGTH = 64
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Entry(Struct, frozen=True):
    """A skill of an index. Version 0.1 lists `files`, version 0.2 names one artifact."""

    name: str
    type: str = ""
    url: str = ""
    digest: str = ""
    files: list[str] = []


class _Index(Struct, frozen=True):
    skills: list[Entry]
    schema: str | None = msgspec.field(name="$schema", default=None)


async def download_index(source: Source, to: Path, bounds: Bounds) -> tuple[str | None, list[str]]:
    """Writes each skill into a folder of its name; returns the index's hash, and what was left out and why.

    The hash is None where the index has no digests: it may be the same, and a skill another. Raises InvalidSource,
    AddressRefused, SourceUnavailable.
    """
    downloads = Downloads(bounds)
    data = BytesIO()
    await downloads.fetch(source.location, data)
    index = _decode(source, data.getvalue())
    has_digests = index.schema is not None
    left_out = []
    for entry in index.skills:
        try:
            _check(source, entry, has_digests=has_digests)
            fetch = _fetch_artifact if has_digests else _fetch_files
            bounds = await fetch(source, entry, downloads, to, bounds)
        except EverySkillError as error:
            left_out.append(f"the skill {entry.name[:_MAX_NAME_LENGTH]} was left out: {error}")
            if _NAME.fullmatch(entry.name):
                rmtree(to / entry.name, ignore_errors=True)
    return sha256(data.getvalue()).hexdigest() if has_digests else None, left_out


def _decode(source: Source, data: bytes) -> _Index:
    if len(data) > MAX_INDEX_BYTES:
        raise InvalidSource(source.address, f"has more than {MAX_INDEX_BYTES:,} bytes")
    try:
        index = msgspec.json.decode(data, type=_Index)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidSource(source.address, f"is no index of skills: {error}") from error
    if index.schema not in {None, SCHEMA}:
        raise InvalidSource(source.address, f"is an index of a version that is not known: {str(index.schema)[:200]}")
    names = [entry.name for entry in index.skills]
    if len(names) > MAX_SKILLS or len(set(names)) < len(names):
        raise InvalidSource(source.address, f"lists a name twice, or more than {MAX_SKILLS:,} skills")
    return index


def _check(source: Source, entry: Entry, *, has_digests: bool) -> None:
    if len(entry.name) > _MAX_NAME_LENGTH or not _NAME.fullmatch(entry.name):
        raise InvalidSource(source.address, f"{entry.name[:_MAX_NAME_LENGTH]!r} is no name of a skill")
    if not has_digests:
        check_paths(source.address, entry.files)
    elif entry.type not in {"skill-md", "archive"}:
        raise InvalidSource(source.address, f"{entry.type[:80]!r} is no type of a skill that is known")
    elif not _DIGEST.fullmatch(entry.digest):
        raise InvalidSource(source.address, "it has no digest")


async def _fetch_artifact(source: Source, entry: Entry, downloads: Downloads, to: Path, bounds: Bounds) -> Bounds:
    with TemporaryFile() as file:
        await downloads.fetch(urljoin(source.location, entry.url), file)
        if f"sha256:{hash_of_file(file)}" != entry.digest:
            raise InvalidSource(entry.name, "is not what its digest says")
        file.seek(0)
        if entry.type == "archive":
            folder = to / entry.name
            folder.mkdir()
            return await asyncio.to_thread(unpack, entry.name, file, folder, bounds)
        write_file(to, f"{entry.name}/{SKILL_FILE_NAME}", file.read())
        return bounds


async def _fetch_files(source: Source, entry: Entry, downloads: Downloads, to: Path, bounds: Bounds) -> Bounds:
    if len(entry.files) > bounds.max_entries:
        raise InvalidSource(entry.name, f"holds more than {bounds.max_entries:,} files")
    for path in entry.files:
        data = BytesIO()
        await downloads.fetch(urljoin(source.location, f"{entry.name}/{quote(path)}"), data)
        write_file(to, f"{entry.name}/{path}", data.getvalue())
    return replace(bounds, max_entries=bounds.max_entries - len(entry.files))
