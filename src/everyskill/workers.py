"""Runs work that would hold up the event loop in a few threads, one job of a tenant at a time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from weakref import WeakValueDictionary

from everyskill.errors import DatabaseUnreachable, Overloaded

Result = TypeVar("Result")


class _Turn:
    """Held by the one job of a tenant that runs or waits for a thread."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


class Workers:
    """A few threads. A tenant has one job in them, so that its next ones leave the threads to other tenants.

    `max_waiting` bounds how many jobs of a tenant may wait for that one.
    """

    def __init__(self, *, max_waiting: int, threads: int = 2) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="everyskill-worker")
        self._max_waiting = max_waiting
        self._turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()

    async def run(self, tenant_id: str, job: Callable[[], Result]) -> Result:
        """What the job returns.

        Raises what the job raises, Overloaded where too many of its tenant wait, and DatabaseUnreachable once closed.
        """
        turn = self._turns.setdefault(tenant_id, _Turn())
        if turn.waiting >= self._max_waiting:
            raise Overloaded(self._max_waiting)
        turn.waiting += 1
        try:
            await turn.lock.acquire()
        finally:
            turn.waiting -= 1
        try:
            submitted = self._executor.submit(job)
        except RuntimeError as error:
            # Those who wait behind it are to be told as well.
            turn.lock.release()
            raise DatabaseUnreachable("it was closed") from error
        running = asyncio.wrap_future(submitted)
        # Not when the caller ends: the job of a caller who gave up goes on in its thread, where it has begun.
        running.add_done_callback(lambda _: turn.lock.release())
        try:
            return await asyncio.shield(running)
        finally:
            submitted.cancel()

    def close(self) -> None:
        """Takes no more jobs, and lets the threads end once nothing runs in them."""
        self._executor.shutdown(wait=False)
