"""Writes the log in a thread: whoever does not read it holds up no request."""

import atexit
import os
import sys
from threading import Condition, Thread

from prometheus_client import Counter

# How many characters may wait for a reader.
MAX_WAITING = 4 * 1024 * 1024
# How long the end of the process waits for one.
CLOSE_SECONDS = 1.0

_DROPPED = Counter("everyskill_log_lines_dropped_total", "Lines of the log that nobody read in time")


class LogWriter:
    """A text file that never blocks: lines beyond `max_waiting` characters, and those that fail, are dropped."""

    def __init__(self, descriptor: int, *, max_waiting: int = MAX_WAITING) -> None:
        self._descriptor = descriptor
        self._max_waiting = max_waiting
        self._lines: list[str] = []
        self._waiting = 0
        self._is_closed = False
        self._changed = Condition()
        self._thread = Thread(target=self._write_all, name="everyskill-log", daemon=True)
        self._thread.start()

    @classmethod
    def to_stderr(cls) -> "LogWriter":
        """One that writes what is left as the process ends. A process may have no stderr."""
        writer = cls(sys.stderr.fileno() if sys.stderr else -1)
        atexit.register(writer.close)
        return writer

    def write(self, line: str) -> None:
        """Takes a line, or drops it."""
        with self._changed:
            if self._waiting + len(line) > self._max_waiting:
                _DROPPED.inc()
                return
            self._lines.append(line)
            self._waiting += len(line)
            self._changed.notify()

    def flush(self) -> None:
        """Does nothing: lines are written as soon as somebody reads."""

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Writes what is left, for so long at most."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(seconds)

    def _write_all(self) -> None:
        while lines := self._take():
            data = memoryview("".join(lines).encode(errors="backslashreplace"))
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError:
                _DROPPED.inc(bytes(data).count(b"\n"))

    def _take(self) -> list[str]:
        """All lines, as soon as there are some; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._is_closed)
            lines, self._lines, self._waiting = self._lines, [], 0
            return lines
