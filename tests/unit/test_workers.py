"""Work beside the event loop: in few threads, and no tenant takes them all."""

import asyncio
from threading import Event
from typing import Any

import pytest

from everyskill.errors import DatabaseUnreachable, Overloaded
from everyskill.workers import Workers

SECONDS = 20.0


class Job:
    """Work that goes on until it is let go."""

    def __init__(self) -> None:
        self._is_running = Event()
        self._may_end = Event()

    def __call__(self) -> str:
        self._is_running.set()
        assert self._may_end.wait(SECONDS)
        return "done"

    async def run(self, workers: Workers, tenant_id: str) -> Any:
        return await workers.run(tenant_id, self)

    async def is_running(self) -> bool:
        return await asyncio.to_thread(self._is_running.wait, SECONDS)

    @property
    def has_begun(self) -> bool:
        return self._is_running.is_set()

    def end(self) -> None:
        self._may_end.set()


async def test_a_tenant_has_one_job_in_the_threads_and_another_tenant_the_next() -> None:
    workers, first, second, other = Workers(max_waiting=9), Job(), Job(), Job()
    tasks = [asyncio.create_task(job.run(workers, "acme")) for job in (first, second)]
    assert await first.is_running()
    tasks.append(asyncio.create_task(other.run(workers, "globex")))
    assert await other.is_running()
    assert not second.has_begun
    first.end()
    assert await second.is_running()
    second.end()
    other.end()
    assert await asyncio.gather(*tasks) == ["done"] * 3
    workers.close()


async def test_a_caller_who_gives_up_leaves_its_tenant_no_second_thread() -> None:
    workers, first, second = Workers(max_waiting=9), Job(), Job()
    given_up = asyncio.create_task(first.run(workers, "acme"))
    assert await first.is_running()
    given_up.cancel()
    await asyncio.wait([given_up])
    waiting = asyncio.create_task(second.run(workers, "acme"))
    for _ in range(5):
        await asyncio.sleep(0)
    # Had the second one the other thread by now, nobody else would go on.
    async with asyncio.timeout(SECONDS / 2):
        assert await workers.run("globex", lambda: "others go on") == "others go on"
    assert not second.has_begun
    first.end()
    second.end()
    assert await waiting == "done"
    workers.close()


async def test_the_job_of_a_caller_who_gives_up_before_it_begins_never_runs() -> None:
    workers, running, given_up, next_ = Workers(threads=1, max_waiting=9), Job(), Job(), Job()
    first = asyncio.create_task(running.run(workers, "acme"))
    assert await running.is_running()
    gone = asyncio.create_task(given_up.run(workers, "globex"))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    for job in (running, given_up, next_):
        job.end()
    assert await next_.run(workers, "globex") == await first == "done"
    assert not given_up.has_begun
    workers.close()


async def test_what_waits_of_a_tenant_is_bounded() -> None:
    workers, running = Workers(threads=2, max_waiting=1), Job()
    tasks = [asyncio.create_task(running.run(workers, "acme")) for _ in range(2)]
    assert await running.is_running()
    with pytest.raises(Overloaded):
        await workers.run("acme", lambda: "one too many")
    assert await workers.run("globex", lambda: "others go on") == "others go on"
    running.end()
    assert await asyncio.gather(*tasks) == ["done"] * 2
    assert await workers.run("acme", lambda: "again") == "again"
    workers.close()


async def test_a_job_that_fails_tells_its_caller_and_holds_up_no_other() -> None:
    workers = Workers(max_waiting=1)
    with pytest.raises(ZeroDivisionError):
        await workers.run("acme", lambda: 1 // 0)
    assert await workers.run("acme", lambda: "next") == "next"
    workers.close()


async def test_closing_leaves_nobody_hanging_who_waits() -> None:
    workers, running = Workers(max_waiting=9), Job()
    first = asyncio.create_task(running.run(workers, "acme"))
    assert await running.is_running()
    waiting = [asyncio.create_task(workers.run("acme", lambda: "too late")) for _ in range(3)]
    await asyncio.sleep(0)
    workers.close()
    running.end()
    async with asyncio.timeout(SECONDS):
        assert await first == "done"
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DatabaseUnreachable] * 3
