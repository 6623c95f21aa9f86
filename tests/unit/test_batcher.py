"""One class batches calls, whatever they ask: which go together, which wait, and what happens when a batch fails."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everyskill.database.batcher import MAX_KEYS, MAX_WORKERS, STUCK_SECONDS, Batcher
from everyskill.database.calls import Blocked
from everyskill.database.places import Patience
from everyskill.errors import DatabaseUnreachable, LockTimeout, OutcomeUnknown, Overloaded

Batch: TypeAlias = dict[str, list[int]]


class Refused(Exception):
    """What a database might say to a batch."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Desk:
    """Answers each number with its tenfold, at a pace that the test sets, and keeps what it was asked."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.patiences: list[Patience] = []
        self.under_way = 0
        self.max_under_way = 0
        self.open = asyncio.Event()
        self.open.set()
        self.refuses: set[int] = set()
        self.refusal: type[Exception] = Refused
        self.breaks: Exception | None = None
        self.locked: set[int] = set()
        self.unlocked = asyncio.Event()

    async def run(self, items: Mapping[str, Sequence[int]], patience: Patience) -> Mapping[str, Sequence[int]]:
        self.batches.append({key: list(numbers) for key, numbers in items.items()})
        self.patiences.append(patience)
        for key, numbers in items.items():
            if self.locked.intersection(numbers):
                await self.wait_for_lock(key, patience)
        self.under_way += 1
        self.max_under_way = max(self.max_under_way, self.under_way)
        try:
            await self.open.wait()
        finally:
            self.under_way -= 1
        if self.breaks:
            raise self.breaks
        for refused in self.refuses.intersection(number for numbers in items.values() for number in numbers):
            raise self.refusal(refused)
        return {key: [number * 10 for number in numbers] for key, numbers in items.items()}

    async def wait_for_lock(self, key: str, patience: Patience) -> None:
        """Somebody holds what the items of a key need: who may wait does so, who may not is told."""
        if patience.on != "wait":
            raise Blocked(key)
        try:
            async with asyncio.timeout_at(patience.deadline):
                await self.unlocked.wait()
        except TimeoutError:
            raise Blocked(key) from LockTimeout()

    def unlock(self) -> None:
        self.locked.clear()
        self.unlocked.set()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def batcher_at(desk: Desk, *, max_waiting: int = 10_000, max_weight: int = 100) -> Batcher[int, int]:
    return Batcher(desk.run, max_waiting=max_waiting, max_weight=max_weight)


async def asking(calls: Sequence[Awaitable[int]]) -> "list[asyncio.Task[int]]":
    """Starts the calls, and returns when each has joined its queue."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def held(desk: Desk, batcher: Batcher[int, int], key: str = "first") -> "asyncio.Task[int]":
    """A batch that stays under way until the desk opens."""
    desk.open.clear()
    [task] = await asking([batcher.ask(key, 0)])
    return task


async def test_a_single_call_waits_for_nobody(desk: Desk) -> None:
    assert await batcher_at(desk).ask("a", 1) == 10
    assert desk.batches == [{"a": [1]}]


async def test_calls_that_come_while_a_batch_is_under_way_go_together_in_the_next_in_their_order(desk: Desk) -> None:
    batcher = batcher_at(desk)
    first = await held(desk, batcher)
    rest = await asking([batcher.ask("a", 1), batcher.ask("b", 2), batcher.ask("a", 3), batcher.ask("b", 4)])
    desk.open.set()
    assert await asyncio.gather(first, *rest) == [0, 10, 20, 30, 40]
    assert desk.batches == [{"first": [0]}, {"a": [1, 3], "b": [2, 4]}]


async def test_callers_who_ask_again_at_once_stay_together(desk: Desk) -> None:
    batcher = batcher_at(desk)

    async def ask_thrice(number: int) -> None:
        for _ in range(3):
            await batcher.ask("a", number)

    await asyncio.gather(*(ask_thrice(number) for number in range(10)))
    assert [len(batch["a"]) for batch in desk.batches] == [10, 10, 10]


