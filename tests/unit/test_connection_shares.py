"""The shares of a pool: what stuck tenants may hold of it, and what is left to the others (S18)."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest

from everyskill.database.connection_shares import ConnectionShares
from everyskill.database.places import TRY, Patience, Recent
from everyskill.database.transactions import begin
from everyskill.errors import DatabaseUnreachable, LockTimeout, Overloaded

SIZE = 20
TENANTS = [f"tenant {number}" for number in range(10)]


class Pool:
    """A pool that never runs out, as the shares alone are under test."""

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        yield


class Stuck:
    """Calls that meet a lock until it is released, and how many connections they held at most, by what and by whom."""

    def __init__(self, *, queue_size: int = 10_000) -> None:
        pool: Any = Pool()
        self.shares = ConnectionShares(pool, size=SIZE, queue_size=queue_size, call_seconds=20)
        self.released = asyncio.Event()
        self.lock_timeouts: defaultdict[str, list[int]] = defaultdict(list)
        self.held: Counter[tuple[str, str]] = Counter()
        self.most_held: Counter[str] = Counter()

    def call(self, tenant_id: str) -> "asyncio.Task[None]":
        return asyncio.create_task(self.shares.run(tenant_id, partial(self._attempt, tenant_id)))

    async def _attempt(self, tenant_id: str, patience: Patience) -> None:
        async with self.shares.connection(tenant_id, patience) as (_, lock_timeout, _):
            self.lock_timeouts[patience.on].append(lock_timeout)
            self.held[patience.on, tenant_id] += 1
            self._note(f"{patience.on} of a tenant", self.held[patience.on, tenant_id])
            self._note(patience.on, sum(held for (on, _), held in self.held.items() if on == patience.on))
            await asyncio.sleep(0.01 if patience.on == "wait" else 0.001)
            self.held[patience.on, tenant_id] -= 1
        if not self.released.is_set():
            raise LockTimeout

    def _note(self, what: str, held: int) -> None:
        self.most_held[what] = max(self.most_held[what], held)


async def until(condition: Callable[[], bool]) -> None:
    """Lets the calls go on until then."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the shares' own time
            await asyncio.sleep(0.001)


