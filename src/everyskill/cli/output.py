"""Prints: answers to stdout, talk to stderr. Nothing from a catalog gets past here to steer the terminal."""

# ruff: noqa: PLC0415 - rich and msgspec are imported where something is printed, to keep --help fast

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from everyskill.cli.lines import Line, clean
from everyskill.errors import EverySkillError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


class Output:
    """What a command says: one JSON document, or lines for people."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def answer(self, value: object, lines: Iterable[Line]) -> None:
        """Prints the value where JSON was asked for, and else the lines."""
        if self.as_json:
            sys.stdout.write(_json(value))
            sys.stdout.flush()
        else:
            _print(lines, to_stderr=False)

    def say(self, *lines: Line) -> None:
        """Prints what is not part of the answer. Silent with JSON, so that stderr too holds one document at most."""
        if not self.as_json:
            _print(lines, to_stderr=True)

    def error(self, error: EverySkillError) -> None:
        """Prints an error with its code and its facts."""
        if self.as_json:
            sys.stderr.write(_json({"error": {"code": error.code, "message": str(error), **vars(error)}}))
        else:
            self.say(f"Error: {error}")


def write(text: str) -> None:
    """Prints a text of many lines as it is, neither wrapped nor coloured, and cleaned where a terminal reads it."""
    sys.stdout.write(clean(text, keep="\n\t") if sys.stdout.isatty() else text)
    sys.stdout.flush()


def _json(value: object) -> str:
    import msgspec

    return msgspec.json.encode(value, enc_hook=str).decode() + "\n"


def _print(lines: Iterable[Line], *, to_stderr: bool) -> None:
    from rich.console import Console

    console = Console(stderr=to_stderr, markup=False, emoji=False, highlight=False)
    for line in lines:
        for part in _fit(console, line):
            # soft_wrap leaves the line alone: a program that reads it wants it whole.
            console.print(part, soft_wrap=True)


def _fit(console: "Console", line: Line) -> "Iterable[Text]":
    """Wraps a line on a terminal; where it is indented, what follows is indented more."""
    from rich.text import Text

    text = Text(line) if isinstance(line, str) else line
    text.plain = clean(text.plain)
    if not console.is_terminal:
        return [text]
    indent = len(text.plain) - len(text.plain.lstrip(" "))
    hang = indent + 2 if indent else 0
    parts = text[indent:].wrap(console, max(console.width - hang, 20))
    for part in parts:
        part.rstrip()
    return [Text(" " * (hang if number else indent)) + part for number, part in enumerate(parts)]
