"""How patient a call is with locks, and the places in which it waits: there are few, and nobody waits without end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal, NamedTuple, TypeVar

from everyskill.errors import LockTimeout

Result = TypeVar("Result")


class Patience(NamedTuple):
    """How long a transaction waits for each lock, on which connections, and with a deadline, how long in all.

    `on` is "any" connection, one of the few for "tries" of those who are known to be stuck, or one in which to "wait".
    The deadline is by the clock of the event loop.
    """

    lock_timeout: str
    on: Literal["any", "tries", "wait"] = "any"
    deadline: float | None = None


# Waits for nobody.
HASTY = Patience("1ms")
# Waits for other calls of its tenant, and hardly longer.
TRY = Patience("50ms")
# How long a call keeps its place: others want it too, and one whose lock is free by now must not wait for the stuck.
_TURN = "500ms"


def unconcerned(seconds: float) -> Patience:
    """Of what meets no row locks, as most reads."""
    return Patience(f"{seconds * 1000:.0f}ms")


def try_while_stuck(deadline: float | None = None) -> Patience:
    """As TRY, of whoever met a lock a moment ago."""
    return Patience(TRY.lock_timeout, "tries", deadline)


async def wait_in_turns(
    attempt: Callable[[Patience], Awaitable[Result]], deadline: float, blocked: type[Exception]
) -> Result:
    """What `attempt` gives, run again as long as it is blocked and the deadline has not passed."""
    while True:
        try:
            return await attempt(Patience(_TURN, "wait", deadline))
        except blocked:
            if asyncio.get_running_loop().time() >= deadline:
                raise


@asynccontextmanager
async def hold_place(places: asyncio.Semaphore, deadline: float | None) -> AsyncIterator[None]:
    """Holds one of the places. Raises LockTimeout where none was free until the deadline."""
    try:
        async with asyncio.timeout_at(deadline):
            await places.acquire()
    except TimeoutError as error:
        raise LockTimeout from error
    try:
        yield
    finally:
        places.release()
