"""Opens a source: brings what it holds into a folder, a temporary one unless it is a folder already."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import BinaryIO

from msgspec.structs import replace

from everyskill.errors import InvalidSource
from everyskill.model.skills import SKILL_FILE_NAME
from everyskill.skill_folders.manifests import MANIFESTS
from everyskill.skill_sources.addresses import Downloads, Target, check_address
from everyskill.skill_sources.archives import hash_of_file, unpack
from everyskill.skill_sources.bounds import Bounds
from everyskill.skill_sources.checkout import Checkout
from everyskill.skill_sources.git_repository import Commit, GitRepository
from everyskill.skill_sources.indexes import download_index
from everyskill.skill_sources.marketplaces import read_marketplace
from everyskill.skill_sources.source import Source, SourceKind

_GIT_SERVICE = "/info/refs"
_SUFFIXES = re.compile(r"(\.git|\.zip|\.tgz|\.tar\.gz)$")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


class OpenedSource:
    """A source as a folder. `revision` tells one state of it from another, and is None where nothing does.

    `left_out` says which skills did not come, and why: none may be archived then. `notes` are for people.
    """

    def __init__(self, root: Path, *, revision: str | None = None) -> None:
        self.root = root
        self.revision = revision
        self.left_out: list[str] = []
        self.notes: list[str] = []
        self.checkout: Checkout | None = None
        self.repository: GitRepository | None = None

    async def list_commits(self, since: str | None) -> list[Commit] | None:
        """What is to be replayed, oldest first; None where that cannot be told. Needs a repository with its history."""
        if self.repository is None or self.revision is None:
            return None
        return await asyncio.to_thread(self.repository.list_commits, since, self.revision)

    @property
    def has_skills(self) -> bool:
        """Whether the commit in the folder has any."""
        return self.checkout is None or self.checkout.has_skills

    async def move_to(self, revision: str | None) -> bool:
        """Makes the folder hold another commit, or nothing. False where no skill is touched. Raises InvalidSource."""
        if self.checkout is None:
            return False
        return await asyncio.to_thread(self.checkout.move_to, revision)


@asynccontextmanager
async def open_source(
    source: Source, bounds: Bounds, *, cache: Path, with_history: bool = False
) -> AsyncIterator[OpenedSource]:
    """Opens a source until the block ends.

    Raises InvalidSource, AddressRefused, SourceUnavailable, GitTooOld.
    """
    if with_history and source.kind is not SourceKind.GIT:
        raise InvalidSource(source.address, "is no git repository, so it has no history")
    with _staging(source) as root:
        if source.kind is SourceKind.GIT:
            yield await _open_git(source, root, bounds, cache, with_history=with_history)
        elif source.kind is SourceKind.ARCHIVE:
            yield await _open_archive(source, root, bounds)
        elif source.kind is SourceKind.INDEX:
            opened = OpenedSource(root)
            opened.revision, opened.left_out = await download_index(source, root, bounds)
            yield opened
        else:
            yield await asyncio.to_thread(_open_folder, source, root)


@contextmanager
def _staging(source: Source) -> Iterator[Path]:
    with TemporaryDirectory(prefix="everyskill-", ignore_cleanup_errors=True) as folder:
        root = Path(folder, _name(source))
        root.mkdir()
        yield root


async def _open_git(source: Source, root: Path, bounds: Bounds, cache: Path, *, with_history: bool) -> OpenedSource:
    target = await _find_repository(source, bounds) if source.is_remote else None
    repository = GitRepository(source, bounds, cache, with_history=with_history)
    try:
        opened = OpenedSource(root, revision=await asyncio.to_thread(repository.fetch, target))
    except asyncio.CancelledError:
        # Its thread would go on, and hold up the end of the program.
        repository.stop()
        raise
    opened.repository = repository
    opened.checkout = Checkout(source.address, repository, root, bounds)
    if opened.revision is not None:
        await opened.move_to(opened.revision)
    opened.notes += opened.checkout.marketplace.notes
    opened.notes += [f"{path!r} is a submodule and was not followed" for path in opened.checkout.submodules]
    return opened


async def _find_repository(source: Source, bounds: Bounds) -> Target:
    """Where a repository is in the end. Git itself follows no redirect, as it would not check where it leads."""
    target = await check_address(source.location, bounds)
    if target.ip is None or source.location.startswith("ssh:"):
        return target
    asked = f"{source.location}{_GIT_SERVICE}?service=git-upload-pack"
    found = await Downloads(bounds).follow(asked)
    base, service, _ = found.address.partition(_GIT_SERVICE)
    if not service:
        return target
    return replace(found, address=base)


async def _open_archive(source: Source, root: Path, bounds: Bounds) -> OpenedSource:
    if source.is_remote:
        with TemporaryFile() as file:
            await Downloads(bounds).fetch(source.location, file)
            return await asyncio.to_thread(_unpack, source, file, root, bounds)
    return await asyncio.to_thread(_unpack_file, source, root, bounds)


def _unpack_file(source: Source, root: Path, bounds: Bounds) -> OpenedSource:
    try:
        with Path(source.location).open("rb") as file:
            return _unpack(source, file, root, bounds)
    except OSError as error:
        raise InvalidSource(source.address, f"cannot be read: {error.strerror}") from error


def _unpack(source: Source, file: BinaryIO, root: Path, bounds: Bounds) -> OpenedSource:
    revision = hash_of_file(file)
    unpack(source.address, file, root, bounds)
    # An archive of a repository has all of it in one folder.
    inner = list(root.iterdir())
    if (
        len(inner) == 1
        and inner[0].is_dir()
        and not inner[0].is_symlink()
        and not (inner[0] / SKILL_FILE_NAME).exists()
    ):
        root = inner[0]
    opened = _narrow(source, root, root.parent / f"{root.name}-plugins")
    opened.revision = revision
    return opened


def _open_folder(source: Source, staging: Path) -> OpenedSource:
    return _narrow(source, Path(source.location), staging)


def _narrow(source: Source, root: Path, staging: Path) -> OpenedSource:
    """The folder itself, or a copy of what the marketplace in it names."""
    marketplace = read_marketplace(source.address, root)
    is_whole = not marketplace.folders or "" in marketplace.folders
    opened = OpenedSource(root if is_whole else staging)
    opened.notes += marketplace.notes
    if not is_whole:
        try:
            for path in marketplace.folders:
                _copy(root, path, staging)
                _copy_manifests(root, path, staging)
        except (OSError, shutil.Error) as error:
            raise InvalidSource(source.address, f"cannot be copied: {error}") from error
    return opened


def _copy(root: Path, path: str, staging: Path) -> None:
    # Through a link the copy would hold what is outside of the tree.
    if Path(os.path.realpath(root / path)) == Path(os.path.realpath(root)) / path and (root / path).is_dir():
        shutil.copytree(root / path, staging / path, symlinks=True, dirs_exist_ok=True)


def _copy_manifests(root: Path, path: str, staging: Path) -> None:
    """Those of the folder, and of each above it: they say which plugin a skill belongs to."""
    for above in (Path(path), *Path(path).parents):
        for folder in {Path(manifest).parent for manifest in MANIFESTS}:
            _copy(root, (above / folder).as_posix(), staging)


def _name(source: Source) -> str:
    """A skill at the root of a tree may be named by its folder."""
    name = source.address.rstrip("/").rpartition("/")[2]
    return _NOT_IN_NAMES.sub("-", _SUFFIXES.sub("", name)).strip(".") or "skills"
