"""Prepares diffs for the pages: numbers the lines, marks the words that differ, and folds what is long."""

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import groupby, zip_longest
from typing import TypeAlias

from msgspec import Struct

from everyskill.model.diffs import DiffLine, FileDiff, LineKind

# Of one file, and of all files of a page together; the rest is a link away.
MAX_LINES_OF_FILE = 200
MAX_LINES_OF_PAGE = 1_000
# All files together are shown unfolded where they are as short as this.
MAX_LINES_UNFOLDED = 40
# Comparing words takes quadratic time: so many characters of both lines, and so many pairs of lines of a page.
_MAX_COMPARED_LENGTH = 240
_MAX_COMPARED_PAIRS = 100
# Where less than this is equal, marking nearly all of it would mark nothing.
_MIN_LIKENESS = 0.5

_HUNK = re.compile(r"@@ -(\d+),\d+ \+(\d+),\d+ @@")
_WORDS = re.compile(r"\w+|\s+|.")


class Segment(Struct, frozen=True):
    """A part of a line; `is_changed` where the line that it replaces, or is replaced by, says something else."""

    text: str
    is_changed: bool = False


class Row(Struct, frozen=True):
    """A line with its number in the old and in the new file, where it is there."""

    kind: LineKind
    old: int | None
    new: int | None
    segments: tuple[Segment, ...]


class FileView(Struct, frozen=True):
    """A file that differs. `rows` is None where its lines are not known, too many, or left out for others."""

    diff: FileDiff
    added: int
    removed: int
    rows: list[Row] | None
    is_open: bool


_Pair: TypeAlias = tuple[tuple[Segment, ...], tuple[Segment, ...]]


def view_files(files: list[FileDiff], *, whole: str | None = None) -> list[FileView]:
    """The files of a page, within its limits; the file of the path `whole` without them."""
    views, left, pairs = [], MAX_LINES_OF_PAGE, _MAX_COMPARED_PAIRS
    is_short = sum(len(file.lines or ()) for file in files) <= MAX_LINES_UNFOLDED
    for file in files:
        lines = file.lines or []
        is_shown = file.lines is not None and (file.path == whole or len(lines) <= min(MAX_LINES_OF_FILE, left))
        left -= len(lines) if is_shown else 0
        kinds = [kind for kind, _ in lines]
        added, removed = kinds.count("added"), kinds.count("removed")
        views.append(
            FileView(
                diff=file,
                added=added,
                removed=removed,
                rows=list(number_lines(lines, max_pairs=pairs)) if is_shown else None,
                is_open=file.path == whole or (is_shown and (is_short or len(files) == 1)),
            )
        )
        pairs = max(pairs - min(added, removed), 0) if is_shown else pairs
    return views


def number_lines(lines: Iterable[DiffLine], *, max_pairs: int = _MAX_COMPARED_PAIRS) -> Iterator[Row]:
    """The lines of a diff with their numbers; of the first replaced lines, the words that differ are marked."""
    old = new = 0
    for is_change, group in groupby(lines, key=lambda line: line[0] in {"added", "removed"}):
        if is_change:
            changed = list(group)
            removed = [text for kind, text in changed if kind == "removed"]
            added = [text for kind, text in changed if kind == "added"]
            pairs = [
                _compare_words(*pair) if place < max_pairs else _unmarked(*pair)
                for place, pair in enumerate(zip_longest(removed, added))
            ]
            max_pairs -= len(pairs)
            for before, _ in pairs[: len(removed)]:
                yield Row("removed", old, None, before)
                old += 1
            for _, after in pairs[: len(added)]:
                yield Row("added", None, new, after)
                new += 1
            continue
        for kind, text in group:
            if kind == "hunk":
                found = _HUNK.match(text)
                old, new = (int(found[1]), int(found[2])) if found else (1, 1)
                yield Row(kind, None, None, (Segment(text),))
            else:
                yield Row(kind, old, new, (Segment(text),))
                old, new = old + 1, new + 1


def _unmarked(old: str | None, new: str | None) -> _Pair:
    return (Segment(old or ""),), (Segment(new or ""),)


def _compare_words(old: str | None, new: str | None) -> _Pair:
    if old is None or new is None or len(old) + len(new) > _MAX_COMPARED_LENGTH:
        return _unmarked(old, new)
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    if matcher.quick_ratio() < _MIN_LIKENESS or matcher.ratio() < _MIN_LIKENESS:
        return _unmarked(old, new)
    opcodes = matcher.get_opcodes()
    return (
        tuple(Segment("".join(before[a:b]), kind != "equal") for kind, a, b, _, _ in opcodes if b > a),
        tuple(Segment("".join(after[a:b]), kind != "equal") for kind, _, _, a, b in opcodes if b > a),
    )
