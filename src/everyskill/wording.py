"""Puts counts and spans of time into words, for the command line and the pages alike."""

from datetime import UTC, datetime

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How long a moment is past: "3 minutes ago"."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{count(int(seconds // length), unit)} ago"
    return "just now"


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 skill", "2 skills"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
