"""Batches concurrent calls: those that arrive while one batch is under way go together in the next."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextvars import Context
from itertools import islice
from time import monotonic
from typing import Any, Generic, TypeAlias, TypeVar

from everyskill.errors import DatabaseUnreachable, Overloaded

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# Takes items by key, and how long they may wait for a lock; gives an answer for each item, in the same order.
Run: TypeAlias = Callable[[Mapping[str, Sequence[Item]], str], Awaitable[Mapping[str, Sequence[Answer]]]]

MAX_KEYS = 50

# More batches at once were not faster: client and server compete for the same processors.
MAX_WORKERS = 3

# While a batch takes longer than this, the next batches do not wait for it.
STUCK_SECONDS = 0.1

# How long a batch waits for a lock: not at all while several keys share it, hardly while several calls do. A call that
# still has to wait does so alone, and is answered by LockTimeout after this time.
SHARED_LOCK_TIMEOUT = "1ms"
KEY_LOCK_TIMEOUT = "50ms"
CALL_LOCK_TIMEOUT = "30s"

# So many calls of one key wait for locks at the same time; the others of that key that meet a lock wait for them.
MAX_BLOCKED = 2


class Blocked(Exception):
    """What `run` raises where the items of one key would have to wait for a lock longer than they may."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class _Call(Generic[Item, Answer]):
    __slots__ = ("answer", "item", "key", "weight")

    def __init__(self, key: str, item: Item, weight: int, answer: "asyncio.Future[Answer]") -> None:
        self.key = key
        self.item = item
        self.weight = weight
        self.answer = answer


class _IsolatedKey(Generic[Item, Answer]):
    """The calls of a key that met a lock, and whether somebody works on them."""

    __slots__ = ("blocked", "is_worked_on", "places", "queue")

    def __init__(self) -> None:
        self.queue: deque[_Call[Item, Answer]] = deque()
        self.is_worked_on = False
        self.blocked = 0
        self.places = asyncio.Semaphore(MAX_BLOCKED)