async def test_a_refused_call_fails_alone(desk: Desk) -> None:
    batcher = batcher_at(desk)
    desk.refuses = {3, 7}
    first = await held(desk, batcher)
    rest = await asking([batcher.ask("ab"[number % 2], number) for number in range(1, 10)])
    desk.open.set()
    answers = await asyncio.gather(first, *rest, return_exceptions=True)
    assert [answer for answer in answers if not isinstance(answer, Refused)] == [0, 10, 20, 40, 50, 60, 80, 90]
    assert [answer.number for answer in answers if isinstance(answer, Refused)] == [3, 7]


async def test_an_odd_call_fails_alone_whatever_its_error(desk: Desk) -> None:
    batcher: Batcher[int, int] = Batcher(desk.run, max_waiting=100, max_weight=100)
    desk.refuses, desk.refusal = {3}, TypeError
    first = await held(desk, batcher)
    rest = await asking([batcher.ask("ab"[number == 3], number) for number in range(1, 6)])
    desk.open.set()
    answers = await asyncio.gather(first, *rest, return_exceptions=True)
    assert [answer for answer in answers if not isinstance(answer, TypeError)] == [0, 10, 20, 40, 50]


async def test_what_every_call_would_be_told_goes_to_each_caller_as_its_own_error_after_one_try(desk: Desk) -> None:
    batcher = batcher_at(desk)
    desk.breaks = DatabaseUnreachable("it fell over")
    first = await held(desk, batcher)
    rest = await asking([batcher.ask("a", number) for number in range(3)])
    desk.open.set()
    errors = await asyncio.gather(first, *rest, return_exceptions=True)
    assert [str(error) for error in errors] == ["The database cannot be reached: it fell over"] * 4
    assert len(set(map(id, errors))) == 4
    assert len(desk.batches) == 2, "what is said to all was asked again"
    desk.breaks = None
    assert await batcher.ask("a", 1) == 10


@pytest.mark.parametrize("is_locked", [False, True])
async def test_a_batch_whose_commit_was_cut_off_is_never_run_again(desk: Desk, is_locked: bool) -> None:
    batcher = batcher_at(desk)
    desk.breaks = OutcomeUnknown("it broke")
    if is_locked:
        desk.locked = {9}
        locked = await asking([batcher.ask("a", 9)])
    first = await held(desk, batcher)
    rest = await asking([batcher.ask("a", number) for number in range(1, 4)])
    desk.open.set()
    errors = await asyncio.gather(first, *rest, return_exceptions=True)
    assert [type(error) for error in errors] == [OutcomeUnknown] * 4
    assert sorted(number for batch in desk.batches for number in batch.get("a", ()) if number < 9) == [1, 2, 3]
    if is_locked:
        desk.unlock()
        await asyncio.wait(locked)


async def test_a_call_that_is_cancelled_while_it_waits_is_never_run(desk: Desk) -> None:
    batcher = batcher_at(desk)
    first = await held(desk, batcher)
    gone, stays = await asking([batcher.ask("a", 1), batcher.ask("a", 2)])
    gone.cancel()
    desk.open.set()
    assert (await first, await stays) == (0, 20)
    assert desk.batches == [{"first": [0]}, {"a": [2]}]


async def test_a_call_that_is_cancelled_under_way_takes_nobody_along(desk: Desk) -> None:
    batcher = batcher_at(desk)
    first = await held(desk, batcher)
    rest = await asking([batcher.ask("a", number) for number in range(3)])
    first.cancel()
    desk.open.set()
    assert await asyncio.gather(*rest) == [0, 10, 20]
    assert first.cancelled()


async def test_a_batch_of_cancelled_calls_alone_is_not_run(desk: Desk) -> None:
    batcher = batcher_at(desk)
    first = await held(desk, batcher)
    for task in await asking([batcher.ask("a", number) for number in range(3)]):
        task.cancel()
    desk.open.set()
    await first
    await batcher.close()
    assert desk.batches == [{"first": [0]}]


async def test_a_full_queue_takes_no_more_until_it_moves(desk: Desk) -> None:
    batcher = batcher_at(desk, max_waiting=3)
    first = await held(desk, batcher)
    rest = await asking([batcher.ask(key, number) for number, key in enumerate("abc")])
    with pytest.raises(Overloaded) as refused:
        await batcher.ask("c", 1)
    assert refused.value.code == "overloaded"
    desk.open.set()
    await asyncio.gather(first, *rest)
    assert await batcher.ask("c", 1) == 10


