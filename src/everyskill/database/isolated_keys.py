"""Runs the calls of keys that met somebody else's lock apart from all others, until none of them waits."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, Generic

from everyskill.database.calls import (
    Answer,
    Blocked,
    Call,
    Item,
    Run,
    abandon_calls,
    cancel_with_caller,
    fail_calls,
    halves,
    run_calls,
    take_calls,
    unanswered,
)
from everyskill.database.places import HASTY, TRY, Patience, Recent, wait_in_turns
from everyskill.errors import LockTimeout


class _IsolatedKey(Generic[Item, Answer]):
    __slots__ = ("blocked", "is_worked_on", "queue")

    def __init__(self) -> None:
        self.queue: deque[Call[Item, Answer]] = deque()
        self.is_worked_on = False
        self.blocked = 0


class IsolatedKeys(Generic[Item, Answer]):
    """The keys that met a lock, for a moment after their callers gave up too. `start` starts a task."""

    def __init__(
        self,
        run: Run[Item, Answer],
        *,
        max_weight: int,
        start: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._run = run
        self._max_weight = max_weight
        self._start = start
        self._keys: dict[str, _IsolatedKey[Item, Answer]] = {}
        self._stuck = Recent()

    def __contains__(self, key: str) -> bool:
        return key in self._keys or key in self._stuck

    def add(self, key: str, calls: Iterable[Call[Item, Answer]]) -> None:
        """Isolates a key, if it is not, and queues calls of it."""
        isolated = self._keys.setdefault(key, _IsolatedKey())
        isolated.queue.extend(calls)
        self._work_on(key, isolated)

    def _work_on(self, key: str, isolated: _IsolatedKey[Item, Answer]) -> None:
        if isolated.is_worked_on:
            return
        if isolated.queue:
            isolated.is_worked_on = True
            self._start(self._work(key, isolated))
        elif not isolated.blocked:
            del self._keys[key]

    async def _work(self, key: str, isolated: _IsolatedKey[Item, Answer]) -> None:
        calls: list[Call[Item, Answer]] = []
        try:
            while isolated.queue:
                calls = []
                take_calls(isolated.queue, calls, share=self._max_weight)
                await self._answer(calls, isolated, TRY.lock_timeout)
                await asyncio.sleep(0)
        except BaseException:
            abandon_calls((*calls, *isolated.queue))
            isolated.queue.clear()
            raise
        finally:
            isolated.is_worked_on = False
            self._work_on(key, isolated)

    async def _answer(
        self, calls: Sequence[Call[Item, Answer]], isolated: _IsolatedKey[Item, Answer], lock_timeout: int
    ) -> None:
        now = asyncio.get_running_loop().time()
        fail_calls((call for call in calls if call.deadline <= now), LockTimeout())
        wanted = unanswered(calls)
        if len(wanted) < len(calls):
            # Whoever gave up before the own turn came will ask again.
            self._stuck.add(calls[0].key)
        if not wanted:
            return
        # Many keys that are stuck share the tries: whose turn does not come in time must be told so.
        deadline = min(call.deadline for call in wanted)
        try:
            await run_calls(self._run, wanted, Patience(lock_timeout, "retry", deadline))
        except Exception as error:  # noqa: BLE001 - every caller gets it
            if parts := halves(wanted, error):
                # Some of them wait: which ones, is found without waiting for as long again.
                lock_timeout = HASTY.lock_timeout if isinstance(error, Blocked) else lock_timeout
                for part in parts:
                    await self._answer(part, isolated, lock_timeout)
            elif isinstance(error, Blocked):
                isolated.blocked += 1
                self._start(self._answer_blocked(wanted[0], isolated))
            else:
                fail_calls(wanted, error)

    async def _answer_blocked(self, call: Call[Item, Answer], isolated: _IsolatedKey[Item, Answer]) -> None:
        """Answers one call alone, which may wait for a lock."""
        try:
            cancel_with_caller(call)
            await wait_in_turns(partial(run_calls, self._run, [call]), call.deadline, Blocked)
        except Blocked as error:
            self._stuck.add(call.key)
            fail_calls([call], error.__cause__ if isinstance(error.__cause__, Exception) else error)
        except Exception as error:  # noqa: BLE001 - the caller gets it
            fail_calls([call], error)
        except BaseException:
            self._stuck.add(call.key)
            abandon_calls([call])
            raise
        finally:
            isolated.blocked -= 1
            self._work_on(call.key, isolated)
