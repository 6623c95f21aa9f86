"""The log of acts: each is written down before it is tried and again when its outcome is known.

A line is written by one call and without a buffer, so that a killed writer leaves all it was told. Where the kill cuts
a line off, its act had not begun, or its outcome is unknown.
"""

import itertools
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from everyskill.errors import EverySkillError, OutcomeUnknown

TENANTS = ("acme", "globex")
USERS = tuple(f"user-{number}" for number in range(6))
SLUGS = tuple(f"skill-{number}" for number in range(8))

Outcome = Literal["tried", "done", "refused", "unknown", "untyped"]
Kind = Literal["record", "visit", "publish", "mark_all"]
Result = TypeVar("Result")


class Act(Struct, frozen=True):
    """One act of one writer. `version` is what the user was shown, where a view is recorded."""

    kind: Kind
    tenant: str
    user: str
    slug: str = ""
    version: int | None = None


class Line(Struct, frozen=True):
    """An act at a moment of the machine's monotonic clock, in seconds, which all processes share."""

    at: float
    number: int
    outcome: Outcome
    act: Act
    error: str = ""


class ActLog:
    """The log of one process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        # Ends the line in which the writer before was killed, if there is one.
        os.write(self._file, b"\n")
        self._numbers = itertools.count()

    async def run(self, act: Act, call: Callable[[], Awaitable[Result]]) -> Result | None:
        """What the call gives, or None where it raised; either is written down."""
        number = next(self._numbers)
        self._write(number, "tried", act)
        try:
            result = await call()
        except OutcomeUnknown as error:
            self._write(number, "unknown", act, repr(error))
        except EverySkillError as error:
            self._write(number, "refused", act, repr(error))
        except Exception as error:  # noqa: BLE001 - it is what is looked for
            self._write(number, "untyped", act, repr(error))
        else:
            self._write(number, "done", act)
            return result
        return None

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    def _write(self, number: int, outcome: Outcome, act: Act, error: str = "") -> None:
        os.write(self._file, msgspec.json.encode(Line(time.monotonic(), number, outcome, act, error)) + b"\n")


class LogReader:
    """Reads what was added to a log since it was last read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> Iterator[Line]:
        """The new lines, in order, but for those that are not complete: the last one, or where a writer was killed."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                try:
                    read = msgspec.json.decode(line, type=Line)
                except msgspec.DecodeError:
                    continue
                yield read