async def test_s18_a_key_has_a_quarter_of_the_places_and_its_calls_keep_them_until_they_are_answered(
    desk: Desk,
) -> None:
    batcher = batcher_at(desk, max_waiting=400)
    desk.locked = {7}
    [stuck] = await asking([batcher.ask("a", 7)])
    under_way = await held(desk, batcher, "a")
    asked = await asking([batcher.ask("a", number) for number in range(10, 120)])
    assert sum(task.done() for task in asked) == 112 - 100
    desk.unlock()
    desk.open.set()
    await asyncio.gather(stuck, under_way, *asked, return_exceptions=True)


async def test_calls_whose_callers_left_count_until_they_are_taken_from_the_queue(desk: Desk) -> None:
    batcher = batcher_at(desk, max_waiting=40)
    first = await held(desk, batcher, "a")
    for task in await asking([batcher.ask("a", number) for number in range(9)]):
        task.cancel()
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await batcher.ask("a", 1)
    desk.open.set()
    await first
    assert await asyncio.gather(*(batcher.ask("a", number) for number in range(10))) == [n * 10 for n in range(10)]


async def test_a_busy_key_does_not_hold_up_another(desk: Desk) -> None:
    batcher = batcher_at(desk, max_weight=10)
    first = await held(desk, batcher)
    desk_is_full = await asking([batcher.ask("full", number) for number in range(20)])
    many = await asking([batcher.ask("many", number) for number in range(50)])
    few = await asking([batcher.ask("few", 1)])
    desk.open.set()
    await asyncio.gather(first, *desk_is_full, *many, *few)
    went = next(place for place, batch in enumerate(desk.batches) if "few" in batch)
    assert sum("many" in batch for batch in desk.batches[:went]) <= 1
    assert sum("many" in batch for batch in desk.batches[went:]) >= 3


async def test_what_is_too_heavy_for_a_batch_goes_alone_and_does_go(desk: Desk) -> None:
    batcher: Batcher[int, int] = Batcher(desk.run, max_waiting=100, max_weight=10, weigh=lambda number: number)
    first = await held(desk, batcher)
    rest = await asking([batcher.ask(key, weight) for key, weight in [("a", 3), ("b", 500), ("c", 3), ("d", 3)]])
    desk.open.set()
    assert await asyncio.gather(first, *rest) == [0, 30, 5000, 30, 30]
    assert {"b": [500]} in desk.batches


async def test_where_more_than_a_batch_has_gathered_a_few_go_at_once(desk: Desk) -> None:
    batcher = batcher_at(desk, max_weight=10)
    first = await held(desk, batcher)
    rest = await asking([batcher.ask("a", number) for number in range(100)])
    desk.open.set()
    assert max(await asyncio.gather(first, *rest)) == 990
    assert desk.max_under_way == MAX_WORKERS


async def test_s18_one_key_never_has_the_last_worker(desk: Desk) -> None:
    batcher = batcher_at(desk, max_weight=10)
    slow = [await held(desk, batcher, "slow"), *await asking([batcher.ask("slow", number) for number in range(100)])]
    others = await asking([batcher.ask("other", 1)])
    async with asyncio.timeout(10):
        while desk.batches[-1] != {"other": [1]}:  # noqa: ASYNC110 - the batcher's own timer
            await asyncio.sleep(0.01)
    assert sum("slow" in batch for batch in desk.batches) == MAX_WORKERS
    desk.open.set()
    await asyncio.gather(*slow, *others)


async def test_s18_one_key_never_has_the_last_worker_though_nobody_else_asks_for_a_while(desk: Desk) -> None:
    batcher = batcher_at(desk, max_weight=10)
    slow = [await held(desk, batcher, "slow"), *await asking([batcher.ask("slow", number) for number in range(100)])]
    await asyncio.sleep(3 * STUCK_SECONDS)
    assert sum("slow" in batch for batch in desk.batches) == MAX_WORKERS
    others = await asking([batcher.ask("other", 1)])
    async with asyncio.timeout(10):
        while desk.batches[-1] != {"other": [1]}:  # noqa: ASYNC110 - the batcher's own timer
            await asyncio.sleep(0.01)
    desk.open.set()
    await asyncio.gather(*slow, *others)


