"""Finds the skill folders of a tree and the files of a skill, and decides which links are followed."""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from everyskill.model.inputs import is_storable
from everyskill.model.skills import MAX_FILES, SKILL_FILE_NAME
from everyskill.skill_folders.folder_errors import (
    AnyPath,
    OnWarning,
    folder_error,
    folder_warning,
    ignore_warning,
    translate_os_errors,
)

# Hidden folders of hosts, each with the folders in it that hold skills, and the hidden folders in `skills` itself.
_HOSTS = frozenset({".agents", ".claude", ".codex", ".github"})
_IN_HOSTS = frozenset({"skills", "plugins"})
_IN_SKILLS = frozenset({".curated", ".experimental", ".system"})
_BUILDS = frozenset({"build", "dist", "target"})
# What tools install and keep, anywhere. A virtual environment of any name has this file in it.
_INSTALLED = frozenset(
    {".cache", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", ".tox", ".venv", "node_modules"}
)
_VENV_FILE = "pyvenv.cfg"
# Tools write these without anyone editing the skill: a version for each would badge people for nothing.
_IGNORED_FILES = frozenset({".git", "__pycache__", ".DS_Store"})
_IGNORED_SUFFIX = ".pyc"
_FRONT_MATTER = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*---\s.*^(?:name|description)[ \t]*:", re.MULTILINE | re.DOTALL)
_HEAD_LENGTH = 4096


class FoundFile(NamedTuple):
    """A file of a skill: its path within the skill with forward slashes, and what its folder says of it."""

    name: str
    path: str
    size: int
    is_executable: bool


def find_skill_folders(root: Path, *, full_depth: bool = False) -> list[Path]:
    """The folders that hold a SKILL.md, sorted. The outermost wins: what lies below a skill, root included, is its own.

    With `full_depth` skills are looked for below skills too. Links to folders are not entered, and of hidden folders
    those of hosts alone. A folder that cannot be listed is returned too, and so is a link to a skill outside of root:
    reading it says what is wrong. Raises SkillFolderError for an unusable root.
    """
    try:
        with translate_os_errors(root):
            os.scandir(root).close()
    except ValueError as error:
        raise folder_error(root, "holds a character that no path can") from error
    real_root = os.path.realpath(root)
    found, pending = [], [(str(root), "")]
    while pending:
        folder, name = pending.pop()
        entries = _list_or_none(folder)
        is_skill = entries is None or find_skill_file(entries) is not None
        if is_skill:
            found.append(folder)
        if entries is not None and (full_depth or not is_skill) and all(entry.name != _VENV_FILE for entry in entries):
            below = (entry for entry in entries if _is_entered(entry, name, real_root))
            pending.extend((entry.path, entry.name) for entry in below)
    return sorted(map(Path, found))


def find_skill_file(entries: Iterable[os.DirEntry[str]]) -> str | None:
    """The name of the SKILL.md among the entries of a folder: in other letters, one that begins as a skill does."""
    others = []
    for entry in entries:
        if entry.name == SKILL_FILE_NAME:
            return entry.name
        if len(entry.name) == len(SKILL_FILE_NAME) and entry.name.upper() == SKILL_FILE_NAME.upper():
            others.append(entry)
    return next((entry.name for entry in sorted(others, key=attrgetter("name")) if _begins_as_skill(entry)), None)


def list_files(folder: Path, *, real: str, real_root: str, on_warning: OnWarning = ignore_warning) -> list[FoundFile]:
    """The files of a skill, sorted, without ignored ones. Raises SkillFolderError for what cannot belong to a skill.

    `real` is where the folder's path leads.
    """
    files = []
    for count, (name, entry) in enumerate(_entries_below(folder, real, real_root, on_warning)):
        if count == MAX_FILES:
            raise folder_error(folder, f"must not hold more than {MAX_FILES:,} files and folders")
        with translate_os_errors(entry.path):
            found = entry.stat()
        if stat.S_ISREG(found.st_mode):
            files.append(FoundFile(name, entry.path, found.st_size, bool(found.st_mode & stat.S_IXUSR)))
        elif not stat.S_ISDIR(found.st_mode):
            raise folder_error(entry.path, "is neither a file nor a folder")
    return sorted(files)


def real_path(path: AnyPath, real_root: str) -> str:
    """Where a path leads once its links are followed. Raises SkillFolderError where that is outside of the tree."""
    try:
        real = os.path.realpath(path, strict=True)
    except OSError as error:
        what = "is a link that cannot be followed" if _is_link(path) else "cannot be read"
        raise folder_error(path, f"{what}: {error.strerror}") from error
    if not _is_below(real, real_root):
        raise folder_error(path, "is a link out of the tree" if _is_link(path) else "is outside of the tree")
    return real


def _list_or_none(folder: str) -> list[os.DirEntry[str]] | None:
    with suppress(OSError), os.scandir(folder) as listing:
        return list(listing)
    return None


def _is_entered(entry: os.DirEntry[str], parent: str, real_root: str) -> bool:
    if entry.is_symlink():
        return os.access(f"{entry.path}/{SKILL_FILE_NAME}", os.F_OK) and not _is_below(
            os.path.realpath(entry), real_root
        )
    return entry.is_dir() and _may_hold_skills(entry, parent)


def _may_hold_skills(entry: os.DirEntry[str], parent: str) -> bool:
    name = entry.name
    if parent in _HOSTS:
        return name in _IN_HOSTS
    if name.startswith("."):
        return name in _HOSTS or (parent == "skills" and name in _IN_SKILLS)
    if name in _BUILDS and parent != "skills":
        return os.access(f"{entry.path}/{SKILL_FILE_NAME}", os.F_OK)
    return name not in _INSTALLED and name not in _IGNORED_FILES


def _begins_as_skill(entry: os.DirEntry[str]) -> bool:
    # A page of documentation may have this name.
    with suppress(OSError):
        if entry.is_file():
            with open(entry.path, "rb") as stream:  # noqa: PTH123
                return _FRONT_MATTER.match(stream.read(_HEAD_LENGTH)) is not None
    return False


def _entries_below(
    folder: Path, real: str, real_root: str, on_warning: OnWarning
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every file and folder below a folder, each with its path within it. Links are followed within root."""
    pending: list[tuple[str, str, tuple[str, ...]]] = [(str(folder), "", (real,))]
    while pending:
        current, prefix, above = pending.pop()
        for entry in _contents(current):
            at = _real_path_of_link(entry, real_root, on_warning) if entry.is_symlink() else f"{above[-1]}/{entry.name}"
            if at is None:
                continue
            if at in above:
                raise folder_error(entry.path, "is a link that leads back to a folder above it")
            with translate_os_errors(entry.path):
                is_folder = entry.is_dir()
            if is_folder and _is_left_out(entry, on_warning):
                continue
            if is_folder:
                pending.append((entry.path, f"{prefix}{entry.name}/", (*above, at)))
            yield prefix + entry.name, entry


def _contents(folder: str) -> list[os.DirEntry[str]]:
    with translate_os_errors(folder), os.scandir(folder) as listing:
        # One more than a skill may have is enough to refuse it.
        entries = list(islice((entry for entry in listing if not _is_ignored(entry.name)), MAX_FILES + 1))
    for entry in entries:
        if not is_storable(entry.name):
            raise folder_error(entry.path, "has a name that is not UTF-8")
    return sorted(entries, key=attrgetter("name"))


def _is_left_out(entry: os.DirEntry[str], on_warning: OnWarning) -> bool:
    if entry.name in _INSTALLED or os.access(f"{entry.path}/{_VENV_FILE}", os.F_OK):
        on_warning(folder_warning(entry.path, "is installed by a tool, so it is left out"))
        return True
    return False


def _real_path_of_link(entry: os.DirEntry[str], real_root: str, on_warning: OnWarning) -> str | None:
    """None for a link to nothing, which is left out. Raises SkillFolderError for one that leads out of the tree."""
    with suppress(OSError):
        try:
            entry.stat()
        except FileNotFoundError:
            on_warning(folder_warning(entry.path, "is a link to nothing, so it is left out"))
            return None
    return real_path(entry.path, real_root)


def _is_link(path: AnyPath) -> bool:
    with translate_os_errors(path):
        return stat.S_ISLNK(os.lstat(path).st_mode)


def _is_below(real: str, real_root: str) -> bool:
    return f"{real}/".startswith(f"{real_root.rstrip('/')}/")


def _is_ignored(name: str) -> bool:
    return name in _IGNORED_FILES or name.endswith(_IGNORED_SUFFIX)
