"""Who uses a directory: each program holds a share, which ends when the program does; the last one stops the server."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fasteners import InterProcessReaderWriterLock

from everyskill.embedded.binaries import Binaries
from everyskill.embedded.process import halt
from everyskill.errors import DataDirectoryInUse

USERS_LOCK = "everyskill.users.lock"

one_thread = threading.Lock()  # hold it around everything here: file locks tell processes apart, not threads


@dataclass
class _Share:
    """This process's share in a directory. One, because closing any handle of a file ends all locks on it."""

    binaries: Binaries
    lock: InterProcessReaderWriterLock
    handles: int = 0


_shares: dict[Path, _Share] = {}


@contextmanager
def sharing(directory: Path, binaries: Binaries) -> Iterator[None]:
    """Takes a share, which lasts until `leave`; gives it back at once if what follows fails."""
    share = _shares.setdefault(directory, _Share(binaries, InterProcessReaderWriterLock(directory / USERS_LOCK)))
    if share.handles == 0:
        share.lock.acquire_read_lock()
    share.handles += 1
    try:
        yield
    except BaseException as error:
        # A server that shuts us out is somebody else's: not ours to stop.
        leave(directory, stop=not isinstance(error, DataDirectoryInUse))
        raise


def leave(directory: Path, *, stop: bool = True) -> None:
    """Gives a share back, and stops the server if nobody else holds one."""
    share = _shares[directory]
    share.handles -= 1
    if share.handles:
        return
    del _shares[directory]
    share.lock.release_read_lock()
    if stop and directory.exists():
        _halt_if_last(directory, share)


def _halt_if_last(directory: Path, share: _Share) -> None:
    # Our own hold is released before: two that leave together would each see the other's and both go.
    try:
        if share.lock.acquire_write_lock(blocking=False):
            halt(directory, share.binaries)
    finally:
        share.lock.release_write_lock()