async def test_s18_a_key_of_which_nothing_is_under_way_goes_without_those_that_may_be_slow(desk: Desk) -> None:
    batcher = batcher_at(desk, max_weight=10)
    slow = [await held(desk, batcher, "slow"), *await asking([batcher.ask("slow", number) for number in range(8)])]
    others = await asking([batcher.ask("other", number) for number in range(2)])
    assert desk.batches == [{"slow": [0]}, {"other": [0, 1]}]
    desk.open.set()
    await asyncio.gather(*slow, *others)


async def test_a_batch_that_is_stuck_does_not_hold_up_the_next(desk: Desk) -> None:
    batcher = batcher_at(desk)
    stuck = await held(desk, batcher)
    await asyncio.sleep(0.2)
    waiting = await asking([batcher.ask("a", 1)])
    assert desk.batches == [{"first": [0]}, {"a": [1]}]
    desk.open.set()
    await asyncio.gather(stuck, *waiting)


async def test_a_call_that_came_early_does_not_wait_for_a_stuck_batch_either(desk: Desk) -> None:
    batcher = batcher_at(desk)
    stuck = await held(desk, batcher)
    waiting = await asking([batcher.ask("a", 1)])
    assert desk.batches == [{"first": [0]}]
    # Nobody else calls: a timer must start the next batch.
    async with asyncio.timeout(10):
        while len(desk.batches) < 2:  # noqa: ASYNC110 - the batcher's own timer
            await asyncio.sleep(0.01)
    desk.open.set()
    await asyncio.gather(stuck, *waiting)


async def test_nobody_waits_for_a_stuck_batch_though_the_next_one_is_stuck_as_well(desk: Desk) -> None:
    batcher = batcher_at(desk)
    stuck = await held(desk, batcher)
    # More than one batch, and nobody calls after them.
    waiting = await asking([batcher.ask(f"key {number}", number) for number in range(MAX_KEYS + 5)])
    async with asyncio.timeout(10):
        while len(desk.batches) < 3:  # noqa: ASYNC110 - the batcher's own timer
            await asyncio.sleep(0.01)
    desk.open.set()
    await asyncio.gather(stuck, *waiting)


async def test_s18_a_key_that_is_stuck_is_tried_on_the_connections_for_that_alone(desk: Desk) -> None:
    batcher = batcher_at(desk)
    desk.locked = {7}
    stuck = await asking([batcher.ask("a", 7)])
    async with asyncio.timeout(10):
        while "wait" not in {patience.on for patience in desk.patiences}:  # noqa: ASYNC110 - it is the batcher's own time
            await asyncio.sleep(0)
    desk.patiences.clear()
    assert await batcher.ask("a", 1) == 10
    assert [patience.on for patience in desk.patiences] == ["retry"]
    desk.unlock()
    assert await asyncio.gather(*stuck) == [70]


async def test_s18_a_key_that_meets_a_lock_is_taken_out_and_the_others_go_on(desk: Desk) -> None:
    batcher = batcher_at(desk)
    desk.locked = {7}
    first = await held(desk, batcher)
    theirs = await asking([batcher.ask("a", number) for number in (6, 7, 8)])
    ours = await asking([batcher.ask("b", number) for number in (1, 2)])
    desk.open.set()
    assert await asyncio.gather(first, *ours) == [0, 10, 20]
    # Within the key, too, only the call that meets the lock waits for it.
    assert [*await asyncio.gather(theirs[0], theirs[2])] == [60, 80]
    assert not theirs[1].done()
    desk.unlock()
    assert await theirs[1] == 70


async def test_s18_however_many_keys_get_stuck_at_once_the_next_batch_waits_for_the_first_of_them_alone(
    desk: Desk,
) -> None:
    batcher = batcher_at(desk)
    desk.locked = set(range(1, MAX_KEYS + 1))
    first = await held(desk, batcher)
    stuck = await asking([batcher.ask(f"stuck {number}", number) for number in desk.locked])
    [calm] = await asking([batcher.ask("calm", 100)])
    desk.open.set()
    assert (await first, await calm) == (0, 1000)
    assert [len(batch) for batch in desk.batches[:2]] == [1, MAX_KEYS]
    assert desk.batches.index({"calm": [100]}) <= 6
    assert not any(task.done() for task in stuck)
    desk.unlock()
    assert sum(await asyncio.gather(*stuck)) == 10 * sum(range(1, MAX_KEYS + 1))


