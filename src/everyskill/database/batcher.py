"""Batches concurrent calls: those that arrive while one batch is under way go together in the next."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import Context
from itertools import islice
from time import monotonic
from typing import Generic, TypeAlias, TypeVar, cast

from everyskill.errors import DatabaseUnreachable, Overloaded

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# Takes items by key; gives an answer for each item, in the same order.
Run: TypeAlias = Callable[[Mapping[str, Sequence[Item]]], Awaitable[Mapping[str, Sequence[Answer]]]]

MAX_KEYS = 50

# More batches at once were not faster: client and server compete for the same processors.
MAX_WORKERS = 3

# A batch that takes longer waits for somebody else's lock: the next batches do not wait with it.
STUCK_SECONDS = 0.1


class _Call(Generic[Item, Answer]):
    __slots__ = ("answer", "item", "key", "weight")

    def __init__(self, key: str, item: Item, weight: int, answer: "asyncio.Future[Answer]") -> None:
        self.key = key
        self.item = item
        self.weight = weight
        self.answer = answer


class Batcher(Generic[Item, Answer]):
    """Calls `run` with what has gathered: at once when nothing is under way, else when that is done.

    Where more than a batch has gathered meanwhile, a second and a third go along at the same time.
    A key stands for whoever must not wait for others, here a tenant; the weight of an item is its part of a batch.
    Every key has a queue of its own, and a batch takes an equal share from each in turn, so that no key waits for all
    of another's calls. A key without calls costs nothing. A batch that fails with one of `split_on` is run again in
    halves, down to the calls that fail alone; any other error goes to all of its calls.
    """

    def __init__(
        self,
        run: Run[Item, Answer],
        *,
        max_waiting: int,
        max_weight: int,
        weigh: Callable[[Item], int] = lambda _: 1,
        split_on: tuple[type[Exception], ...] = (),
    ) -> None:
        self._run = run
        self._weigh = weigh
        self._max_waiting = max_waiting
        self._max_weight = max_weight
        self._split_on = split_on
        self._queues: dict[str, deque[_Call[Item, Answer]]] = {}
        self._waiting = 0
        self._weight = 0
        self._workers: set[asyncio.Task[None]] = set()
        self._began = 0.0
        self._closed = False

    async def ask(self, key: str, item: Item) -> Answer:
        """The answer to one item. Cancelling this call harms no other.

        Raises Overloaded where too many calls wait, DatabaseUnreachable once closed, and what `run` raises.
        """
        if self._closed:
            raise DatabaseUnreachable("it was closed")
        if self._waiting >= self._max_waiting:
            raise Overloaded(self._max_waiting)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        call = _Call(key, item, self._weigh(item), answer)
        self._queues.setdefault(key, deque()).append(call)
        self._waiting += 1
        self._weight += call.weight
        if not self._workers or self._needs_another_worker():
            self._start_worker()
        return await call.answer

    async def close(self) -> None:
        """Takes no more calls, and returns when those that wait have their answers."""
        self._closed = True
        while self._workers:
            await asyncio.wait(self._workers)

    def _needs_another_worker(self) -> bool:
        if len(self._workers) >= MAX_WORKERS:
            return False
        return self._weight >= self._max_weight or monotonic() - self._began > STUCK_SECONDS

    def _start_worker(self) -> None:
        self._began = monotonic()
        # In an empty context: the batch belongs to no caller more than to the others.
        self._workers.add(asyncio.get_running_loop().create_task(self._work(), context=Context()))

    async def _work(self) -> None:
        calls: list[_Call[Item, Answer]] = []
        try:
            while self._queues:
                self._began = monotonic()
                calls = self._take()
                await self._answer(calls)
                # Those who have their answer may ask again now, and then go along in the next batch.
                await asyncio.sleep(0)
        except BaseException:
            self._abandon(calls)
            raise
        finally:
            # Here and not in a callback of the task: a call that came in between would wait for nobody.
            self._workers.remove(cast("asyncio.Task[None]", asyncio.current_task()))

    def _take(self) -> list[_Call[Item, Answer]]:
        """The next batch: an equal share for every key that has a place in it."""
        taken: list[_Call[Item, Answer]] = []
        room = self._max_weight
        keys = list(islice(self._queues, MAX_KEYS))
        for position, key in enumerate(keys):
            queue = self._queues[key]
            if taken and queue[0].weight > room:
                continue
            room -= _take_from(queue, taken, share=room // (len(keys) - position))
            del self._queues[key]
            if queue:
                # To the end, behind all other keys.
                self._queues[key] = queue
        self._waiting -= len(taken)
        self._weight -= self._max_weight - room
        return taken

    async def _answer(self, calls: Iterable[_Call[Item, Answer]]) -> None:
        # Done already are the calls that were cancelled while they waited.
        wanted = [call for call in calls if not call.answer.done()]
        if not wanted:
            return
        by_key: dict[str, list[_Call[Item, Answer]]] = {}
        for call in wanted:
            by_key.setdefault(call.key, []).append(call)
        try:
            answers = await self._run({key: [call.item for call in group] for key, group in by_key.items()})
        except Exception as error:  # noqa: BLE001 - every caller gets it
            if len(wanted) > 1 and isinstance(error, self._split_on):
                await self._answer(wanted[: len(wanted) // 2])
                await self._answer(wanted[len(wanted) // 2 :])
            else:
                _fail(wanted, error)
            return
        for key, group in by_key.items():
            for call, answer in zip(group, answers[key], strict=True):
                if not call.answer.done():
                    call.answer.set_result(answer)

    def _abandon(self, calls: Iterable[_Call[Item, Answer]]) -> None:
        """Leaves nobody waiting when the worker itself is cancelled, as at the end of the event loop."""
        queues = list(self._queues.values())
        self._queues.clear()
        self._waiting = self._weight = 0
        for group in (calls, *queues):
            _fail(group, DatabaseUnreachable("it was closed before it answered"))


def _take_from(queue: "deque[_Call[Item, Answer]]", taken: list[_Call[Item, Answer]], *, share: int) -> int:
    """Moves the first call of a queue, and what else the share allows, to `taken`; returns their weight."""
    weight = 0
    while queue and (not weight or weight + queue[0].weight <= share):
        call = queue.popleft()
        weight += call.weight
        taken.append(call)
    return weight


def _fail(calls: Iterable[_Call[Item, Answer]], error: Exception) -> None:
    for call in calls:
        if not call.answer.done():
            call.answer.set_exception(_again(error))


def _again(error: Exception) -> Exception:
    """The same error for one more caller: whoever raises it adds to its traceback."""
    again = error.__class__.__new__(error.__class__, *error.args)
    vars(again).update(vars(error))
    again.__cause__ = error
    return again
