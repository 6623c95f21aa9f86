"""Bounds how many connections of a pool the waiting transactions of one tenant hold."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from everyskill.database.connections import AnyConnection
from everyskill.database.places import hold_place
from everyskill.errors import Overloaded

# What is left to transactions that wait for no lock: batches, and most reads.
RESERVED = 3


class _Share:
    """The places of one tenant, and how many calls hold or want one."""

    __slots__ = ("callers", "places")

    def __init__(self, places: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.callers = 0


class ConnectionShares:
    """Hands out the connections of a pool to transactions that may wait for a lock.

    A tenant gets half of the pool at most, and some connections are left to transactions that wait for nothing.
    `queue_size` bounds how many calls may wait, and `place_seconds` for how long.
    """

    def __init__(self, pool: asyncpg.Pool, *, size: int, queue_size: int, place_seconds: float = 30.0) -> None:
        self._pool = pool
        self._queue_size = queue_size
        self._place_seconds = place_seconds
        self._places_of_a_tenant = max(size // 2, 1)
        self._places = asyncio.Semaphore(max(size - RESERVED, 1))
        self._shares: dict[str, _Share] = {}
        self._callers = 0

    def any_connection(self) -> asyncpg.pool.PoolAcquireContext:
        """A connection for a transaction that waits for no lock."""
        return self._pool.acquire()

    @asynccontextmanager
    async def connection(self, tenant_id: str) -> AsyncIterator[AnyConnection]:
        """A connection within the tenant's share.

        Raises Overloaded where too many calls hold or want one, LockTimeout where none was free in time.
        """
        if self._callers >= self._queue_size:
            raise Overloaded(self._queue_size)
        share = self._shares.setdefault(tenant_id, _Share(self._places_of_a_tenant))
        share.callers += 1
        self._callers += 1
        try:
            async with (
                hold_place(share.places, seconds=self._place_seconds),
                hold_place(self._places, seconds=self._place_seconds),
                self._pool.acquire() as connection,
            ):
                yield connection
        finally:
            self._callers -= 1
            share.callers -= 1
            if not share.callers:
                del self._shares[tenant_id]
