"""Calls that wait for an answer: how they are taken from a queue, run together, and answered or failed."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

from everyskill.database.places import Patience
from everyskill.errors import (
    DatabaseReadOnly,
    DatabaseUnreachable,
    DataDirectoryInUse,
    EmbeddedServerFailed,
    OutcomeUnknown,
)

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# Takes items by key, and how long they may wait for locks; gives an answer for each item, in the same order.
# Raises Blocked for the first of the keys, in alphabetical order, whose items would have to wait longer.
Run: TypeAlias = Callable[[Mapping[str, Sequence[Item]], Patience], Awaitable[Mapping[str, Sequence[Answer]]]]

# The errors that say nothing of any call. Every other may be about one: what no encoder knows, what a trigger refuses.
_SAID_TO_ALL = (DatabaseUnreachable, DatabaseReadOnly, OutcomeUnknown, EmbeddedServerFailed, DataDirectoryInUse)


class Blocked(Exception):
    """The items of this key would have to wait for a lock longer than they may. Its cause is the error to tell."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Call(Generic[Item, Answer]):
    """One item, the key that it belongs to, its part of a batch, and the answer that somebody waits for.

    The deadline, by the clock of the event loop, is for a call that meets a lock. `leave` is called once nobody waits
    for the call any more and no queue holds it.
    """

    __slots__ = ("answer", "deadline", "has_caller", "is_queued", "item", "key", "leave", "weight")

    def __init__(self, key: str, item: Item, weight: int, deadline: float, leave: Callable[[str], None]) -> None:
        self.key = key
        self.item = item
        self.weight = weight
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.deadline = deadline
        self.leave = leave
        self.has_caller = self.is_queued = True

    async def wait(self) -> Answer:
        """The answer, for the one who asked."""
        try:
            return await self.answer
        finally:
            self.has_caller = False
            if not self.is_queued:
                self.leave(self.key)

    def take(self) -> None:
        """Tells that the call was taken out of its queue."""
        if self.is_queued and not self.has_caller:
            self.leave(self.key)
        self.is_queued = False


def take_calls(queue: "deque[Call[Item, Answer]]", taken: list[Call[Item, Answer]], *, share: int) -> int:
    """Moves the first call of a queue, and what else the share allows, to `taken`; returns their weight."""
    weight = 0
    while queue and (not weight or weight + queue[0].weight <= share):
        call = queue.popleft()
        call.take()
        weight += call.weight
        taken.append(call)
    return weight


def unanswered(calls: Iterable[Call[Item, Answer]]) -> list[Call[Item, Answer]]:
    """The calls that somebody still waits for: those that were cancelled meanwhile are left out."""
    return [call for call in calls if not call.answer.done()]


async def run_calls(run: Run[Item, Answer], calls: Sequence[Call[Item, Answer]], patience: Patience) -> None:
    """Runs the calls together and answers each. Raises what `run` raises, and then has answered none."""
    by_key: dict[str, list[Call[Item, Answer]]] = {}
    for call in calls:
        by_key.setdefault(call.key, []).append(call)
    answers = await run({key: [call.item for call in group] for key, group in by_key.items()}, patience)
    for key, group in by_key.items():
        for call, answer in zip(group, answers[key], strict=True):
            if not call.answer.done():
                call.answer.set_result(answer)


def halves(calls: Sequence[Call[Item, Answer]], error: Exception) -> Sequence[Sequence[Call[Item, Answer]]]:
    """The parts in which calls that failed together are run again: none of one call, or where all would be told so."""
    half = len(calls) // 2
    return (calls[:half], calls[half:]) if half and not isinstance(error, _SAID_TO_ALL) else ()


def fail_calls(calls: Iterable[Call[Item, Answer]], error: Exception) -> None:
    """Hands an error to those who still wait, to each an object of its own: whoever raises it adds to its traceback."""
    for call in unanswered(calls):
        again = error.__class__.__new__(error.__class__, *error.args)
        vars(again).update(vars(error))
        again.__cause__ = error
        call.answer.set_exception(again)


def cancel_with_caller(call: Call[Item, Answer]) -> None:
    """Cancels the current task as soon as nobody waits for the call any more."""
    task = asyncio.current_task()
    call.answer.add_done_callback(lambda answer: task.cancel() if task and answer.cancelled() else None)


def abandon_calls(calls: Iterable[Call[Item, Answer]]) -> None:
    """Tells those who still wait that nobody is left to answer them, as at the end of the event loop."""
    fail_calls(calls, DatabaseUnreachable("it was closed before it answered"))
