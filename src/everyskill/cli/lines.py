"""What people read: cleaned of control characters, set in columns, with times in words."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rich.text import Text

Line: TypeAlias = "str | Text"

# What a terminal obeys instead of showing, line separators, and the marks that turn the direction of writing.
_STEERING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SPACES = "\n\r\t\u2028\u2029"
_NAMED = 10


def clean(text: str, *, keep: str = "") -> str:
    """The text with a space or a replacement character for each character that steers; as long as before."""

    def shown(match: re.Match[str]) -> str:
        found = match[0]
        return found if found in keep else " " if found in _SPACES else "\N{REPLACEMENT CHARACTER}"

    return _STEERING.sub(shown, text)


def styled(text: str, style: str) -> "Text":
    """A text in a style of rich's."""
    from rich.text import Text  # noqa: PLC0415 - not needed for --help

    return Text(clean(text), style)


def table(*rows: Sequence[Line]) -> "Iterator[Text]":
    """The rows in columns, the first one as their heading."""
    cells = [[styled(cell, "") if isinstance(cell, str) else cell for cell in row] for row in rows]
    widths = [max(cell.cell_len for cell in column) for column in zip(*cells, strict=True)]
    for number, row in enumerate(cells):
        line = styled("", "dim" if number == 0 else "")
        for cell, width in zip(row, widths, strict=True):
            line.append_text(cell).append(" " * (width - cell.cell_len + 2))
        line.rstrip()
        yield line


def named(names: Sequence[str]) -> str:
    """Names in a row, and how many more there are behind the tenth."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
