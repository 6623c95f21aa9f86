"""A batcher whose callers leave and whose queues never empty: everybody gets the own answer, and nobody starves."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from everyskill.database.batcher import MAX_KEYS, Batcher
from everyskill.database.calls import Blocked
from everyskill.database.places import Patience

KEYS = [f"key {number}" for number in range(MAX_KEYS + 10)]


class Desk:
    """Answers each number with its tenfold once it is open, and keeps which keys each batch had."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.began = asyncio.Event()
        self.batches: list[list[str]] = []
        self.is_locked = False

    async def run(self, items: Mapping[str, Sequence[int]], _: Patience) -> Mapping[str, Sequence[int]]:
        if self.is_locked and len(items) > 1:
            raise Blocked(min(items))
        self.batches.append(list(items))
        self.began.set()
        await self.open.wait()
        return {key: [number * 10 for number in numbers] for key, numbers in items.items()}


async def batch_under_way(desk: Desk, batcher: Batcher[int, int], keys: Sequence[str]) -> "list[asyncio.Task[int]]":
    """One batch of a call per key, numbered from 0 on, that stays under way until the desk opens."""
    first = asyncio.ensure_future(batcher.ask("first", 0))
    await desk.began.wait()
    tasks = [asyncio.ensure_future(batcher.ask(key, number)) for number, key in enumerate(keys)]
    await asyncio.sleep(0)
    desk.began.clear()
    desk.open.set()
    await first
    desk.open.clear()
    await desk.began.wait()
    return tasks


@pytest.mark.parametrize("keys", ["aaaaa", "abcde", "aabba"])
@pytest.mark.parametrize("gone", [[0], [0, 1], [1, 3], [4]])
async def test_callers_who_leave_a_running_batch_shift_no_answer_to_another(keys: str, gone: list[int]) -> None:
    desk = Desk()
    tasks = await batch_under_way(desk, Batcher(desk.run, max_waiting=100, max_weight=100), keys)
    for number in gone:
        tasks[number].cancel()
    await asyncio.sleep(0)
    desk.open.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answers[number]) for number in gone] == [asyncio.CancelledError] * len(gone)
    assert {n: answer for n, answer in enumerate(answers) if n not in gone} == {
        number: number * 10 for number in range(len(keys)) if number not in gone
    }
    assert len(desk.batches) == 2


@pytest.mark.parametrize("gone", [[0], [0, 2], [1]])
async def test_callers_who_leave_an_isolated_keys_batch_shift_no_answer_to_another(gone: list[int]) -> None:
    desk = Desk()
    desk.is_locked = True
    batcher: Batcher[int, int] = Batcher(desk.run, max_waiting=100, max_weight=100)
    # The shared batch meets a lock of "a", whose calls then go in a batch of their own.
    tasks = await batch_under_way(desk, batcher, "aaaab")
    async with asyncio.timeout(10):
        while ["a"] not in desk.batches:  # noqa: ASYNC110 - it is the batcher's own time
            await asyncio.sleep(0)
    for number in gone:
        tasks[number].cancel()
    await asyncio.sleep(0)
    desk.open.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [answers[n] for n in range(5) if n not in gone] == [n * 10 for n in range(5) if n not in gone]


async def test_more_keys_than_a_batch_takes_are_all_served_in_turn_though_each_has_a_backlog() -> None:
    desk = Desk()
    batcher: Batcher[int, int] = Batcher(desk.run, max_waiting=10_000, max_weight=2 * MAX_KEYS)
    first = asyncio.ensure_future(batcher.ask("first", 0))
    await desk.began.wait()
    backlog = [asyncio.ensure_future(batcher.ask(key, number)) for number in range(20) for key in KEYS]
    await asyncio.sleep(0)
    desk.open.set()
    await asyncio.gather(first, *backlog)
    served: Counter[str] = Counter()
    for batch in desk.batches[1:]:
        served.update(batch)
        # Whoever was served goes behind all others: nobody has a third turn before everybody had one.
        assert max(served.values()) <= 2 or len(served) == len(KEYS)
    assert len(set(served.values())) == 1
