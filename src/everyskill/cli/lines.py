"""Formats what people read: replaces control characters, styles text, and lays rows out in columns."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rich.text import Text

Line: TypeAlias = "str | Text"

# What a terminal obeys instead of showing, line separators, the marks that turn the direction of writing and change the
# shapes of letters, and what no terminal can be sent. Other format characters join letters and emoji, and stay.
_CONTROL_CHARACTERS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\ufff9-\ufffb\U000e0001\ud800-\udfff]"
)
_SPACES = "\n\r\t\u2028\u2029"
_MAX_NAMES = 10


def clean(text: str, *, keep: str = "") -> str:
    """Replaces each control character by a space or U+FFFD, so that the length stays; `keep` names exceptions."""

    def replacement(match: re.Match[str]) -> str:
        found = match[0]
        return found if found in keep else " " if found in _SPACES else "\N{REPLACEMENT CHARACTER}"

    return _CONTROL_CHARACTERS.sub(replacement, text)


def styled(text: str, style: str) -> "Text":
    """The cleaned text in a style of rich, such as "bold yellow"."""
    from rich.text import Text  # noqa: PLC0415 - --help is an eighth slower with it

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


def join_names(names: Sequence[str]) -> str:
    """The first ten names, separated by commas, and how many more there are."""
    rest = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {rest:,} more" if rest > 0 else "")
