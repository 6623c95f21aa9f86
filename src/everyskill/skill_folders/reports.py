"""How a broken skill is reported: the path as the user names it, the line where one is to blame, and a reason."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from everyskill.errors import SkillFolderError


def broken(path: Path, reason: str, *, line: int | None = None) -> SkillFolderError:
    return SkillFolderError(_printable(str(path)), line, _printable(reason))


@contextmanager
def unreadable_is_broken(path: Path) -> Iterator[None]:
    """Reports what the operating system refuses, and what vanishes while it is being read, as a broken skill."""
    try:
        yield
    except OSError as error:
        raise broken(path, f"cannot be read: {error.strerror}") from error


def _printable(text: str) -> str:
    # A name that is not UTF-8 reaches Python with lone surrogates in it, which no terminal and no JSON takes.
    return text.encode(errors="backslashreplace").decode()
