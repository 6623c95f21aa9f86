"""Makes the errors of skill folders: the path as the user gave it, the line where there is one, and a reason."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from everyskill.errors import SkillFolderError


def folder_error(path: Path, reason: str, *, line: int | None = None) -> SkillFolderError:
    """A SkillFolderError that any terminal and any JSON can hold."""
    return SkillFolderError(_printable(str(path)), line, _printable(reason))


@contextmanager
def translate_os_errors(path: Path) -> Iterator[None]:
    """Raises SkillFolderError for what the operating system refuses, and for what vanishes while it is being read."""
    try:
        yield
    except OSError as error:
        raise folder_error(path, f"cannot be read: {error.strerror}") from error


def _printable(text: str) -> str:
    # A name that is not UTF-8 reaches Python with lone surrogates in it, which no terminal and no JSON takes.
    return text.encode(errors="backslashreplace").decode()