async def test_s18_stuck_tenants_hold_half_of_the_connections_and_try_on_a_fifth() -> None:
    stuck = Stuck()
    calls = [stuck.call(tenant_id) for tenant_id in TENANTS]
    # Once each of them is known to be stuck, further calls of theirs are tried too.
    await until(lambda: stuck.most_held["wait"] >= SIZE // 2)
    calls += [stuck.call(tenant_id) for tenant_id in TENANTS for _ in range(10)]
    await until(lambda: len(stuck.lock_timeouts["try"]) + len(stuck.lock_timeouts["retry"]) == len(calls))
    stuck.released.set()
    await asyncio.gather(*calls)
    assert (stuck.most_held["wait"], stuck.most_held["retry"]) == (SIZE // 2, SIZE // 5)


async def test_s18_the_more_tenants_get_stuck_at_once_the_shorter_each_is_tried() -> None:
    stuck = Stuck()
    calls = [stuck.call(f"tenant {number}") for number in range(60)]
    while len(stuck.lock_timeouts["try"]) < len(calls):  # noqa: ASYNC110 - the shares' own time
        await asyncio.sleep(0.001)
    places = SIZE * 3 // 4
    first, then = stuck.lock_timeouts["try"][:places], stuck.lock_timeouts["try"][places:]
    assert set(first) == {TRY.lock_timeout}
    assert then == [TRY.lock_timeout * places // (places + waiting) for waiting in reversed(range(len(then)))]
    assert stuck.most_held["try"] == places
    stuck.released.set()
    await asyncio.gather(*calls)


async def test_s18_a_tenant_that_is_known_to_be_stuck_is_tried_only_where_the_stuck_are() -> None:
    stuck = Stuck()
    calls = [stuck.call("acme")]
    while not stuck.lock_timeouts["wait"]:  # noqa: ASYNC110 - the shares' own time
        await asyncio.sleep(0.001)
    calls += [stuck.call("acme") for _ in range(20)]
    while len(stuck.lock_timeouts["retry"]) < 20:  # noqa: ASYNC110 - the shares' own time
        await asyncio.sleep(0.001)
    assert len(stuck.lock_timeouts["try"]) == 1
    stuck.released.set()
    await asyncio.gather(*calls)


async def test_s18_a_tenant_whose_callers_give_up_and_ask_again_is_still_known_to_be_stuck() -> None:
    stuck = Stuck()
    for patience in ("wait", "retry", "retry"):
        already = len(stuck.lock_timeouts[patience])
        call = stuck.call("acme")
        while len(stuck.lock_timeouts[patience]) == already:  # noqa: ASYNC110 - the shares' own time
            await asyncio.sleep(0.001)
        call.cancel()
        await asyncio.wait([call])
    assert len(stuck.lock_timeouts["try"]) == 1
    stuck.released.set()
    await stuck.call("globex")
    assert len(stuck.lock_timeouts["try"]) == 2


async def test_who_is_stuck_is_forgotten_after_a_while() -> None:
    recent = Recent(seconds=0.02)
    for tenant_id in TENANTS:
        recent.add(tenant_id)
    assert all(tenant_id in recent for tenant_id in TENANTS)
    await asyncio.sleep(0.05)
    assert not any(tenant_id in recent for tenant_id in TENANTS)
    recent.add("another")
    assert len(recent) == 1


async def test_who_gets_stuck_again_and_again_keeps_nobody_else_from_being_forgotten() -> None:
    recent = Recent(seconds=0.2)
    for tenant_id in TENANTS:
        recent.add(tenant_id)
    await asyncio.sleep(0.1)
    recent.add(TENANTS[0])
    while TENANTS[-1] in recent:  # noqa: ASYNC110 - it looks at the clock
        await asyncio.sleep(0.01)
    recent.add("another")
    assert len(recent) <= 2


async def test_a_question_that_finds_no_connection_ends_at_its_deadline() -> None:
    pool: Any = Pool()
    shares = ConnectionShares(pool, size=2, queue_size=10, call_seconds=0.1)
    async with shares.read_connection("acme"):
        with pytest.raises(LockTimeout):
            await shares.read_connection("acme").__aenter__()


class SilentPool:
    """A pool whose server answers nobody in time."""

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        raise TimeoutError
        yield


@pytest.mark.parametrize("on", ["none", "try", "retry", "wait"])
async def test_a_server_that_does_not_answer_is_unreachable_and_no_lock(on: Any) -> None:
    pool: Any = SilentPool()
    shares = ConnectionShares(pool, size=2, queue_size=10)
    deadline = asyncio.get_running_loop().time() + 20
    with pytest.raises(DatabaseUnreachable):
        async with begin(shares.connection("acme", Patience(50, on, deadline)), readonly=False):
            pass


async def test_questions_beyond_the_queue_size_are_refused_and_leave_room_for_other_calls() -> None:
    stuck = Stuck(queue_size=40)
    stuck.released.set()
    async with AsyncExitStack() as held:
        for _ in range(10):
            await held.enter_async_context(stuck.shares.read_connection("acme"))
        with pytest.raises(Overloaded):
            await held.enter_async_context(stuck.shares.read_connection("acme"))
        await held.enter_async_context(stuck.shares.read_connection("globex"))
        await stuck.call("acme")
    for _ in range(50):
        async with stuck.shares.read_connection("acme"):
            pass


async def test_s18_one_stuck_tenant_holds_a_quarter_of_the_connections() -> None:
    stuck = Stuck()
    calls = [stuck.call("acme") for _ in range(30)]
    await until(lambda: len(stuck.lock_timeouts["wait"]) > len(calls))
    stuck.released.set()
    await asyncio.gather(*calls)
    assert stuck.most_held["wait of a tenant"] == SIZE // 4


async def test_s18_however_many_tenants_ask_without_end_another_still_finds_room() -> None:
    stuck = Stuck(queue_size=20)
    calls = [stuck.call(tenant_id) for tenant_id in TENANTS for _ in range(20)]
    await asyncio.sleep(0.1)
    another = stuck.call("another")
    await asyncio.sleep(0.1)
    assert not another.done()
    stuck.released.set()
    await another
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(answer) for answer in answers} == {type(None), Overloaded}


async def test_a_call_without_a_place_ends_at_its_deadline() -> None:
    stuck = Stuck()
    now = asyncio.get_running_loop().time()
    async with stuck.shares.connection("acme", Patience(1_000, "retry", now + 10)):
        calls = [stuck.shares.connection("acme", Patience(1_000, "retry", now + 0.1)) for _ in range(SIZE // 5)]
        for call in calls[:-1]:
            await call.__aenter__()
        with pytest.raises(LockTimeout):
            await calls[-1].__aenter__()
        for call in calls[:-1]:
            await call.__aexit__(None, None, None)
