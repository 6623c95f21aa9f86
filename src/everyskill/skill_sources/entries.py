"""Writes the files of a tree that others made below a folder, and nothing outside of it: paths are checked as one."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from everyskill.errors import InvalidSource

FILE_MODE = 0o644
EXECUTABLE_MODE = 0o755
MAX_LINK_LENGTH = 1_000
_MAX_PATH = 1_000


def check_paths(source: str, paths: Iterable[str]) -> None:
    """Raises InvalidSource for a path that is absolute or climbs, and for two that are one file on some system."""
    taken: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        if not path or path.startswith("/") or ".." in parts or "" in parts or "." in parts or "\0" in path:
            raise InvalidSource(source, f"{path!r} climbs out of it, or is no path")
        if len(os.fsencode(path)) > _MAX_PATH:
            raise InvalidSource(source, f"{path[:80]!r}… is a path of more than {_MAX_PATH:,} bytes")
        folded = path.casefold()
        if folded in taken:
            same = taken[folded] == path
            raise InvalidSource(source, f"{path!r} is there twice" if same else f"{path!r} is {taken[folded]!r} too")
        taken[folded] = path
    _check_no_file_is_a_folder(source, taken)


def _check_no_file_is_a_folder(source: str, taken: dict[str, str]) -> None:
    for folded, path in taken.items():
        for above in PurePosixPath(folded).parents:
            if str(above) in taken:
                raise InvalidSource(source, f"{path!r} lies below a file")


def write_file(root: Path, path: str, content: bytes, *, is_executable: bool = False) -> None:
    """Writes a file anew; links must be made after all files. Raises InvalidSource where the system takes no such."""
    target = root / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as stream:
            stream.write(content)
        target.chmod(EXECUTABLE_MODE if is_executable else FILE_MODE)
    except OSError as error:
        raise InvalidSource(repr(path), f"cannot be written: {error.strerror}") from error


def write_link(root: Path, path: str, leads_to: str) -> None:
    """Makes a link. It may lead nowhere or out of the tree: who reads a tree follows none that does."""
    target = root / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(leads_to)
    except (OSError, ValueError) as error:
        raise InvalidSource(repr(path), "is a link that cannot be made") from error


def remove(root: Path, path: str) -> None:
    """Removes a file or a link, and the folders that are empty then."""
    target = root / path
    target.unlink(missing_ok=True)
    with suppress(OSError):
        for above in target.parents:
            if above == root:
                return
            above.rmdir()


def link_target(path: str, leads_to: str) -> str | None:
    """The path within the tree that a link leads to; None where that is outside of it."""
    found = os.path.normpath(PurePosixPath(path).parent / leads_to)
    return None if leads_to.startswith("/") or found == ".." or found.startswith("../") else found
