"""Makes the errors and warnings of skill folders: the path as the user gave it, the line if there is one, a reason."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from everyskill.errors import SkillFolderError

# Paths as text where there are many: pathlib takes most of the time that reading takes.
AnyPath = Path | str


class FolderWarning(Struct, frozen=True):
    """What was read although a host may refuse it, or was left out. `line` is None where no line is to blame."""

    path: str
    line: int | None
    reason: str


OnWarning = Callable[[FolderWarning], None]


def ignore_warning(warning: FolderWarning) -> None:
    """For who asks for a skill alone."""


def folder_error(path: AnyPath, reason: str, *, line: int | None = None) -> SkillFolderError:
    """A SkillFolderError that any terminal and any JSON can hold."""
    return SkillFolderError(_printable(str(Path(path))), line, _printable(reason))


def folder_warning(path: AnyPath, reason: str, *, line: int | None = None) -> FolderWarning:
    """A FolderWarning that any terminal and any JSON can hold."""
    return FolderWarning(_printable(str(Path(path))), line, _printable(reason))


@contextmanager
def translate_os_errors(path: AnyPath) -> Iterator[None]:
    """Raises SkillFolderError for what the operating system refuses, and for what vanishes while it is being read."""
    try:
        yield
    except OSError as error:
        raise folder_error(path, f"cannot be read: {error.strerror}") from error


def _printable(text: str) -> str:
    # A name that is not UTF-8 reaches Python with lone surrogates in it, which no terminal and no JSON takes.
    return text.encode(errors="backslashreplace").decode()
