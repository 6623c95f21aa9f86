"""Counts and times requests for Prometheus, by route and status.

Litestar's own middleware looks every number up by its labels on each request, which costs more than the counting.
"""

from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any

from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import Counter, Gauge, Histogram

_LABELS = ("method", "path", "status_code", "app_name")
_REQUESTS = Counter("everyskill_requests_total", "Total requests", _LABELS)
_ERRORS = Counter("everyskill_requests_error_total", "Total errors in requests", _LABELS)
_SECONDS = Histogram("everyskill_request_duration_seconds", "Request duration, in seconds", _LABELS)
_UNDER_WAY = Gauge(
    "everyskill_requests_in_progress", "Total requests currently in progress", _LABELS, multiprocess_mode="livesum"
)
_ITSELF = "/metrics"


class _Answer:
    """What is known of an answer so far."""

    __slots__ = ("ended", "status")

    def __init__(self, began: float) -> None:
        self.ended = began
        self.status = 200


def with_metrics(app: ASGIApp) -> ASGIApp:
    """The app of a route, measured."""

    async def measured(scope: Scope, receive: Receive, send: Send) -> None:
        # Routes, not paths: what is asked for would tell of tenants and users, and have no end.
        method, route = scope["method"], scope["path_template"]  # type: ignore[typeddict-item]
        if route == _ITSELF:
            await app(scope, receive, send)
            return
        began = perf_counter()
        answer = _Answer(began)
        under_way = _under_way(method, route)
        under_way.inc()
        try:
            await app(scope, receive, _noting(send, answer))
        finally:
            under_way.dec()
            requests, seconds = _finished(method, route, answer.status)
            requests.inc()
            seconds.observe(answer.ended - began)
            if answer.status >= 500:  # noqa: PLR2004 - what HTTP calls a server's error
                _ERRORS.labels(method, route, answer.status, "everyskill").inc()

    return measured


def _noting(send: Send, answer: _Answer) -> Callable[[Message], Any]:
    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
        else:
            answer.ended = perf_counter()
        await send(message)

    return noting


# There are only so many routes, methods and statuses.


@cache
def _under_way(method: str, route: str) -> Gauge:
    return _UNDER_WAY.labels(method, route, 200, "everyskill")


@cache
def _finished(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    labels = (method, route, status, "everyskill")
    return _REQUESTS.labels(*labels), _SECONDS.labels(*labels)