class Batcher(Generic[Item, Answer]):
    """Calls `run` with what has gathered: at once when nothing is under way, else when that is done.

    Where more than a batch has gathered meanwhile, a second and a third go along at the same time.
    A key stands for whoever must not wait for others, here a tenant; the weight of an item is its part of a batch.
    Every key has a queue of its own, and a batch takes an equal share from each in turn, so that no key waits for all
    of another's calls. A key without calls costs nothing. A batch that fails with one of `split_on` is run again in
    halves, down to the calls that fail alone; any other error goes to all of its calls.

    A key that meets somebody else's lock is isolated: the batch goes on without it, its own calls go in batches of
    their own until none of them waits, and the call that has to wait does so alone.
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
        self._isolated: dict[str, _IsolatedKey[Item, Answer]] = {}
        self._waiting = 0
        self._weight = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._workers = 0
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None
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
        self._waiting += 1
        if key in self._isolated:
            self._isolated[key].queue.append(call)
            self._work_on_isolated(key)
        else:
            self._queues.setdefault(key, deque()).append(call)
            self._weight += call.weight
            if not self._workers or (self._workers < MAX_WORKERS and self._weight >= self._max_weight):
                self._start_worker()
            elif self._timer is None:
                self._start_timer()
        return await call.answer

    async def close(self) -> None:
        """Takes no more calls, and returns when those that wait have their answers."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)

    # -- the calls of all keys ----------------------------------------------------------------------------------------

    def _start_worker(self) -> None:
        self._workers += 1
        self._began = monotonic()
        self._start(self._work())

    def _start_timer(self) -> None:
        """Looks after the calls that wait for a batch under way, whether or not further calls arrive."""
        due = self._began + STUCK_SECONDS - monotonic()
        self._timer = asyncio.get_running_loop().call_later(max(due, 0.0), self._help_if_stuck)

    def _help_if_stuck(self) -> None:
        self._timer = None
        if not self._queues or self._workers >= MAX_WORKERS:
            return
        if monotonic() - self._began >= STUCK_SECONDS:
            self._start_worker()
        if self._workers < MAX_WORKERS:
            self._start_timer()

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
            self._workers -= 1

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
        shared = any(call.key != wanted[0].key for call in wanted)
        try:
            await self._run_and_answer(wanted, SHARED_LOCK_TIMEOUT if shared else KEY_LOCK_TIMEOUT)
        except Blocked as blocked:
            self._isolate(blocked.key, [call for call in wanted if call.key == blocked.key])
            await self._answer([call for call in wanted if call.key != blocked.key])
        except Exception as error:  # noqa: BLE001 - every caller gets it
            await self._split(wanted, error, self._answer)

    async def _run_and_answer(self, wanted: Sequence[_Call[Item, Answer]], lock_timeout: str) -> None:
        by_key: dict[str, list[_Call[Item, Answer]]] = {}
        for call in wanted:
            by_key.setdefault(call.key, []).append(call)
        answers = await self._run({key: [call.item for call in group] for key, group in by_key.items()}, lock_timeout)
        for key, group in by_key.items():
            for call, answer in zip(group, answers[key], strict=True):
                if not call.answer.done():
                    call.answer.set_result(answer)

    async def _split(
        self,
        wanted: Sequence[_Call[Item, Answer]],
        error: Exception,
        answer: Callable[[Sequence[_Call[Item, Answer]]], Awaitable[None]],
    ) -> None:
        """Answers the halves of a batch that failed, or hands the error to its calls."""
        if len(wanted) > 1 and isinstance(error, (Blocked, *self._split_on)):
            await answer(wanted[: len(wanted) // 2])
            await answer(wanted[len(wanted) // 2 :])
        else:
            _fail(wanted, error)

    # -- the calls of a key that met a lock ---------------------------------------------------------------------------

    def _isolate(self, key: str, calls: Sequence[_Call[Item, Answer]]) -> None:
        """Takes a key out of the batches of all, with what waits of it."""
        isolated = self._isolated.setdefault(key, _IsolatedKey())
        queued = self._queues.pop(key, deque())
        self._weight -= sum(call.weight for call in queued)
        self._waiting += len(calls)
        isolated.queue.extend((*calls, *queued))
        self._work_on_isolated(key)

    def _work_on_isolated(self, key: str) -> None:
        isolated = self._isolated[key]
        if isolated.queue and not isolated.is_worked_on:
            isolated.is_worked_on = True
            self._start(self._answer_isolated(key, isolated))
        elif not isolated.queue and not isolated.is_worked_on and not isolated.blocked:
            del self._isolated[key]

    async def _answer_isolated(self, key: str, isolated: _IsolatedKey[Item, Answer]) -> None:
        calls: list[_Call[Item, Answer]] = []

        async def answer(calls: Sequence[_Call[Item, Answer]]) -> None:
            wanted = [call for call in calls if not call.answer.done()]
            if not wanted:
                return
            try:
                await self._run_and_answer(wanted, KEY_LOCK_TIMEOUT)
            except Blocked as error:
                if len(wanted) > 1:
                    await self._split(wanted, error, answer)
                else:
                    isolated.blocked += 1
                    self._start(self._answer_blocked(wanted[0], isolated))
            except Exception as error:  # noqa: BLE001 - every caller gets it
                await self._split(wanted, error, answer)

        try:
            while isolated.queue:
                calls = []
                _take_from(isolated.queue, calls, share=self._max_weight)
                self._waiting -= len(calls)
                await answer(calls)
                await asyncio.sleep(0)
        except BaseException:
            self._abandon(calls)
            raise
        finally:
            isolated.is_worked_on = False
            if key in self._isolated:
                self._work_on_isolated(key)

    async def _answer_blocked(self, call: _Call[Item, Answer], isolated: _IsolatedKey[Item, Answer]) -> None:
        """Answers one call alone, which may wait for a lock."""
        try:
            async with isolated.places:
                if not call.answer.done():
                    await self._run_and_answer([call], CALL_LOCK_TIMEOUT)
        except Blocked as error:
            _fail([call], error.__cause__ if isinstance(error.__cause__, Exception) else error)
        except Exception as error:  # noqa: BLE001 - the caller gets it
            _fail([call], error)
        except BaseException:
            self._abandon([call])
            raise
        finally:
            isolated.blocked -= 1
            if call.key in self._isolated:
                self._work_on_isolated(call.key)

    # -- tasks --------------------------------------------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        # In an empty context: the batch belongs to no caller more than to the others.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _abandon(self, calls: Iterable[_Call[Item, Answer]]) -> None:
        """Leaves nobody waiting when a task itself is cancelled, as at the end of the event loop."""
        queues = [*self._queues.values(), *(isolated.queue for isolated in self._isolated.values())]
        self._queues.clear()
        self._isolated.clear()
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
