"""Counts and times requests for Prometheus, by route and status.

Litestar's own middleware finds every metric by its labels on each request, which costs more than the counting.
"""

from functools import cache
from http import HTTPStatus
from time import perf_counter

from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import Counter, Gauge, Histogram

# The names and labels of Litestar's own middleware, so that dashboards made for it work.
_APP = "everyskill"
_LABELS = ("method", "path", "status_code", "app_name")
_REQUESTS = Counter("everyskill_requests_total", "Total requests", _LABELS)
_ERRORS = Counter("everyskill_requests_error_total", "Total errors in requests", _LABELS)
_SECONDS = Histogram("everyskill_request_duration_seconds", "Request duration, in seconds", _LABELS)
_IN_PROGRESS = Gauge(
    "everyskill_requests_in_progress", "Total requests currently in progress", _LABELS, multiprocess_mode="livesum"
)
_UNMEASURED_ROUTE = "/metrics"


def with_metrics(app: ASGIApp) -> ASGIApp:
    """The app of a route, measured."""

    async def measure(scope: Scope, receive: Receive, send: Send) -> None:
        # The route and not the path: paths name skills, and there is no end of them.
        method, route = scope["method"], scope["path_template"]  # type: ignore[typeddict-item]
        if route == _UNMEASURED_ROUTE:
            await app(scope, receive, send)
            return
        status = int(HTTPStatus.OK)
        started = ended = perf_counter()

        async def send_measured(message: Message) -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                ended = perf_counter()
            await send(message)

        in_progress = _in_progress(method, route)
        in_progress.inc()
        try:
            await app(scope, receive, send_measured)
        finally:
            in_progress.dec()
            requests, seconds = _finished(method, route, status)
            requests.inc()
            seconds.observe(ended - started)
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                _ERRORS.labels(method, route, status, _APP).inc()

    return measure


# Metrics by their labels. Routes, methods and statuses are few, so the caches stay small.


@cache
def _in_progress(method: str, route: str) -> Gauge:
    return _IN_PROGRESS.labels(method, route, 200, _APP)


@cache
def _finished(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    labels = (method, route, status, _APP)
    return _REQUESTS.labels(*labels), _SECONDS.labels(*labels)
