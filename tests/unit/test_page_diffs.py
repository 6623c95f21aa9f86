"""What the pages make of a diff: numbers, marked words, and what is folded."""

from itertools import chain

from everyskill.model.diffs import FileDiff, diff_texts
from everyskill.web.pages.diffs import MAX_LINES_OF_FILE, MAX_LINES_OF_PAGE, number_lines, view_files


def file_of(path: str, lines: int) -> FileDiff:
    return FileDiff(path, "changed", [("hunk", f"@@ -0,0 +1,{lines} @@"), *(("added", "x") for _ in range(lines - 1))])


def test_each_line_has_its_numbers_in_both_versions() -> None:
    diff = diff_texts("a\nb\nc\nd\n", "a\nB\nc\nmore\nd\n")
    assert diff.lines
    rows = [(row.kind, row.old, row.new) for row in number_lines(diff.lines)]
    assert rows == [
        ("hunk", None, None),
        ("context", 1, 1),
        ("removed", 2, None),
        ("added", None, 2),
        ("context", 3, 3),
        ("added", None, 4),
        ("context", 4, 5),
        ("context", 5, 6),
    ]


def test_of_a_replaced_line_the_words_that_differ_are_marked() -> None:
    rows = list(number_lines([("removed", "read the old tests"), ("added", "read the new tests")]))
    assert [[(part.text, part.is_changed) for part in row.segments] for row in rows] == [
        [("read the ", False), ("old", True), (" tests", False)],
        [("read the ", False), ("new", True), (" tests", False)],
    ]


def test_a_line_that_says_something_else_altogether_is_not_marked() -> None:
    rows = list(number_lines([("removed", "one two three"), ("added", "vier fünf sechs sieben")]))
    assert not any(part.is_changed for row in rows for part in row.segments)


def test_marking_loses_no_character() -> None:
    lines = [("removed", " a  b\tc"), ("removed", "x"), ("added", " a b\tc "), ("added", "")]
    texts = ["".join(part.text for part in row.segments) for row in number_lines(lines)]  # type: ignore[arg-type]
    assert texts == [text for _, text in lines]


def test_long_files_and_what_is_too_much_for_a_page_are_folded_away() -> None:
    views = view_files([file_of("long", MAX_LINES_OF_FILE + 1), *(file_of(f"{n}", 150) for n in range(10))])
    assert [view.rows is None for view in views] == [True] + [False] * 6 + [True] * 4
    assert sum(len(view.rows or []) for view in views) <= MAX_LINES_OF_PAGE
    assert all(view.added for view in views)


def test_a_file_that_is_asked_for_is_shown_whole() -> None:
    [view] = view_files([file_of("long", MAX_LINES_OF_PAGE * 2)], whole="long")
    assert view.is_open
    assert len(list(chain(view.rows or []))) == MAX_LINES_OF_PAGE * 2
