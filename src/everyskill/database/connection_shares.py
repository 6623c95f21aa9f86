"""Bounds how many connections of a pool are held by calls that wait for locks, and by those of one tenant."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import TypeAlias
from weakref import WeakValueDictionary

import asyncpg

from everyskill.database.connections import AnyConnection
from everyskill.database.places import (
    TRY,
    Patience,
    Result,
    hold_place,
    try_while_stuck,
    unconcerned,
    wait_in_turns,
)
from everyskill.errors import LockTimeout, Overloaded
from everyskill.settings import DEFAULT_LOCK_SECONDS

Attempt: TypeAlias = Callable[[Patience], Awaitable[Result]]


class _Share:
    """The places of one tenant, and how many of its calls are under way or met a lock. It lives while one holds it."""

    __slots__ = ("__weakref__", "blocked", "callers", "places", "reads", "tries")

    def __init__(self, size: int) -> None:
        self.reads = asyncio.Semaphore(max(size // 2, 1))
        self.tries = asyncio.Semaphore(max(size // 2, 1))
        self.places = asyncio.Semaphore(max(size // 4, 1))
        self.callers = 0
        self.blocked = 0


class ConnectionShares:
    """Hands out the connections of a pool.

    Calls that wait for locks hold half of them, those of one tenant a quarter; and tries of tenants that are stuck a
    fifth. So three of ten are left to all others, however many tenants are stuck. Questions of one tenant hold half of
    them, so that nobody queues up behind all that another asks at once. `queue_size` bounds how many calls of `run` may
    be under way, and `call_seconds` how long each may wait; `unconcerned` is the patience of questions.
    """

    def __init__(
        self, pool: asyncpg.Pool, *, size: int, queue_size: int, call_seconds: float = DEFAULT_LOCK_SECONDS
    ) -> None:
        self._pool = pool
        self._size = size
        self._queue_size = queue_size
        self.call_seconds = call_seconds
        self.unconcerned = unconcerned(call_seconds)
        self._tries = asyncio.Semaphore(max(size // 5, 1))
        self._places = asyncio.Semaphore(max(size // 2, 1))
        self._shares: WeakValueDictionary[str, _Share] = WeakValueDictionary()
        self._callers = 0

    def connection(self, tenant_id: str, patience: Patience) -> AbstractAsyncContextManager[AnyConnection]:
        """A connection for a transaction of that patience. Raises LockTimeout where none was free in time."""
        if patience.on == "wait":
            share = self._share(tenant_id)
            return self._acquire(share, (share.places, self._places), patience.deadline)
        if patience.on == "tries":
            return self._acquire(None, (self._tries,), patience.deadline)
        return self._pool.acquire()

    def read_connection(self, tenant_id: str) -> AbstractAsyncContextManager[AnyConnection]:
        """A connection for a question of one tenant, whose questions hold half of the pool and queue up for that."""
        share = self._share(tenant_id)
        return self._acquire(share, (share.reads,), None)

    async def run(self, tenant_id: str, attempt: Attempt[Result]) -> Result:
        """What `attempt` gives: run at once, and where it meets a lock, again with the patience to wait for it.

        Raises Overloaded where too many calls are under way, LockTimeout where it waited too long.
        """
        share = self._share(tenant_id)
        # No more than are left to others: no number of tenants takes them all.
        if share.callers >= self._queue_size - self._callers:
            raise Overloaded(self._queue_size)
        deadline = asyncio.get_running_loop().time() + self.call_seconds
        share.callers += 1
        self._callers += 1
        try:
            with suppress(LockTimeout):
                async with hold_place(share.tries, deadline):
                    return await attempt(try_while_stuck(deadline) if share.blocked else TRY)
            share.blocked += 1
            try:
                return await wait_in_turns(attempt, deadline, LockTimeout)
            finally:
                share.blocked -= 1
        finally:
            share.callers -= 1
            self._callers -= 1

    def _share(self, tenant_id: str) -> _Share:
        share = self._shares.get(tenant_id)
        if share is None:
            share = self._shares[tenant_id] = _Share(self._size)
        return share

    @asynccontextmanager
    async def _acquire(
        self,
        _share: _Share | None,  # held, or whoever comes next would find another with free places
        places: tuple[asyncio.Semaphore, ...],
        deadline: float | None,
    ) -> AsyncIterator[AnyConnection]:
        async with AsyncExitStack() as held:
            for each in places:
                await held.enter_async_context(hold_place(each, deadline))
            yield await held.enter_async_context(self._pool.acquire())