async def test_s18_each_of_the_keys_that_get_stuck_at_once_is_met_once_and_then_tried_where_the_stuck_are(
    desk: Desk,
) -> None:
    batcher = batcher_at(desk)
    desk.locked = set(range(1, 61))
    first = await held(desk, batcher)
    # Every second one is free.
    tasks = await asking(
        [batcher.ask(f"key {number:03}", number if number % 2 else -number) for number in range(1, 61)]
    )
    desk.open.set()
    await asyncio.gather(first, *tasks[1::2])
    while sum(patience.on == "wait" for patience in desk.patiences) < 30:  # noqa: ASYNC110 - the batcher's own time
        await asyncio.sleep(0.001)
    tried = Counter(patience.on for patience in desk.patiences)
    assert tried["none"] + tried["sort out"] <= 2 * 30 + 3
    assert tried["retry"] == 30
    desk.unlock()
    await asyncio.gather(*tasks)


async def test_s18_a_locked_row_that_is_asked_for_again_and_again_holds_up_nobody_else(desk: Desk) -> None:
    batcher = batcher_at(desk)
    desk.locked = {7}
    stuck: list[asyncio.Task[int]] = []
    for number in range(20):
        stuck += await asking([batcher.ask("a", 7)])
        async with asyncio.timeout(5):
            assert await batcher.ask("b", 200 + number) == (200 + number) * 10
            assert await batcher.ask("a", 100 + number) == (100 + number) * 10
    assert not any(task.done() for task in stuck)
    desk.unlock()
    assert await asyncio.gather(*stuck) == [70] * 20


async def test_s18_a_key_whose_callers_give_up_and_ask_again_stays_out_of_the_batches_of_all(desk: Desk) -> None:
    batcher = batcher_at(desk)
    desk.locked = {7}
    for number in range(3):
        [stuck] = await asking([batcher.ask("a", 7)])
        while desk.patiences[-1].on != "wait":  # noqa: ASYNC110 - the batcher's own time
            await asyncio.sleep(0.001)
        stuck.cancel()
        await asyncio.wait([stuck])
        await asyncio.sleep(0.01)
        first = await held(desk, batcher)
        again, calm = await asking([batcher.ask("a", 7), batcher.ask("b", number)])
        desk.open.set()
        assert (await first, await calm) == (0, number * 10)
        again.cancel()
    assert not any({"a", "b"} <= batch.keys() for batch in desk.batches)
    await batcher.close()


async def test_s18_a_key_goes_with_the_others_again_once_none_of_its_calls_waits(desk: Desk) -> None:
    batcher = batcher_at(desk)
    desk.locked = {7}
    stuck = await asking([batcher.ask("a", 7)])
    desk.unlock()
    assert await stuck[0] == 70
    await asyncio.sleep(0.01)
    first = await held(desk, batcher)
    rest = await asking([batcher.ask("a", 1), batcher.ask("b", 2)])
    desk.open.set()
    assert await asyncio.gather(first, *rest) == [0, 10, 20]
    assert desk.batches[-1] == {"a": [1], "b": [2]}


async def test_calls_go_together_as_before_once_a_key_was_taken_out_with_more_than_a_batch_of_calls(
    desk: Desk,
) -> None:
    batcher = batcher_at(desk, max_weight=2)
    desk.locked = set(range(1, 20))
    stuck = await asking([batcher.ask("stuck", number) for number in range(1, 20)])
    desk.unlock()
    await asyncio.gather(*stuck)
    first = await held(desk, batcher)
    rest = await asking([batcher.ask("a", 21)])
    rest += await asking([batcher.ask("b", 22)])
    desk.open.set()
    await asyncio.gather(first, *rest)
    assert desk.batches[-1] == {"a": [21], "b": [22]}


