"""JSON that goes to a terminal or a log: nothing in it is obeyed or hidden, and it decodes to what it was."""

import json
import sys
from unicodedata import category

import pytest

from everyskill.json_lines import encode_line

OBEYED = [chr(code) for code in range(sys.maxunicode + 1) if category(chr(code)) in {"Cc", "Cf", "Zl", "Zp"}]


def test_no_control_or_format_character_is_left_and_each_decodes_to_itself() -> None:
    assert {"\x1b", "\x7f", "\x9b", "\u202e", "\u2028", "\U000e0041"} <= set(OBEYED)
    for character in OBEYED:
        line = encode_line({character: f"a{character}b"}, enc_hook=str)
        assert not set(line) & set(OBEYED), ascii(character)
        assert json.loads(line) == {character: f"a{character}b"}


def test_many_at_once_are_escaped_too() -> None:
    value = ["".join(OBEYED), "\\u009b", "\\"]
    line = encode_line(value, enc_hook=str)
    assert not set(line) & set(OBEYED)
    assert json.loads(line) == value


@pytest.mark.parametrize("text", ["Übersicht é ñ", "日本語　漢字", "עברית العربية हिन्दी", "🙂 🇪🇺", "a\u00a0b \ue000"])
def test_words_of_any_language_stay_readable(text: str) -> None:
    assert encode_line(text, enc_hook=str) == f'"{text}"'


def test_a_value_of_an_unknown_type_is_spelled_as_asked() -> None:
    assert encode_line({"error": KeyError("\x9b")}, enc_hook=repr) == r"""{"error":"KeyError('\\x9b')"}"""
