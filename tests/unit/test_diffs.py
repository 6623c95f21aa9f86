"""How two versions differ: a pure function."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from everyskill.model import FileDiff, SkillFile, SkillVersion, diff_versions
from everyskill.model.diffs import LINE_LENGTH, DiffLine, count_lines, diff_texts
from everyskill.settings import DEFAULT_DIFF_LINES

MAX_SEARCHED_LINES = DEFAULT_DIFF_LINES // 2
MAX_CHARACTERS = DEFAULT_DIFF_LINES * LINE_LENGTH
FEW_LINES = st.lists(st.sampled_from(["", "a", "b", "- c", "@@", "+++ d"]), max_size=12).map("\n".join)


def version(content: str = "text", **files: str) -> SkillVersion:
    all_files = tuple(SkillFile(path, 1, digest) for path, digest in ({"SKILL.md": content} | files).items())
    return SkillVersion("id", "skill", 1, "Name", "…", content, "hash", all_files, None, datetime.now(UTC))


def test_equal_versions_do_not_differ() -> None:
    assert diff_versions(version(a="1"), version(a="1")) == []


def test_each_file_is_added_removed_or_changed() -> None:
    diffs = diff_versions(version(a="1", b="1", c="1"), version(b="2", c="1", d="3"))
    assert diffs == [FileDiff("a", "removed"), FileDiff("b", "changed"), FileDiff("d", "added")]


def test_a_file_that_has_the_content_of_one_that_is_gone_is_renamed() -> None:
    diffs = diff_versions(version(a="1", b="1", kept="2", new="3"), version(c="1", d="4", kept="2", e="2"))
    assert diffs == [
        FileDiff("b", "removed"),
        FileDiff("c", "renamed", old_path="a"),
        FileDiff("d", "added"),
        FileDiff("e", "added"),
        FileDiff("new", "removed"),
    ]


def test_an_empty_file_is_no_other_one() -> None:
    empty = sha256().hexdigest()
    assert diff_versions(version(a=empty), version(b=empty)) == [FileDiff("a", "removed"), FileDiff("b", "added")]


@given(old=FEW_LINES, new=FEW_LINES)
def test_lines_are_counted_as_they_are_shown(old: str, new: str) -> None:
    kinds = [kind for kind, _ in (diff_texts(old, new).lines or ())] if old != new else []
    assert count_lines(old, new) == (kinds.count("added"), kinds.count("removed"))


def test_too_many_lines_are_counted_and_not_searched() -> None:
    old, new = "\n".join(numbered(50_000)), "\n".join(f"new {line}" for line in numbered(40_000))
    assert count_lines(old, new) == (40_000, 50_000)


def test_the_text_comes_first_and_line_by_line() -> None:
    [text, other] = diff_versions(version("same\nold", a="1"), version("same\nnew", a="2"))
    assert text.lines == [("hunk", "@@ -1,2 +1,2 @@"), ("context", "same"), ("removed", "old"), ("added", "new")]
    assert other == FileDiff("a", "changed", None)


def test_far_apart_changes_are_two_hunks() -> None:
    old = numbered(40)
    assert [kind for kind, _ in lines_of(old, ["first", *old[1:-1], "last"])].count("hunk") == 2


@given(old=FEW_LINES, new=FEW_LINES)
def test_the_diff_makes_the_new_text_of_the_old_one(old: str, new: str) -> None:
    assume(old != new)
    assert apply(diff_texts(old, new), old) == new


def test_what_is_too_much_to_search_is_one_block_with_its_context() -> None:
    old = numbered(20)
    new = [*old[:10], *(f"new {number}" for number in range(MAX_SEARCHED_LINES + 1)), *old[10:]]
    lines = lines_of(old, new)
    assert lines[0] == ("hunk", f"@@ -8,6 +8,{MAX_SEARCHED_LINES + 7} @@")
    assert apply(diff_texts("\n".join(old), "\n".join(new)), "\n".join(old)) == "\n".join(new)


def test_what_is_too_much_to_search_and_was_removed_is_one_block_that_counts_its_lines() -> None:
    old = numbered(MAX_SEARCHED_LINES + 21)
    lines = lines_of(old, [*old[:10], "new", *old[-10:]])
    assert lines[0] == ("hunk", f"@@ -8,{MAX_SEARCHED_LINES + 7} +8,7 @@")
    assert len([kind for kind, _ in lines if kind != "added"]) == 1 + MAX_SEARCHED_LINES + 7


def test_a_change_in_a_long_text_is_shown_however_long_the_text_is() -> None:
    old = numbered(100_000)
    lines = lines_of(old, [*old[:50_000], "new", *old[50_000:]])
    assert lines[0] == ("hunk", "@@ -49998,6 +49998,7 @@")
    assert [line for line in lines if line[0] not in {"hunk", "context"}] == [("added", "new")]


def test_what_is_too_large_to_show_says_how_many_lines_it_is() -> None:
    assert diff_texts("same", "\n".join(["same", *numbered(12_000)])) == FileDiff("SKILL.md", "changed", None, 12_000)


@pytest.mark.parametrize(("old", "new"), [("a", "b" * MAX_CHARACTERS), ("a" * MAX_CHARACTERS + "\nb", "c")])
def test_lines_without_end_are_too_large_to_show(old: str, new: str) -> None:
    assert diff_texts(old, new).lines is None
    assert diff_texts(new, old).too_large


@given(st.lists(st.sampled_from("abc"), max_size=DEFAULT_DIFF_LINES * 2), st.integers(0, DEFAULT_DIFF_LINES * 2))
def test_no_diff_is_longer_than_its_limit(old: list[str], added: int) -> None:
    lines = diff_texts("\n".join(old), "\n".join([*old[::-1], *numbered(added)])).lines or []
    assert len(lines) <= DEFAULT_DIFF_LINES + 20


def kinds(old: str, new: str, max_lines: int) -> list[str] | None:
    lines = diff_texts(old, new, max_lines).lines
    return None if lines is None else [kind for kind, _ in lines]


def test_the_limit_of_lines_counts_both_texts_from_the_first_to_the_last_that_differs() -> None:
    old, new = "0\n1\n2\n3", "0\nnew\n2\nnewer"
    assert kinds(old, new, 6) == ["hunk", "context", "removed", "added", "context", "removed", "added"]
    assert kinds(old, new, 5) is None


def test_of_half_as_many_lines_it_is_searched_which_stayed() -> None:
    assert kinds("1", "0\n1\n2", 6) == ["hunk", "added", "context", "added"]
    assert kinds("1", "0\n1\n2", 5) == ["hunk", "removed", "added", "added", "added"]


def test_with_the_limit_of_lines_goes_one_of_characters() -> None:
    line = "x" * LINE_LENGTH
    assert kinds(line, line * 2, 3) == ["hunk", "removed", "added"]
    assert kinds(line, line * 2, 2) is None


def numbered(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def lines_of(old: list[str], new: list[str]) -> list[DiffLine]:
    lines = diff_texts("\n".join(old), "\n".join(new)).lines
    assert lines is not None
    return lines


def apply(diff: FileDiff, old: str) -> str:
    """What `patch` makes of a text by its diff."""
    before, after, position = old.split("\n"), list[str](), 0
    for kind, line in diff.lines or []:
        if kind == "hunk":
            start = int(line.split()[1][1:].split(",")[0]) - 1
            after += before[position:start]
            position = start
            continue
        if kind != "added":
            assert before[position] == line
            position += 1
        if kind != "removed":
            after.append(line)
    return "\n".join(after + before[position:])
