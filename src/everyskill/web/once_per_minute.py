"""Logs warnings that would otherwise be repeated for each of many connections."""

from collections.abc import Callable

import structlog

_SECONDS = 60.0

_log = structlog.get_logger(__name__)


class OncePerMinute:
    """Logs each event that was not logged within the last minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._logged_at: dict[str, float] = {}

    def __call__(self, event: str, **facts: object) -> None:
        """Logs the event as a warning, or leaves it out."""
        now = self._clock()
        if now - self._logged_at.get(event, float("-inf")) >= _SECONDS:
            self._logged_at[event] = now
            _log.warning(event, **facts)
