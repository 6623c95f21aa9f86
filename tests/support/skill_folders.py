"""SKILL.md folders on disk, some of them where no path or no user can reach."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from everyskill.model.skills import MAX_SLUG_LENGTH

# Linux's PATH_MAX and NAME_MAX.
MAX_PATH = 4096
MAX_NAME = 255
_NOBODY = 65534

# Where git repositories of skills lie that the tests may replay.
REPOSITORIES = os.environ.get("EVERYSKILL_REPOSITORIES", "")
WITHOUT_REPOSITORIES = "needs EVERYSKILL_REPOSITORIES: a folder with git repositories of skills"

BROKEN = "---\nname: [\n---\n"


def write_skill(root: Path, path: str, *, description: str = "Does it.", body: str = "Steps.") -> Path:
    """Writes a SKILL.md below root."""
    file = root / path / "SKILL.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"---\nname: {file.parent.name}\ndescription: {description}\n---\n\n{body}\n")
    return file


def dig(folder: Path, length: int, file: str | None = None) -> None:
    """Makes folders in each other until the innermost one's path has `length` bytes, and writes a file there."""
    left = length - len(os.fsencode(folder))
    here = os.open(folder, os.O_RDONLY)
    while left > 0:
        # A name makes a slug, takes a byte more for its slash, and leaves none or enough for another.
        name = folder.name[0] * (left - 1 if left <= MAX_SLUG_LENGTH + 1 else min(MAX_SLUG_LENGTH, left - 3))
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here, left = below, left - len(name) - 1
    if file is not None:
        written = os.open(file, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here)
        os.write(written, b"---\nname: Deep\ndescription: Lies deep.\n---\n")
        os.close(written)
    os.close(here)


@contextmanager
def without_privileges() -> Iterator[None]:
    """Runs a block as a user whom permissions hold back; root is not."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@contextmanager
def closed(folder: Path, mode: int = 0) -> Iterator[None]:
    """A file or a folder of another mode until the block ends, and nobody with privileges around."""
    before = stat.S_IMODE(folder.stat().st_mode)
    folder.chmod(mode)
    try:
        with without_privileges():
            yield
    finally:
        folder.chmod(before)
