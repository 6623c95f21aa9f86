"""Writes one JSON log line a request, and gives each request an id, which the client may choose."""

import logging
import re
from http import HTTPStatus
from secrets import token_hex
from time import perf_counter
from typing import Any

import structlog
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from everyskill.json_lines import encode_line
from everyskill.web.log_writer import LogWriter

REQUEST_ID = "X-Request-ID"
_VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Logged only where they fail.
_PROBES = frozenset({"/health/live", "/health/ready", "/metrics"})

_log = structlog.get_logger("everyskill.web")


def configure_logs(level: int = logging.INFO) -> None:
    """Writes everything from this level up to stderr as JSON, including what uvicorn and other libraries log."""
    writer: Any = LogWriter.to_stderr()
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
        logger_factory=structlog.WriteLoggerFactory(file=writer),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(writer)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=render, foreign_pre_chain=shared))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # It logs each address it asks, and the query of one may hold a key.
    logging.getLogger("httpx").setLevel(max(level, logging.WARNING))


def with_request_log(app: ASGIApp) -> ASGIApp:
    """The app, with an X-Request-ID header on every response and a log line for every request."""
    # Bound once, after `configure_logs`: an unbound structlog logger is assembled again on each call.
    log = _log.bind()

    async def log_request(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        given_id = Headers.from_scope(scope).get(REQUEST_ID, "")
        request_id = given_id if _VALID_ID.fullmatch(given_id) else token_hex(16)
        # Before the app runs: it answers HEAD as GET.
        method = scope["method"]
        status = int(HTTPStatus.INTERNAL_SERVER_ERROR)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableScopeHeaders.from_message(message)[REQUEST_ID] = request_id
            await send(message)

        started = perf_counter()
        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await app(scope, receive, send_with_id)
        finally:
            if scope["path"] not in _PROBES or status >= HTTPStatus.BAD_REQUEST:
                log.info(
                    "request",
                    method=method,
                    path=scope["path"],
                    status=status,
                    milliseconds=round((perf_counter() - started) * 1000, 1),
                    tenant_id=getattr(scope.get("user"), "tenant_id", None),
                )
            structlog.contextvars.reset_contextvars(**bound)

    return log_request


def _to_json(event: Any, **_: Any) -> str:
    return encode_line(event, enc_hook=repr)
