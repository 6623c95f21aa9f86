"""How patient a call is with locks, and the places in which it waits: there are few, and nobody waits without end."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Literal, NamedTuple, TypeVar

from everyskill.errors import Overloaded

Result = TypeVar("Result")


class Patience(NamedTuple):
    """How many milliseconds a transaction waits for each lock at most, and with a deadline, until when for all.

    `on` says in which places: those for the first "try" of a call, the few in which those who met a lock "retry", those
    in which they "wait", or none, for batches. The deadline is by the clock of the event loop.
    """

    lock_timeout: int
    on: Literal["none", "sort out", "try", "retry", "wait"]
    deadline: float | None = None


# Waits for nobody.
HASTY = Patience(1, "none")
# As hasty, where a batch meets one lock after the other.
SORT_OUT = Patience(1, "sort out")
# Waits for other calls of its tenant, and hardly longer.
TRY = Patience(50, "none")
# How long a call keeps its place: others want it too, and one whose lock is free by now must not wait for the stuck.
_TURN = 500
# What is left of that where many want the same places: less would cost more in transactions than it saves in waiting.
_SHORTEST = 10
# How long a tenant that met a lock is taken for stuck once its callers gave up: they will ask again.
_REMEMBERED_SECONDS = 2.0
# How many calls each tenant may have however many others have.
_FEW = 10


class Places(asyncio.Semaphore):
    """So many places. The more wait for one, the less time each has."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self._count = count
        self._waiting = 0

    async def acquire(self) -> Literal[True]:
        """Waits for a place."""
        self._waiting += 1
        try:
            return await super().acquire()
        finally:
            self._waiting -= 1

    def shorten(self, milliseconds: int) -> int:
        """So many milliseconds, shared with those who wait for a place now."""
        shared = milliseconds * self._count // (self._count + self._waiting)
        return max(shared, milliseconds // _SHORTEST, 1)


class Recent:
    """The tenants that were added in the last seconds."""

    def __init__(self, seconds: float = _REMEMBERED_SECONDS) -> None:
        self._seconds = seconds
        self._until: dict[str, float] = {}

    def __contains__(self, tenant_id: str) -> bool:
        return self._until.get(tenant_id, 0.0) > monotonic()

    def __len__(self) -> int:
        return len(self._until)

    def add(self, tenant_id: str) -> None:
        """Adds a tenant, or anew, and forgets those whose time is over."""
        now = monotonic()
        self._until.pop(tenant_id, None)
        self._until[tenant_id] = now + self._seconds
        # In the order in which they were added, which is that of their ends.
        while self._until[first := next(iter(self._until))] <= now:
            del self._until[first]


class Room:
    """Counts the calls of each tenant that wait or are under way, `size` of all tenants.

    A tenant has a quarter at most, and no more than are left to the others. A few of each find room whatever others
    ask: so many tenants that are stuck may exceed the size, by those few each.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._few = max(min(_FEW, size // 4), 1)
        self._calls: dict[str, int] = {}
        self._total = 0

    def enter(self, tenant_id: str) -> None:
        """Counts one more call. Raises Overloaded where there is no room for it."""
        calls = self._calls.get(tenant_id, 0)
        if calls >= max(self._few, min(self._size // 4, self._size - self._total)):
            raise Overloaded(self._size)
        self._calls[tenant_id] = calls + 1
        self._total += 1

    def leave(self, tenant_id: str) -> None:
        """Counts one call less."""
        self._total -= 1
        if self._calls[tenant_id] == 1:
            del self._calls[tenant_id]
        else:
            self._calls[tenant_id] -= 1


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
