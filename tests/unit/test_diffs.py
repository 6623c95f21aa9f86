"""How two versions differ: a pure function."""

from datetime import UTC, datetime
from time import perf_counter

from hypothesis import given
from hypothesis import strategies as st

from everyskill.model import FileDiff, SkillFile, SkillVersion, diff_versions
from everyskill.model.diffs import diff_lines

FEW_LINES = st.lists(st.sampled_from(["", "a", "b", "- c", "@@", "+++ d"]), max_size=12).map("\n".join)


def version(content: str = "text", **files: str) -> SkillVersion:
    all_files = tuple(SkillFile(path, 1, digest) for path, digest in ({"SKILL.md": content} | files).items())
    return SkillVersion("id", "skill", 1, "Name", "…", content, "hash", all_files, None, datetime.now(UTC))


def test_equal_versions_do_not_differ() -> None:
    assert diff_versions(version(a="1"), version(a="1")) == []


def test_each_file_is_added_removed_or_changed() -> None:
    diffs = diff_versions(version(a="1", b="1", c="1"), version(b="2", c="1", d="1"))
    assert diffs == [FileDiff("a", "removed"), FileDiff("b", "changed"), FileDiff("d", "added")]


def test_the_text_comes_first_and_line_by_line() -> None:
    [text, other] = diff_versions(version("same\nold", a="1"), version("same\nnew", a="2"))
    assert text.lines == [("hunk", "@@ -1,2 +1,2 @@"), ("context", "same"), ("removed", "old"), ("added", "new")]
    assert other == FileDiff("a", "changed", None)


def test_far_apart_changes_are_two_hunks() -> None:
    old = [str(number) for number in range(40)]
    new = ["first", *old[1:-1], "last"]
    lines = diff_lines("\n".join(old), "\n".join(new))
    assert [kind for kind, _ in lines].count("hunk") == 2


@given(old=FEW_LINES, new=FEW_LINES)
def test_what_is_kept_and_removed_is_of_the_old_and_what_is_kept_and_added_of_the_new(old: str, new: str) -> None:
    lines = diff_lines(old, new)
    for text, gone in ((old, "added"), (new, "removed")):
        kept = [line for kind, line in lines if kind not in {"hunk", gone}]
        rest = iter(text.split("\n"))
        assert all(line in rest for line in kept)
    assert (lines == []) == (old == new)


def test_a_huge_text_is_compared_at_once() -> None:
    old = [f"{number % 90} {number % 7}" for number in range(100_000)]
    new = [*old[:10], "new", *old[9:-10][::-1], *old[-10:]]
    started = perf_counter()
    lines = diff_lines("\n".join(old), "\n".join(new))
    assert perf_counter() - started < 2
    assert ("added", "new") in lines
    assert next(line for kind, line in lines if kind != "hunk") == old[10]