async def test_a_call_that_waited_too_long_for_a_lock_is_told_so(desk: Desk) -> None:
    async def run(items: Mapping[str, Sequence[int]], patience: Patience) -> Mapping[str, Sequence[int]]:
        [key] = items
        raise Blocked(key) from LockTimeout()

    batcher: Batcher[int, int] = Batcher(run, max_waiting=10, max_weight=10, call_seconds=0.1)
    with pytest.raises(LockTimeout):
        await batcher.ask("a", 1)


async def test_blocked_calls_are_tried_until_their_deadline_and_then_told_so(desk: Desk) -> None:
    batcher: Batcher[int, int] = Batcher(desk.run, max_waiting=100, max_weight=100, call_seconds=0.1)
    desk.locked = {7}
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*(batcher.ask("a", 7) for _ in range(5)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LockTimeout] * 5
    desk.unlock()
    assert await batcher.ask("a", 7) == 70


async def test_calls_that_wait_for_locks_count_as_waiting(desk: Desk) -> None:
    batcher = batcher_at(desk, max_waiting=12)
    desk.locked = {7}
    stuck: list[asyncio.Task[int]] = []
    for _ in range(3):
        stuck += await asking([batcher.ask("a", 7)])
    with pytest.raises(Overloaded):
        await batcher.ask("a", 7)
    desk.unlock()
    assert await asyncio.gather(*stuck) == [70] * 3
    assert await batcher.ask("a", 7) == 70


@pytest.mark.parametrize("greedy", [1, 2, 9, 30])
async def test_s18_however_many_keys_ask_without_end_another_still_finds_room(desk: Desk, greedy: int) -> None:
    batcher = batcher_at(desk, max_waiting=100)
    first = await held(desk, batcher)
    asked = await asking([batcher.ask(f"greedy {n}", number) for n in range(greedy) for number in range(300)])
    assert {type(task.exception()) for task in asked if task.done()} == {Overloaded}
    others = await asking([batcher.ask("other", number) for number in range(10)])
    assert not any(task.done() for task in others)
    desk.open.set()
    await asyncio.gather(first, *others)
    await batcher.close()


async def test_isolated_calls_that_were_not_tried_in_time_are_told_so(desk: Desk) -> None:
    batcher: Batcher[int, int] = Batcher(desk.run, max_waiting=100, max_weight=100, call_seconds=0.05)
    desk.locked = {7}
    [stuck] = await asking([batcher.ask("a", 7)])
    under_way = await held(desk, batcher, "a")
    queued = await asking([batcher.ask("a", number) for number in range(3)])
    await asyncio.sleep(0.1)
    desk.open.set()
    outcomes = await asyncio.gather(stuck, *queued, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LockTimeout] * 4
    assert await under_way == 0


async def test_a_call_whose_turn_to_be_tried_does_not_come_in_time_is_told_so() -> None:
    async def run(items: Mapping[str, Sequence[int]], patience: Patience) -> Mapping[str, Sequence[int]]:
        [key] = items
        if patience.on == "retry":
            with suppress(TimeoutError):
                async with asyncio.timeout_at(patience.deadline):
                    await asyncio.Event().wait()
        raise Blocked(key) from LockTimeout()

    batcher: Batcher[int, int] = Batcher(run, max_waiting=100, max_weight=100, call_seconds=0.1)
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*(batcher.ask("a", number) for number in range(5)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LockTimeout] * 5


async def test_a_blocked_call_ends_with_its_caller_and_closing_waits_for_it_no_longer(desk: Desk) -> None:
    batcher = batcher_at(desk)
    desk.locked = {7}
    for task in await asking([batcher.ask("a", 7) for _ in range(3)]):
        task.cancel()
    async with asyncio.timeout(5):
        await batcher.close()
    assert not desk.unlocked.is_set()


async def test_a_blocked_call_that_is_cancelled_gives_its_place_to_the_next(desk: Desk) -> None:
    batcher = batcher_at(desk)
    desk.locked = {7}
    stuck = await asking([batcher.ask("a", 7) for _ in range(3)])
    for task in stuck:
        task.cancel()
    desk.unlock()
    async with asyncio.timeout(5):
        assert await batcher.ask("a", 7) == 70


