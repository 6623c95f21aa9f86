"""Writes JSON for terminals and logs: one line, in which no character is left that a terminal obeys or hides."""

import re
from collections.abc import Callable
from typing import Any
from unicodedata import category

import msgspec

# Control and format characters, the marks that turn the direction of writing among them, and line separators.
_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp"})


def encode_line(value: object, *, enc_hook: Callable[[Any], str]) -> str:
    r"""The value as JSON that decodes to the same, with such characters as \u009b; `enc_hook` spells unknown types."""
    text = msgspec.json.encode(value, enc_hook=enc_hook).decode()
    if not text.isprintable():
        for character in set(text):
            if category(character) in _ESCAPED_CATEGORIES:
                text = text.replace(character, _escape(character))
    return text


def _escape(character: str) -> str:
    return re.sub("(....)", r"\\u\1", character.encode("utf-16-be").hex())
