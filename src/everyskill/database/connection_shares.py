"""Bounds how many connections of a pool the transactions of one tenant hold, so that no tenant waits for another's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from everyskill.database.connections import AnyConnection
from everyskill.errors import Overloaded


class _Share:
    """The places of one tenant, and how many calls hold or want one."""

    __slots__ = ("callers", "places")

    def __init__(self, places: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.callers = 0


class ConnectionShares:
    """Hands out the connections of a pool to transactions that may wait for a lock.

    A tenant gets half of them at most, and the last one is left to batches, which do not wait for locks.
    `queue_size` bounds how many calls may wait. With a pool of one there is nothing to share.
    """

    def __init__(self, pool: asyncpg.Pool, *, size: int, queue_size: int) -> None:
        self._pool = pool
        self._queue_size = queue_size
        self._places_of_a_tenant = max(size // 2, 1)
        self._places = asyncio.Semaphore(max(size - 1, 1))
        self._shares: dict[str, _Share] = {}
        self._callers = 0

    @asynccontextmanager
    async def connection(self, tenant_id: str) -> AsyncIterator[AnyConnection]:
        """A connection within the tenant's share. Raises Overloaded where too many calls hold or want one."""
        if self._callers >= self._queue_size:
            raise Overloaded(self._queue_size)
        share = self._shares.setdefault(tenant_id, _Share(self._places_of_a_tenant))
        share.callers += 1
        self._callers += 1
        try:
            async with share.places, self._places, self._pool.acquire() as connection:
                yield connection
        finally:
            self._callers -= 1
            share.callers -= 1
            if not share.callers:
                del self._shares[tenant_id]
