"""Writes one JSON line a request, each with an id that the client may choose and always gets back."""

import logging
import re
import sys
from collections.abc import Callable
from secrets import token_hex
from time import perf_counter
from typing import Any

import msgspec
import structlog
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "X-Request-ID"
_GOOD_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})

_log = structlog.get_logger("everyskill.web")


def configure_logs(level: int = logging.INFO) -> None:
    """Sends everything from this level up, the server's own words included, to stderr as JSON."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    render = structlog.processors.JSONRenderer(serializer=_to_json)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=render, foreign_pre_chain=shared))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def with_request_log(app: ASGIApp) -> ASGIApp:
    """The app, with an id and a line for each of its requests."""
    # Made ready once: the logger of the module is made anew by each call, as it may come before the settings.
    log = _log.bind()

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        request_id, method = _request_id(scope), scope["method"]
        status = [500]
        started = perf_counter()
        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await app(scope, receive, _noting(send, request_id, status))
        finally:
            _write(log, scope, method, status[0], perf_counter() - started)
            structlog.contextvars.reset_contextvars(**bound)

    return logged


def _noting(send: Send, request_id: str, status: list[int]) -> Callable[[Message], Any]:
    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            status[0] = message["status"]
            MutableScopeHeaders.from_message(message)[REQUEST_ID] = request_id
        await send(message)

    return noting


def _request_id(scope: Scope) -> str:
    given = Headers.from_scope(scope).get(REQUEST_ID, "")
    return given if _GOOD_ID.fullmatch(given) else token_hex(16)


def _write(log: Any, scope: Any, method: str, status: int, seconds: float) -> None:
    if scope["path"] in _QUIET and status < 400:  # noqa: PLR2004 - an answer without fault
        return
    identity = scope.get("user")
    log.info(
        "request",
        method=method,
        path=scope["path"],
        status=status,
        milliseconds=round(seconds * 1000, 1),
        tenant_id=getattr(identity, "tenant_id", None),
    )


def _to_json(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()
