"""How two versions of a skill differ, file by file, and line by line where the text is kept."""

from collections.abc import Iterable
from difflib import unified_diff
from itertools import islice
from typing import Literal

from msgspec import Struct

from everyskill.model.skills import SKILL_FILE_NAME, SkillFile, SkillVersion

# Beyond this the search for the shortest difference takes seconds; what differs is then shown as one block.
_MAX_LINES = 2_000
_CONTEXT = 3

LineKind = Literal["hunk", "context", "added", "removed"]
FileStatus = Literal["added", "removed", "changed"]

_KINDS: dict[str, LineKind] = {"@": "hunk", "+": "added", "-": "removed", " ": "context"}


class FileDiff(Struct, frozen=True):
    """One file that differs. `lines` is None where only hashes are kept: for all but SKILL.md."""

    path: str
    status: FileStatus
    lines: list[tuple[LineKind, str]] | None = None


def diff_versions(old: SkillVersion, new: SkillVersion) -> list[FileDiff]:
    """What became of each file from one version to the other: SKILL.md first, then the others by path."""
    others = compare_files(old.files, new.files)
    if old.content == new.content:
        return others
    return [FileDiff(SKILL_FILE_NAME, "changed", diff_lines(old.content, new.content)), *others]


def compare_files(old: Iterable[SkillFile], new: Iterable[SkillFile]) -> list[FileDiff]:
    """Which files differ, by path. Leaves SKILL.md out, whose text says more than its hash."""
    before, after = _hashes(old), _hashes(new)
    return [
        FileDiff(path, "added" if path not in before else "removed" if path not in after else "changed")
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def diff_lines(old: str, new: str) -> list[tuple[LineKind, str]]:
    """A unified diff of two texts: each line with its kind, without the sign in front."""
    before, after = old.split("\n"), new.split("\n")
    if max(len(before), len(after)) > _MAX_LINES:
        return _one_block(before, after)
    lines = islice(unified_diff(before, after, lineterm="", n=_CONTEXT), 2, None)
    return [(_KINDS[line[0]], line if line[0] == "@" else line[1:]) for line in lines]


def _one_block(before: list[str], after: list[str]) -> list[tuple[LineKind, str]]:
    start = _equal_lines(before, after)
    end = _equal_lines(before[start:][::-1], after[start:][::-1])
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    hunk: list[tuple[LineKind, str]] = [("hunk", f"@@ -{start + 1},{len(old)} +{start + 1},{len(new)} @@")]
    return [*hunk, *(("removed", line) for line in old), *(("added", line) for line in new)]


def _equal_lines(before: list[str], after: list[str]) -> int:
    pairs = zip(before, after, strict=False)
    return next((number for number, (old, new) in enumerate(pairs) if old != new), min(len(before), len(after)))


def _hashes(files: Iterable[SkillFile]) -> dict[str, str]:
    return {file.path: file.hash for file in files if not file.is_skill}