async def test_closing_answers_those_who_wait_and_takes_no_more(desk: Desk) -> None:
    batcher = batcher_at(desk, max_weight=2)
    first = await held(desk, batcher)
    rest = await asking([batcher.ask("a", number) for number in range(10)])
    closing = asyncio.ensure_future(batcher.close())
    await asyncio.sleep(0)
    with pytest.raises(DatabaseUnreachable):
        await batcher.ask("a", 1)
    desk.open.set()
    await closing
    assert all(task.done() for task in (first, *rest))
    assert await asyncio.gather(*rest) == [number * 10 for number in range(10)]


def test_nobody_is_left_hanging_when_the_loop_ends() -> None:
    told: list[BaseException] = []

    async def ask(batcher: Batcher[int, int], number: int) -> None:
        try:
            await batcher.ask("a", number)
        except (asyncio.CancelledError, DatabaseUnreachable) as error:
            told.append(error)
            raise

    async def leave_in_the_middle() -> None:
        desk = Desk()
        desk.open.clear()
        batcher = batcher_at(desk)
        tasks = [asyncio.ensure_future(ask(batcher, number)) for number in range(5)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in tasks)

    asyncio.run(leave_in_the_middle())
    assert len(told) == 5


def test_nobody_who_waits_for_a_lock_is_left_hanging_when_the_loop_ends() -> None:
    told: list[BaseException] = []

    async def ask(batcher: Batcher[int, int], number: int) -> None:
        try:
            await batcher.ask("a", number)
        except (asyncio.CancelledError, DatabaseUnreachable) as error:
            told.append(error)
            raise

    async def leave_in_the_middle() -> None:
        desk = Desk()
        desk.locked = set(range(5))
        batcher = batcher_at(desk)
        tasks = [asyncio.ensure_future(ask(batcher, number)) for number in range(5)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in tasks)

    asyncio.run(leave_in_the_middle())
    assert len(told) == 5


@given(
    calls=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), min_size=1, max_size=60),
    locked=st.sets(st.integers(1, 9)),
)
def test_s18_whoever_meets_no_lock_is_answered_while_it_is_held_and_the_rest_after_it(
    calls: list[tuple[int, int]], locked: set[int]
) -> None:
    async def ask_all() -> None:
        desk = Desk()
        desk.locked = set(locked)
        batcher = batcher_at(desk, max_weight=10)
        tasks = [asyncio.ensure_future(batcher.ask(f"key {key}", number)) for key, number in calls]
        free = [task for task, (_, number) in zip(tasks, calls, strict=True) if number not in locked]
        async with asyncio.timeout(10):
            await asyncio.gather(*free)
        assert not any(task.done() for task, (_, number) in zip(tasks, calls, strict=True) if number in locked)
        desk.unlock()
        async with asyncio.timeout(10):
            assert await asyncio.gather(*tasks) == [number * 10 for _, number in calls]

    asyncio.run(ask_all())


@given(
    calls=st.lists(st.tuples(st.integers(0, 2 * MAX_KEYS), st.integers(1, 15)), min_size=1, max_size=200),
    max_weight=st.integers(1, 20),
)
def test_whatever_is_asked_each_gets_its_own_answer_and_no_batch_is_too_large(
    calls: list[tuple[int, int]], max_weight: int
) -> None:
    async def ask_all() -> tuple[list[int], list[Batch]]:
        desk = Desk()
        batcher: Batcher[int, int] = Batcher(
            desk.run, max_waiting=1_000, max_weight=max_weight, weigh=lambda number: number
        )
        answers = await asyncio.gather(*(batcher.ask(f"key {key}", number) for key, number in calls))
        return answers, desk.batches

    answers, batches = asyncio.run(ask_all())
    assert answers == [number * 10 for _, number in calls]
    for batch in batches:
        numbers = [number for group in batch.values() for number in group]
        assert len(numbers) == 1 or sum(numbers) <= max_weight
        assert len(batch) <= MAX_KEYS
    assert _by_key(batches) == _by_key([{f"key {key}": [number]} for key, number in calls])


def _by_key(batches: Sequence[Batch]) -> Mapping[str, list[int]]:
    # Within a key first come is first served.
    found: dict[str, list[int]] = {}
    for batch in batches:
        for key, numbers in batch.items():
            found.setdefault(key, []).extend(numbers)
    return found
