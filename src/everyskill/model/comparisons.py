"""Keeps what pairs of versions differ in. Versions never change, so what was once compared is known to all users."""

from collections import OrderedDict
from threading import Lock
from typing import NamedTuple, TypeAlias

from everyskill.model.changes import ChangeItem

MAX_COMPARISONS = 10_000
MAX_CHARACTERS = 16 * 1024 * 1024
# About what an item takes beside its texts.
_ITEM_SIZE = 500

Comparison: TypeAlias = tuple[ChangeItem, ...]


class Pair(NamedTuple):
    """The version that a user saw of a skill, and the one that is published, by their numbers."""

    tenant_id: str
    skill_id: str
    seen: int
    published: int


class Comparisons:
    """The comparisons that were asked for last, in a process; threads may share it."""

    def __init__(self, *, max_comparisons: int = MAX_COMPARISONS, max_characters: int = MAX_CHARACTERS) -> None:
        self._known: OrderedDict[Pair, Comparison] = OrderedDict()
        self._max_comparisons = max_comparisons
        self._max_characters = max_characters
        self._characters = 0
        self._lock = Lock()

    def find(self, pair: Pair) -> Comparison | None:
        """What the pair differs in, where that is known."""
        with self._lock:
            if pair in self._known:
                self._known.move_to_end(pair)
            return self._known.get(pair)

    def keep(self, pair: Pair, comparison: Comparison) -> None:
        """Keeps a comparison, and lets go of those that were not asked for the longest."""
        with self._lock:
            if pair in self._known:
                return
            self._known[pair] = comparison
            self._characters += _size(comparison)
            while len(self._known) > self._max_comparisons or self._characters > self._max_characters:
                _, forgotten = self._known.popitem(last=False)
                self._characters -= _size(forgotten)


def _size(comparison: Comparison) -> int:
    return _ITEM_SIZE + sum(_ITEM_SIZE + len(item.detail or "") + len(item.old or "") for item in comparison)
