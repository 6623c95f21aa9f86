"""Decides which folders of a tree are skills, which files belong to a skill, and how far links are followed."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from everyskill.model.inputs import is_storable
from everyskill.model.skills import SKILL_FILE_NAME
from everyskill.skill_folders.reports import broken, unreadable_is_broken

# Every version keeps its list of files in one row, so the list must end somewhere.
MAX_ENTRIES = 10_000

_NEVER_ENTERED = {"node_modules", "__pycache__"}
# Machines leave these behind without anyone editing the skill: counting them would badge people for nothing.
_LITTER = {".git", "__pycache__", ".DS_Store"}
_LITTER_SUFFIX = ".pyc"


def find_skill_folders(root: Path) -> list[Path]:
    """The folders that hold a SKILL.md, sorted. The outermost wins: what lies below a skill, root included, is its own.

    Hidden folders and links to folders are not entered. A folder that cannot be listed is among the found, and so
    is a link to a skill outside of root: reading it says what is wrong. Raises SkillFolderError for an unusable root.
    """
    with unreadable_is_broken(root):
        os.scandir(root).close()
    found, waiting = [], [root]
    while waiting:
        folder = waiting.pop()
        below = _folders_to_enter(folder, root)
        if below is None:
            found.append(folder)
        else:
            waiting.extend(below)
    return sorted(found)


def list_files(folder: Path, *, root: Path) -> list[Path]:
    """Every file of a skill, sorted, litter left out. Raises SkillFolderError for what cannot belong to a skill."""
    files = []
    for count, (path, real) in enumerate(_entries_below(folder, root)):
        if count == MAX_ENTRIES:
            raise broken(folder, f"must not hold more than {MAX_ENTRIES:,} files and folders")
        if real.is_file():
            files.append(path)
        elif not real.is_dir():
            raise broken(path, "is neither a file nor a folder")
    return sorted(files)


def real_path(path: Path, root: Path) -> Path:
    """Where a path leads once its links are followed. Raises SkillFolderError where that is outside of root."""
    try:
        real = Path(os.path.realpath(path, strict=True))
    except OSError as error:
        what = "is a link that cannot be followed" if _is_link(path) else "cannot be read"
        raise broken(path, f"{what}: {error.strerror}") from error
    if not real.is_relative_to(os.path.realpath(root)):
        raise broken(path, "is a link out of the tree" if _is_link(path) else "is outside of the tree")
    return real


def _folders_to_enter(folder: Path, root: Path) -> list[Path] | None:
    """None where the search ends: at a skill, and at a folder that cannot be listed."""
    with suppress(OSError), os.scandir(folder) as listing:
        entries = list(listing)
        if all(entry.name != SKILL_FILE_NAME for entry in entries):
            return [Path(entry) for entry in entries if _is_entered(entry, root)]
    return None


def _is_entered(entry: os.DirEntry[str], root: Path) -> bool:
    if entry.name.startswith(".") or entry.name in _NEVER_ENTERED:
        return False
    if entry.is_symlink():
        return os.access(Path(entry, SKILL_FILE_NAME), os.F_OK) and _leads_out(entry, root)
    return entry.is_dir()


def _entries_below(folder: Path, root: Path) -> Iterator[tuple[Path, Path]]:
    """Every file and folder below a folder, as named and as it really lies. Links are followed within root."""
    waiting: list[tuple[Path, tuple[Path, ...]]] = [(folder, (real_path(folder, root),))]
    while waiting:
        place, above = waiting.pop()
        for path in _contents(place):
            real = real_path(path, root) if _is_link(path) else above[-1] / path.name
            if real in above:
                raise broken(path, "is a link that leads back to a folder above it")
            if real.is_dir():
                waiting.append((path, (*above, real)))
            yield path, real


def _contents(folder: Path) -> list[Path]:
    with unreadable_is_broken(folder):
        paths = sorted(path for path in folder.iterdir() if not _is_litter(path.name))
    for path in paths:
        if not is_storable(path.name):
            raise broken(path, "has a name that is not UTF-8")
    return paths


def _is_link(path: Path) -> bool:
    with unreadable_is_broken(path):
        return path.is_symlink()


def _is_litter(name: str) -> bool:
    return name in _LITTER or name.endswith(_LITTER_SUFFIX)


def _leads_out(entry: os.DirEntry[str], root: Path) -> bool:
    return not Path(os.path.realpath(entry)).is_relative_to(os.path.realpath(root))
