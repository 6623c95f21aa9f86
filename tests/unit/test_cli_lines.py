"""What people read: text without control characters, columns, and times in words."""

from datetime import UTC, datetime, timedelta

import pytest

from everyskill.cli.lines import clean, join_names, styled, table
from everyskill.wording import ago

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("control", ["\x1b", "\x07", "\x9b", "\x7f", "\u202e", "\u2066", "\u206b", "\ufffa", "\udc80"])
def test_a_control_character_is_replaced(control: str) -> None:
    assert clean(f"a{control}b") == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize("break_", ["\n", "\r", "\t", "\u2028"])
def test_a_line_stays_one_line(break_: str) -> None:
    assert clean(f"a{break_}b") == "a b"


def test_words_of_any_language_stay() -> None:
    text = "Übersicht · 日本語 · עברית · 👩‍👩‍👧"
    assert clean(text) == text


def test_a_text_of_many_lines_may_keep_them() -> None:
    assert clean("a\n\tb\x1b", keep="\n\t") == "a\n\tb\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("past", "words"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=400), "400 days ago"),
    ],
)
def test_a_moment_is_told_in_words(past: timedelta, words: str) -> None:
    assert ago(NOW - past, NOW) == words


def test_columns_are_as_wide_as_their_widest_cell_on_the_screen() -> None:
    lines = table(("A", "B"), ("日本", "x"), (styled("abc", "bold"), ""))
    assert [line.plain for line in lines] == ["A     B", "日本  x", "abc"]


def test_many_names_are_cut_to_ten() -> None:
    assert join_names([str(number) for number in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
