"""Finds the skill folders of a tree and the files of a skill, and decides which links are followed."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from everyskill.model.inputs import is_storable
from everyskill.model.skills import MAX_FILES, SKILL_FILE_NAME
from everyskill.skill_folders.folder_errors import folder_error, translate_os_errors

_SKIPPED_FOLDERS = {"node_modules", "__pycache__"}
# Tools write these without anyone editing the skill: a version for each would badge people for nothing.
_IGNORED_FILES = {".git", "__pycache__", ".DS_Store"}
_IGNORED_SUFFIX = ".pyc"


def find_skill_folders(root: Path) -> list[Path]:
    """The folders that hold a SKILL.md, sorted. The outermost wins: what lies below a skill, root included, is its own.

    Hidden folders and links to folders are not entered. A folder that cannot be listed is returned too, and so is a
    link to a skill outside of root: reading it says what is wrong. Raises SkillFolderError for an unusable root.
    """
    try:
        with translate_os_errors(root):
            os.scandir(root).close()
    except ValueError as error:
        raise folder_error(root, "holds a character that no path can") from error
    found, pending = [], [root]
    while pending:
        folder = pending.pop()
        below = _folders_to_enter(folder, root)
        if below is None:
            found.append(folder)
        else:
            pending.extend(below)
    return sorted(found)


def list_files(folder: Path, *, root: Path) -> list[Path]:
    """The files of a skill, sorted, without ignored ones. Raises SkillFolderError for what cannot belong to a skill."""
    files = []
    for count, path in enumerate(_entries_below(folder, root)):
        if count == MAX_FILES:
            raise folder_error(folder, f"must not hold more than {MAX_FILES:,} files and folders")
        if path.is_file():
            files.append(path)
        elif not path.is_dir():
            raise folder_error(path, "is neither a file nor a folder")
    return sorted(files)


def real_path(path: Path, root: Path) -> Path:
    """Where a path leads once its links are followed. Raises SkillFolderError where that is outside of root."""
    try:
        real = Path(os.path.realpath(path, strict=True))
    except OSError as error:
        what = "is a link that cannot be followed" if _is_link(path) else "cannot be read"
        raise folder_error(path, f"{what}: {error.strerror}") from error
    if not real.is_relative_to(os.path.realpath(root)):
        raise folder_error(path, "is a link out of the tree" if _is_link(path) else "is outside of the tree")
    return real


def _folders_to_enter(folder: Path, root: Path) -> list[Path] | None:
    """None where the search ends: at a skill, and at a folder that cannot be listed."""
    with suppress(OSError), os.scandir(folder) as listing:
        entries = list(listing)
        if all(entry.name != SKILL_FILE_NAME for entry in entries):
            return [Path(entry) for entry in entries if _is_entered(entry, root)]
    return None


def _is_entered(entry: os.DirEntry[str], root: Path) -> bool:
    if entry.name.startswith(".") or entry.name in _SKIPPED_FOLDERS:
        return False
    if entry.is_symlink():
        return os.access(Path(entry, SKILL_FILE_NAME), os.F_OK) and _points_outside(entry, root)
    return entry.is_dir()


def _entries_below(folder: Path, root: Path) -> Iterator[Path]:
    """Every file and folder below a folder. Links are followed within root."""
    pending: list[tuple[Path, tuple[Path, ...]]] = [(folder, (real_path(folder, root),))]
    while pending:
        current, above = pending.pop()
        for path in _contents(current):
            real = real_path(path, root) if _is_link(path) else above[-1] / path.name
            if real in above:
                raise folder_error(path, "is a link that leads back to a folder above it")
            # Not real: where root is a relative path, that one is longer, and may be longer than a path can be.
            if path.is_dir():
                pending.append((path, (*above, real)))
            yield path


def _contents(folder: Path) -> list[Path]:
    with translate_os_errors(folder):
        paths = sorted(path for path in folder.iterdir() if not _is_ignored(path.name))
    for path in paths:
        if not is_storable(path.name):
            raise folder_error(path, "has a name that is not UTF-8")
    return paths


def _is_link(path: Path) -> bool:
    with translate_os_errors(path):
        return path.is_symlink()


def _is_ignored(name: str) -> bool:
    return name in _IGNORED_FILES or name.endswith(_IGNORED_SUFFIX)


def _points_outside(entry: os.DirEntry[str], root: Path) -> bool:
    return not Path(os.path.realpath(entry)).is_relative_to(os.path.realpath(root))
