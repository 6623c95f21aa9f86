"""How two versions of a skill differ, file by file, and line by line where the text is kept."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from hashlib import sha256
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from everyskill.model.skills import SKILL_FILE_NAME, SkillFile, SkillVersion
from everyskill.settings import DEFAULT_DIFF_LINES

# So many characters of both texts are shown for each line of the limit.
LINE_LENGTH = 256
_CONTEXT = 3
# Many files are empty, and none of them is another.
_EMPTY = sha256().hexdigest()

LineKind = Literal["hunk", "context", "added", "removed"]
FileStatus = Literal["added", "removed", "changed", "renamed"]
DiffLine: TypeAlias = tuple[LineKind, str]
_Opcode: TypeAlias = tuple[str, int, int, int, int]


class FileDiff(Struct, frozen=True):
    """One file that differs. `lines` is None where a text is not kept, or is none.

    It is None too where the difference is too large to show; `too_large` then says how many lines that were. A
    file that is renamed has the content that it had under `old_path`.
    """

    path: str
    status: FileStatus
    lines: list[DiffLine] | None = None
    too_large: int | None = None
    old_path: str | None = None


def diff_versions(
    old: SkillVersion,
    new: SkillVersion,
    max_lines: int = DEFAULT_DIFF_LINES,
    *,
    texts: Mapping[str, str] = MappingProxyType({}),
) -> list[FileDiff]:
    """What became of each file from one version to the other: SKILL.md first, then the others by path.

    `texts` has the texts of files by their hash. SKILL.md has `max_lines`, and so have the others together: whoever has
    no room left is too large.
    """
    first = [] if old.content == new.content else [diff_texts(old.content, new.content, max_lines)]
    before, after = _hashes(old.files), _hashes(new.files)
    others: list[FileDiff] = []
    for file in compare_files(old.files, new.files):
        with_lines = _with_lines(file, before.get(file.path), after.get(file.path), texts, max_lines)
        max_lines -= sum(kind in ("added", "removed") for kind, _ in with_lines.lines or ())
        others.append(with_lines)
    return [*first, *others]


def differing_files(old: SkillVersion, new: SkillVersion) -> list[SkillFile]:
    """The files whose texts show how the versions differ: SKILL.md is in the versions."""
    paths = {file.path for file in compare_files(old.files, new.files)}
    return [file for file in (*old.files, *new.files) if file.path in paths]


def compare_files(old: Iterable[SkillFile], new: Iterable[SkillFile]) -> list[FileDiff]:
    """Which files differ, by path. Leaves SKILL.md out, whose text says more than its hash."""
    before, after = _hashes(old), _hashes(new)
    old_paths = _find_renamed(before, after)
    return [
        FileDiff(path, "renamed", old_path=old_paths[path])
        if path in old_paths
        else FileDiff(path, "added" if path not in before else "removed" if path not in after else "changed")
        for path in sorted((before.keys() | after.keys()) - set(old_paths.values()))
        if before.get(path) != after.get(path)
    ]


def _find_renamed(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """The old path of each new one whose content is that of a file which is gone, each of which is taken once."""
    gone: dict[str, list[str]] = {}
    for path in sorted(before.keys() - after.keys(), reverse=True):
        if before[path] != _EMPTY:
            gone.setdefault(before[path], []).append(path)
    new = (path for path in sorted(after.keys() - before.keys()) if gone.get(after[path]))
    return {path: gone[after[path]].pop() for path in new}


def count_lines(old: str, new: str, max_lines: int = DEFAULT_DIFF_LINES) -> tuple[int, int]:
    """How many lines were added and removed: those that diff_texts would show, were none too many."""
    difference = _trim(old.split("\n"), new.split("\n"))
    if max(difference.removed, difference.added) > max_lines // 2:
        return difference.added, difference.removed
    changed = [
        code for code in SequenceMatcher(None, difference.before, difference.after).get_opcodes() if code[0] != "equal"
    ]
    return sum(code[4] - code[3] for code in changed), sum(code[2] - code[1] for code in changed)


def diff_texts(
    old: str | None, new: str | None, max_lines: int = DEFAULT_DIFF_LINES, *, path: str = SKILL_FILE_NAME
) -> FileDiff:
    """A unified diff of two texts: each line with its kind, without the sign in front. None where there is no file.

    `max_lines` is how many lines are shown between the first and the last that differ. Where more than half as many
    were removed, or added, they are one block: to search them takes quadratic time.
    """
    status: FileStatus = "added" if old is None else "removed" if new is None else "changed"
    both = ([], _lines(new)) if old is None else (_lines(old), []) if new is None else _both(old, new)
    before, after, first, start, removed, added = _trim(*both)
    if removed + added > max_lines or sum(map(len, (*before, *after))) > max_lines * LINE_LENGTH:
        return FileDiff(path, status, too_large=removed + added)
    if max(removed, added) <= max_lines // 2:
        groups = SequenceMatcher(None, before, after).get_grouped_opcodes(_CONTEXT)
    else:
        groups = iter([_one_block(start - first, removed, added, len(before) - removed)])
    lines = [line for group in groups for line in _hunk(group, before, after, first)]
    return FileDiff(path, status, lines)


def _with_lines(file: FileDiff, old: str | None, new: str | None, texts: Mapping[str, str], max_lines: int) -> FileDiff:
    """The file with its lines, where the texts of both hashes are kept."""
    if file.status == "renamed" or any(key is not None and key not in texts for key in (old, new)):
        return file
    before, after = (None if key is None else texts[key] for key in (old, new))
    return diff_texts(before, after, max_lines, path=file.path)


def _both(old: str, new: str) -> tuple[list[str], list[str]]:
    return old.split("\n"), new.split("\n")


def _lines(text: str | None) -> list[str]:
    """The lines of a text that is there or not at all: the end of the last line is no line more."""
    return [] if not text else text.removesuffix("\n").split("\n")


class _Difference(NamedTuple):
    """Two texts from some lines before the first that differs to some after the last; they begin at line `first`."""

    before: list[str]
    after: list[str]
    first: int
    start: int
    removed: int
    added: int


def _trim(before: list[str], after: list[str]) -> _Difference:
    start = _equal_lines(before, after)
    end = _equal_lines(before[start:][::-1], after[start:][::-1])
    removed, added = len(before) - end - start, len(after) - end - start
    first = max(start - _CONTEXT, 0)
    before, after = (lines[first : len(lines) - end + _CONTEXT] for lines in (before, after))
    return _Difference(before, after, first, start, removed, added)


def _one_block(start: int, removed: int, added: int, equal: int) -> list[_Opcode]:
    """The opcodes of a difference that is not searched, after `start` of `equal` lines."""
    return [
        ("equal", 0, start, 0, start),
        ("replace", start, start + removed, start, start + added),
        ("equal", start + removed, equal + removed, start + added, equal + added),
    ]


def _hunk(group: list[_Opcode], before: list[str], after: list[str], first: int) -> Iterator[DiffLine]:
    """The lines of one hunk; `first` lines of both texts come before those given."""
    (_, old_start, _, new_start, _), (_, _, old_end, _, new_end) = group[0], group[-1]
    old, new = f"{first + old_start + 1},{old_end - old_start}", f"{first + new_start + 1},{new_end - new_start}"
    yield "hunk", f"@@ -{old} +{new} @@"
    for kind, old_start, old_end, new_start, new_end in group:
        if kind == "equal":
            yield from (("context", line) for line in before[old_start:old_end])
        else:
            yield from (("removed", line) for line in before[old_start:old_end])
            yield from (("added", line) for line in after[new_start:new_end])


def _equal_lines(before: list[str], after: list[str]) -> int:
    pairs = zip(before, after, strict=False)
    return next((number for number, (old, new) in enumerate(pairs) if old != new), min(len(before), len(after)))


def _hashes(files: Iterable[SkillFile]) -> dict[str, str]:
    return {file.path: file.hash for file in files if not file.is_skill}
