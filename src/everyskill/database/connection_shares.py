"""Bounds how many connections of a pool are held by calls that wait for locks, and by those of one tenant."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import NamedTuple, TypeAlias
from weakref import WeakValueDictionary

import asyncpg

from everyskill.database.connections import AnyConnection
from everyskill.database.places import TRY, Patience, Places, Recent, Result, Room, wait_in_turns
from everyskill.errors import LockTimeout
from everyskill.settings import DEFAULT_LOCK_SECONDS

Attempt: TypeAlias = Callable[[Patience], Awaitable[Result]]


class Acquired(NamedTuple):
    """A connection, for how many milliseconds it may wait for each lock, and until when for all."""

    connection: AnyConnection
    lock_timeout: int
    deadline: float | None


class _Share:
    """The places of one tenant, and how many of its calls wait in them. It lives while one holds it."""

    __slots__ = ("__weakref__", "reads", "tries", "turns", "waiting")

    def __init__(self, size: int) -> None:
        self.reads = asyncio.Semaphore(max(size // 2, 1))
        self.tries = asyncio.Semaphore(max(size // 2, 1))
        self.turns = asyncio.Semaphore(max(size // 4, 1))
        self.waiting = 0


class ConnectionShares:
    """Hands out the connections of a pool.

    Calls that wait for locks hold half of them, those of one tenant a quarter; and tries of tenants that met a lock a
    fifth. So three of ten are left to all others, however many tenants are stuck. Where many tenants get stuck at once,
    each waits the shorter for its lock. Questions of one tenant hold half of the connections, so that nobody queues up
    behind all that another asks at once. `queue_size` bounds how many questions, and how many calls of `run`, may be
    under way, and `call_seconds` how long each call may wait.
    """

    def __init__(
        self, pool: asyncpg.Pool, *, size: int, queue_size: int, call_seconds: float = DEFAULT_LOCK_SECONDS
    ) -> None:
        self._pool = pool
        self._size = size
        self.call_seconds = call_seconds
        self._room = Room(queue_size)
        self._question_room = Room(queue_size)
        self._stuck = Recent()
        self._places = {
            "sort out": Places(max(size // 2, 1)),
            "try": Places(max(size * 3 // 4, 1)),
            "retry": Places(max(size // 5, 1)),
            "wait": Places(max(size // 2, 1)),
        }
        self._shares: WeakValueDictionary[str, _Share] = WeakValueDictionary()

    def connection(self, tenant_id: str, patience: Patience) -> AbstractAsyncContextManager[Acquired]:
        """A connection for a transaction of that patience. Raises LockTimeout where none was free in time."""
        if patience.on == "none":
            return self._acquire(None, patience)
        if patience.on == "sort out":
            return self._acquire(None, patience, self._places[patience.on])
        share = self._share(tenant_id)
        if patience.on == "wait":
            return self._wait(share, patience)
        return self._acquire(share, patience, share.tries, self._places[patience.on])

    @asynccontextmanager
    async def read_connection(self, tenant_id: str) -> AsyncIterator[Acquired]:
        """A connection for a question of one tenant, whose questions hold half of the pool and queue up for that.

        Raises Overloaded where too many questions are under way, LockTimeout where none was free in time.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + self.call_seconds
        share = self._share(tenant_id)
        self._question_room.enter(tenant_id)
        try:
            async with self._acquire(share, Patience(1, "none", deadline), share.reads) as (connection, _, _):
                # It meets locks of tables alone, so PostgreSQL's timeout will do. A slow one is not cut off.
                yield Acquired(connection, max(round((deadline - clock()) * 1_000), 1), None)
        finally:
            self._question_room.leave(tenant_id)

    async def run(self, tenant_id: str, attempt: Attempt[Result]) -> Result:
        """What `attempt` gives: run at once, and where it meets a lock, again with the patience to wait for it.

        Raises Overloaded where too many calls are under way, LockTimeout where it waited too long.
        """
        share = self._share(tenant_id)
        self._room.enter(tenant_id)
        deadline = asyncio.get_running_loop().time() + self.call_seconds
        is_stuck = share.waiting > 0 or tenant_id in self._stuck
        try:
            try:
                return await attempt(Patience(TRY.lock_timeout, "retry" if is_stuck else "try", deadline))
            except LockTimeout:
                is_stuck = True
            return await wait_in_turns(attempt, deadline, LockTimeout)
        except (asyncio.CancelledError, LockTimeout):
            if is_stuck:
                self._stuck.add(tenant_id)
            raise
        finally:
            self._room.leave(tenant_id)

    def _share(self, tenant_id: str) -> _Share:
        share = self._shares.get(tenant_id)
        if share is None:
            share = self._shares[tenant_id] = _Share(self._size)
        return share

    @asynccontextmanager
    async def _wait(self, share: _Share, patience: Patience) -> AsyncIterator[Acquired]:
        share.waiting += 1
        try:
            async with self._acquire(share, patience, share.turns, self._places["wait"]) as acquired:
                yield acquired
        finally:
            share.waiting -= 1

    @asynccontextmanager
    async def _acquire(
        self,
        _share: _Share | None,  # held, or whoever comes next would find another with free places
        patience: Patience,
        *places: asyncio.Semaphore,
    ) -> AsyncIterator[Acquired]:
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout_at(patience.deadline) as limit:
                    for each in places:
                        await held.enter_async_context(each)
                    connection = await held.enter_async_context(self._pool.acquire())
            except TimeoutError as error:
                if limit.expired():
                    raise LockTimeout from error
                raise
            # Now, and not before it waited for its place: by now many may want it.
            shortened = [each.shorten(patience.lock_timeout) for each in places if isinstance(each, Places)]
            lock_timeout = min(shortened, default=patience.lock_timeout)
            # What meets no lock takes as long as it takes.
            yield Acquired(connection, lock_timeout, None if patience.on == "try" else patience.deadline)
