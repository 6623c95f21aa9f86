"""Batches concurrent calls: those that arrive while one batch is under way go together in the next."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextvars import Context
from itertools import islice
from time import monotonic
from typing import Any, Generic

from everyskill.database.calls import (
    Answer,
    Blocked,
    Call,
    Item,
    Run,
    abandon_calls,
    fail_calls,
    halves,
    run_calls,
    take_calls,
    unanswered,
)
from everyskill.database.isolated_keys import IsolatedKeys
from everyskill.database.places import HASTY, SORT_OUT, TRY, Patience, Room
from everyskill.errors import DatabaseUnreachable
from everyskill.settings import DEFAULT_LOCK_SECONDS

MAX_KEYS = 50

# More batches at once were not faster: client and server compete for the same processors. One more is for keys of which
# none is under way.
MAX_WORKERS = 3

# While a batch takes longer than this, the next batches do not wait for it.
STUCK_SECONDS = 0.1


class Batcher(Generic[Item, Answer]):
    """Calls `run` with what has gathered: at once when nothing is under way, else when that is done.

    Where more than a batch has gathered meanwhile, a second and a third go along at the same time, and where those take
    long, a fourth of keys that are in none of them.
    A key stands for whoever must not wait for others, here a tenant; the weight of an item is its part of a batch.
    Every key has a queue of its own, and a batch takes an equal share from each in turn, so that no key waits for all
    of another's calls. A key without calls costs nothing. A batch that fails is run again in halves, down to the calls
    that fail alone, unless it was told what every call would be told.

    A key that meets somebody else's lock is isolated: its calls go in batches of their own until none of them waits,
    and the call that has to wait does so alone. `call_seconds` after it was asked it raises LockTimeout. The rest of
    the batch is sorted out beside the next batches, as many keys may have met that lock. `max_waiting` bounds how many
    calls wait or are under way.
    """

    def __init__(
        self,
        run: Run[Item, Answer],
        *,
        max_waiting: int,
        max_weight: int,
        weigh: Callable[[Item], int] = lambda _: 1,
        call_seconds: float = DEFAULT_LOCK_SECONDS,
    ) -> None:
        self._run = run
        self._weigh = weigh
        self._room = Room(max_waiting)
        self._max_weight = max_weight
        self._queues: dict[str, deque[Call[Item, Answer]]] = {}
        self._isolated: IsolatedKeys[Item, Answer] = IsolatedKeys(run, max_weight=max_weight, start=self._start)
        self._call_seconds = call_seconds
        self._weight = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._workers = 0
        self._under_way: list[set[str]] = []
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def ask(self, key: str, item: Item) -> Answer:
        """The answer to one item. Cancelling this call harms no other.

        Raises Overloaded where too many calls wait, DatabaseUnreachable once closed, and what `run` raises.
        """
        if self._closed:
            raise DatabaseUnreachable("it was closed")
        self._room.enter(key)
        deadline = asyncio.get_running_loop().time() + self._call_seconds
        call: Call[Item, Answer] = Call(key, item, self._weigh(item), deadline, self._room.leave)
        if key in self._isolated:
            self._isolated.add(key, [call])
        else:
            self._queues.setdefault(key, deque()).append(call)
            self._weight += call.weight
            if not self._workers or (self._workers < MAX_WORKERS and self._weight >= self._max_weight):
                self._start_worker()
            elif self._timer is None:
                self._start_timer()
        return await call.wait()

    async def close(self) -> None:
        """Takes no more calls, and returns when those that wait have their answers."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)

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
        if not self._queues or self._workers > MAX_WORKERS:
            return
        if monotonic() - self._began >= STUCK_SECONDS:
            self._start_worker()
        if self._workers <= MAX_WORKERS:
            self._start_timer()

    async def _work(self) -> None:
        calls: list[Call[Item, Answer]] = []
        try:
            while calls := self._take():
                self._began = monotonic()
                keys = {call.key for call in calls}
                self._under_way.append(keys)
                await self._answer(calls)
                self._under_way.remove(keys)
                # Those who have their answer may ask again now, and then go along in the next batch.
                await asyncio.sleep(0)
        except BaseException:
            self._abandon(calls)
            raise
        finally:
            # Here and not in a callback of the task: a call that came in between would wait for nobody.
            self._workers -= 1

    def _take(self) -> list[Call[Item, Answer]]:
        """The next batch: an equal share for every key that has a place in it.

        Keys of which no batch is under way go first, and without the others: those may be slow. The last worker takes
        no others, so that one key never has all workers.
        """
        taken: list[Call[Item, Answer]] = []
        room = self._max_weight
        new = (key for key in self._queues if not any(key in keys for keys in self._under_way))
        keys = list(islice(new, MAX_KEYS))
        if not keys and self._workers <= MAX_WORKERS:
            keys = list(islice(self._queues, MAX_KEYS))
        for position, key in enumerate(keys):
            queue = self._queues[key]
            if taken and queue[0].weight > room:
                continue
            room -= take_calls(queue, taken, share=room // (len(keys) - position))
            del self._queues[key]
            if queue:
                # To the end, behind all other keys.
                self._queues[key] = queue
        self._weight -= self._max_weight - room
        return taken

    async def _answer(self, calls: Iterable[Call[Item, Answer]], patience: Patience | None = None) -> None:
        wanted = unanswered(calls)
        if not wanted:
            return
        is_shared = any(call.key != wanted[0].key for call in wanted)
        try:
            await run_calls(self._run, wanted, patience or (HASTY if is_shared else TRY))
        except Blocked as blocked:
            self._isolate(blocked.key, [call for call in wanted if call.key == blocked.key])
            self._start(self._sort_out(wanted, blocked.key))
        except Exception as error:  # noqa: BLE001 - every caller gets it
            parts = halves(wanted, error)
            for part in parts:
                await self._answer(part, patience)
            if not parts:
                fail_calls(wanted, error)

    async def _sort_out(self, calls: Sequence[Call[Item, Answer]], blocked: str) -> None:
        """Answers what came before a key that met a lock, which then met none, and tries what comes after it."""
        try:
            await self._answer((call for call in calls if call.key < blocked), SORT_OUT)
            await self._answer((call for call in calls if call.key > blocked), SORT_OUT)
        except BaseException:
            abandon_calls(call for call in calls if call.key != blocked)
            raise

    def _isolate(self, key: str, calls: Sequence[Call[Item, Answer]]) -> None:
        """Takes a key out of the batches of all, with what waits of it."""
        queued = self._queues.pop(key, deque())
        self._weight -= sum(call.weight for call in queued)
        self._isolated.add(key, (*calls, *queued))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        # In an empty context: the batch belongs to no caller more than to the others.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _abandon(self, calls: Iterable[Call[Item, Answer]]) -> None:
        """Leaves nobody waiting when a worker itself is cancelled, as at the end of the event loop."""
        queues = list(self._queues.values())
        self._queues.clear()
        self._weight = 0
        for group in (calls, *queues):
            abandon_calls(group)
