"""Counts the programs that use a data folder, by file locks that end with the program; the last one stops the server.

Each program holds a shared lock on one file. Whoever gets the exclusive lock was the last. Hold the folder's
`thread_lock` around every call: file locks exclude other processes, not other threads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fasteners import InterProcessReaderWriterLock

from everyskill.embedded.binaries import Binaries
from everyskill.embedded.process import stop_server
from everyskill.embedded.sockets import remove_link
from everyskill.errors import DataDirectoryInUse

REFERENCES_LOCK_FILE = "everyskill.users.lock"


@dataclass
class _References:
    """This process's references to one data folder, on one lock: closing any handle of a file ends all locks on it."""

    binaries: Binaries
    lock: InterProcessReaderWriterLock
    count: int = 0


_references: dict[Path, _References] = {}


@contextmanager
def acquire_reference(data_folder: Path, binaries: Binaries) -> Iterator[None]:
    """Adds a reference that lasts until `release_reference`, or until the end of the block if that raises."""
    lock = InterProcessReaderWriterLock(data_folder / REFERENCES_LOCK_FILE)
    references = _references.setdefault(data_folder, _References(binaries, lock))
    if references.count == 0:
        references.lock.acquire_read_lock()
    references.count += 1
    try:
        yield
    except BaseException as error:
        # A server that does not let us in was started by somebody else: it is not ours to stop.
        release_reference(data_folder, stop=not isinstance(error, DataDirectoryInUse))
        raise


def release_reference(data_folder: Path, *, stop: bool = True) -> None:
    """Removes a reference, and stops the server if it was the last one of all programs."""
    references = _references[data_folder]
    references.count -= 1
    if references.count:
        return
    del _references[data_folder]
    references.lock.release_read_lock()
    if not data_folder.exists():
        remove_link(data_folder)
    elif stop:
        _stop_if_last(data_folder, references)


def _stop_if_last(data_folder: Path, references: _References) -> None:
    # The shared lock is released before: two programs that end together would each see the other's, and stop nothing.
    try:
        if references.lock.acquire_write_lock(blocking=False):
            stop_server(data_folder, references.binaries)
            remove_link(data_folder)
    finally:
        references.lock.release_write_lock()
