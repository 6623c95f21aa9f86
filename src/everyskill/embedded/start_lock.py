"""The lock of a data folder: one thread of one program at a time makes it, starts its server or upgrades it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fasteners import InterProcessLock

from everyskill.embedded.cluster import START_LOCK_FILE
from everyskill.errors import DataDirectoryInUse

# Longer than any start takes: whoever holds it still is stopped (Ctrl-Z), or upgrades the folder.
LOCK_SECONDS = 150.0

_thread_locks: dict[str, threading.Lock] = {}


def thread_lock(data_folder: Path) -> threading.Lock:
    """The lock between the threads of this process: file locks exclude other processes only."""
    return _thread_locks.setdefault(str(data_folder), threading.Lock())


@contextmanager
def hold_start_lock(data_folder: Path, given_up: threading.Event, *, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Holds the lock between programs. Raises DataDirectoryInUse after `seconds`, or once `given_up` is set."""

    def pause(delay: float) -> None:
        if given_up.wait(delay):
            raise DataDirectoryInUse(str(data_folder), "it was closed while another program starts it")

    lock = InterProcessLock(data_folder / START_LOCK_FILE, sleep_func=pause)
    try:
        if not lock.acquire(timeout=seconds):
            reason = f"a program has held {START_LOCK_FILE} for {seconds:g} s; let it go on, or end it"
            raise DataDirectoryInUse(str(data_folder), reason)
        yield
    finally:
        # Releases it. Also where it was not acquired: a handle that is closed later would end the lock of another call.
        if lock.lockfile is not None:
            lock.lockfile.close()
