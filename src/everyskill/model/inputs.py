"""What a caller may pass: each check returns the value as it is used from there on, or raises a typed error."""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import TypeVar

from everyskill.errors import (
    InvalidArgument,
    InvalidChoice,
    InvalidIdentifier,
    InvalidLimit,
    InvalidText,
    InvalidTimestamp,
    InvalidVersion,
    TooManyIds,
)

MAX_ID_LENGTH = 255
MAX_IDS = 10_000
MAX_LIMIT = 100
MAX_VERSION = 2**31 - 1
MAX_SHOWN_BITS = 128
MAX_NAME_LENGTH = 200
MAX_DESCRIPTION_LENGTH = 4_000
MAX_COMMENT_LENGTH = 10_000

Kind = TypeVar("Kind")
Choice = TypeVar("Choice", bound=StrEnum)


def check_type(name: str, value: object, wanted: type[Kind]) -> Kind:
    """Returns a value of the wanted type. Raises InvalidArgument for any other."""
    if not isinstance(value, wanted):
        kind = wanted.__name__ if wanted.__module__ == "builtins" else f"{wanted.__name__} of everyskill.model"
        raise InvalidArgument(name, f"a {kind}", f"a {type(value).__name__}")
    return value


def shown(value: object) -> object:
    """The value as an error may hold it: Python refuses to write out a number of thousands of digits."""
    if isinstance(value, int) and value.bit_length() > MAX_SHOWN_BITS:
        return f"a number of {value.bit_length():,} bits"
    return value


def check_choice(field: str, value: object, choices: type[Choice]) -> Choice:
    """Returns the member of the enumeration that has this value. Raises InvalidChoice."""
    for choice in choices:
        if choice == value:
            return choice
    raise InvalidChoice(field, str(shown(value)), tuple(choices))


def check_id(field: str, value: str) -> str:
    """Returns a usable id, a plain str. Raises InvalidIdentifier for anything but 1 to 255 storable characters."""
    if not isinstance(value, str):
        raise InvalidIdentifier(field, "must be text")
    value = _plain(value)
    if not value:
        raise InvalidIdentifier(field, "must not be empty")
    if len(value) > MAX_ID_LENGTH:
        raise InvalidIdentifier(field, f"must not be longer than {MAX_ID_LENGTH} characters")
    if not is_storable(value):
        raise InvalidIdentifier(field, "must not hold a NUL or a lone surrogate character")
    return value


def check_ids(field: str, values: Iterable[str]) -> list[str]:
    """Returns the ids as plain str, without duplicates, in their first order. Raises TooManyIds above 10,000."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidIdentifier(field, "must come as a collection of ids")
    remaining, unique = iter(values), dict[str, None]()
    while given := list(islice(remaining, MAX_IDS + 1)):
        # Badges ask for long lists all the time: all ids are checked at once, and each one only where that check fails.
        if not _are_ids(given):
            given = [check_id(field, value) for value in given]
        unique |= dict.fromkeys(given)
        if len(unique) > MAX_IDS:
            raise TooManyIds(len(unique), MAX_IDS)
    return list(unique)


def check_text(field: str, value: str, *, longest: int) -> str:
    """Returns a non-empty text of at most `longest` characters. Raises InvalidText."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidText(field, "must not be empty")
    return check_content(field, value, longest=longest)


def check_content(field: str, value: str, *, longest: int) -> str:
    """Returns a text, empty or not, of at most `longest` characters, as a plain str. Raises InvalidText."""
    if not isinstance(value, str):
        raise InvalidText(field, "must be text")
    value = _plain(value)
    if len(value) > longest:
        raise InvalidText(field, f"must not be longer than {longest:,} characters")
    if not is_storable(value):
        raise InvalidText(field, "must not hold a NUL or a lone surrogate character")
    return value


def check_moment(field: str, value: datetime) -> datetime:
    """Returns the moment in UTC. Raises InvalidTimestamp for a naive datetime: nobody knows which moment it means."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidTimestamp(field)
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise InvalidTimestamp(field) from error


def check_version(value: int) -> int:
    """Returns a version number from 1 up. Raises InvalidVersion."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_VERSION:
        raise InvalidVersion(shown(value))
    return value


def check_limit(value: int) -> int:
    """Returns a page size from 1 to 100, a plain int. Raises InvalidLimit."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LIMIT:
        raise InvalidLimit(shown(value), 1, MAX_LIMIT)
    return int.__index__(value)


def _plain(value: str) -> str:
    # Of a subclass too, the markup of a template say, which no encoder knows; whatever its own __str__ does.
    return str.__str__(value)


def _are_ids(values: list[str]) -> bool:
    if set(map(type, values)) != {str}:
        return False
    text = "".join(values)
    return all(values) and max(map(len, values), default=0) <= MAX_ID_LENGTH and is_storable(text)


def is_storable(value: str) -> bool:
    """Whether PostgreSQL's text type can hold the value: it takes UTF-8 without NUL."""
    if "\x00" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
