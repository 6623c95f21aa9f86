"""Places in which a call may wait for a lock: there are few, and nobody waits for one without end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from everyskill.errors import LockTimeout


@asynccontextmanager
async def hold_place(places: asyncio.Semaphore, *, seconds: float) -> AsyncIterator[None]:
    """Holds one of the places. Raises LockTimeout where none was free within that many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await places.acquire()
    except TimeoutError as error:
        raise LockTimeout from error
    try:
        yield
    finally:
        places.release()
