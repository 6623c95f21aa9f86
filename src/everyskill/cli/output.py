"""Prints results to stdout, notes and errors to stderr. No catalog text gets a control character to a terminal."""

# ruff: noqa: PLC0415 - --help is a fifth slower with rich

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from everyskill.cli.lines import Line, clean
from everyskill.errors import EverySkillError
from everyskill.json_lines import encode_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


class Output:
    """What a command prints: one JSON document, or lines for people."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, value: object, lines: Iterable[Line]) -> None:
        """Prints what was asked for: the value as JSON, or the lines."""
        if self.as_json:
            sys.stdout.write(encode_line(value, enc_hook=str) + "\n")
            sys.stdout.flush()
        else:
            _print(lines, to_stderr=False)

    def note(self, *lines: Line) -> None:
        """Prints lines that are no part of the result; none with JSON, so that stderr holds one document at most."""
        if not self.as_json:
            _print(lines, to_stderr=True)

    def error(self, error: EverySkillError) -> None:
        """Prints an error: its sentence, and as JSON its code and its fields too."""
        if self.as_json:
            fields = {"code": error.code, "message": str(error), **vars(error)}
            sys.stderr.write(encode_line({"error": fields}, enc_hook=str) + "\n")
        else:
            self.note(f"Error: {error}")


def write(text: str) -> None:
    """Prints a text of many lines to stdout without wrapping or colour; to a terminal without control characters."""
    sys.stdout.write(clean(text, keep="\n\t") if sys.stdout.isatty() else text)
    sys.stdout.flush()


def _print(lines: Iterable[Line], *, to_stderr: bool) -> None:
    from rich.console import Console

    console = Console(stderr=to_stderr, markup=False, emoji=False, highlight=False)
    for line in lines:
        for part in _wrap(console, line):
            # soft_wrap leaves the line alone: a program that reads it wants it whole.
            console.print(part, soft_wrap=True)


def _wrap(console: "Console", line: Line) -> "Iterable[Text]":
    """Wraps a line on a terminal. Where it is indented, the parts after the first are indented two columns more."""
    from rich.text import Text

    text = Text(line) if isinstance(line, str) else line
    text.plain = clean(text.plain)
    if not console.is_terminal:
        return [text]
    indent = len(text.plain) - len(text.plain.lstrip(" "))
    hanging_indent = indent + 2 if indent else 0
    parts = text[indent:].wrap(console, max(console.width - hanging_indent, 20))
    for part in parts:
        part.rstrip()
    return [Text(" " * (hanging_indent if number else indent)) + part for number, part in enumerate(parts)]
