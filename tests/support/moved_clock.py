"""A PostgreSQL server whose clock a test moves, by Debian's libfaketime."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from everyskill.embedded import EmbeddedServer

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
needs_faketime = pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime: apt-get install libfaketime")


@dataclass(frozen=True)
class MovedClock:
    """A server, and the file that says how far its clock is from ours."""

    server: EmbeddedServer
    file: Path

    def set(self, hours: float) -> None:
        """From now on the server's clock is so many hours ahead, or behind."""
        # In one write: the server may read at any time.
        self.file.write_text(f"{hours * 3600:+.0f}\n")


@contextmanager
def server_with_moved_clock(folder: Path) -> Iterator[MovedClock]:
    """Starts such a server, whose clock is right at first."""
    folder.mkdir()
    clock = folder / "clock"
    clock.write_text("+0\n")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LD_PRELOAD", str(LIBRARY))
        environment.setenv("FAKETIME_TIMESTAMP_FILE", str(clock))
        environment.setenv("FAKETIME_NO_CACHE", "1")
        environment.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        server = EmbeddedServer.start(folder / "data")
    try:
        yield MovedClock(server, clock)
    finally:
        server.stop()
