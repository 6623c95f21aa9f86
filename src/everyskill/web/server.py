"""Runs the app on a socket until a signal to stop, and then finishes the requests in progress."""

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import uvicorn
from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import CLOSE_HEADER

from everyskill.errors import EverySkillError
from everyskill.handles import Database
from everyskill.web.app import create_app
from everyskill.web.connections import ACCEPTED_AT_ONCE, BoundedProtocol, limits_of
from everyskill.web.once_per_minute import OncePerMinute
from everyskill.web.requests import is_addressed_to_loopback
from everyskill.web.settings import WebSettings

SHUTDOWN_SECONDS = 30
# How long idle connections are kept after a signal to stop: requests may be on their way.
_LINGER_SECONDS = 1.0
_LOOK_SECONDS = 1.0
# Python's default of 700 is reached every few requests.
_GC_THRESHOLD = 10_000
_BACKLOG = 2048
# How much of the responses to one client waits in the kernel, which would take 4 MiB.
_SEND_BUFFER_BYTES = 256 * 1024
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_MISDIRECTED_REQUEST = 421


@dataclass(eq=False)
class AddressUnavailable(EverySkillError):
    """The address to serve on cannot be bound."""

    address: str
    reason: str
    code = "address_unavailable"
    sentence = "Cannot serve on {address}: {reason}. Choose another with --port."


async def serve(database: Database, settings: WebSettings, *, on_start: Callable[[str], None]) -> None:
    """Serves until a signal to stop; calls `on_start` with the URL once it is bound. Raises AddressUnavailable."""
    listener = _listen(settings.host, settings.port)
    app = create_app(database, settings)
    protocol: Any = partial(
        BoundedProtocol,
        limits=limits_of(settings),
        warn=OncePerMinute(asyncio.get_running_loop().time),
        free_pieces=settings.free_pieces,
        piece_bytes=settings.piece_bytes,
    )
    config = uvicorn.Config(
        only_for_loopback(app) if settings.demo_sign_in else app,
        http=protocol,
        backlog=ACCEPTED_AT_ONCE,
        ws="none",
        # They would say over which scheme a request came.
        proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        log_config=None,
        access_log=False,
        server_header=False,
    )
    # What exists by now lives as long as the process: the garbage collector need not traverse it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    host, port, *_ = listener.getsockname()
    on_start(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    server = _Server(config)
    looking = asyncio.create_task(server.close_late_connections())
    try:
        await server.serve([listener])
    finally:
        looking.cancel()


class _Server(uvicorn.Server):
    """uvicorn's server, but `serve` returns after a signal: uvicorn would raise the signal again."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to accept; a full queue of the kernel is not shorter for what the loop accepts at once."""
        _log_failed_accepts_rarely()
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(_BACKLOG)

    async def close_late_connections(self) -> None:
        """Closes, for as long as the server runs, connections whose client has exceeded its time."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = asyncio.get_running_loop().time()
            for connection in self._connections:
                connection.close_if_late(now)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finishes what was sent before the signal, and what is sent on open connections shortly after it."""
        await self._stop_listening(sockets or [])
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE_HEADER]
        for connection in self._connections:
            connection.close_after_response()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while self._connections and not self.force_exit:  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.05)
        await super().shutdown(sockets)

    async def _stop_listening(self, listeners: list[socket.socket]) -> None:
        """Accepts what the kernel has queued: closing the listener alone would reset those connections."""
        queued = []
        for listener in listeners:
            with suppress(OSError):
                for _ in range(_BACKLOG):
                    queued.append(listener.accept()[0])  # noqa: PERF401 - the last one raises, and the others count
        for server in self.servers:
            server.close()
        for connection in queued:
            await asyncio.get_running_loop().connect_accepted_socket(self._create_protocol, connection)

    @property
    def _connections(self) -> list[BoundedProtocol]:
        return cast(list[BoundedProtocol], list(self.server_state.connections))

    def _create_protocol(self) -> asyncio.Protocol:
        create: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = create(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handles SIGINT and SIGTERM; the second one stops without waiting for the requests in progress."""
        loop = asyncio.get_running_loop()
        previous = {number: signal.getsignal(number) for number in _SIGNALS}
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number, handler in previous.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)


def only_for_loopback(app: ASGIApp) -> ASGIApp:
    """Answers 421 to requests whose Host is not a loopback name.

    A demo lets anybody in, and DNS rebinding would let a foreign site in: under its own name it leads a browser here.
    """

    async def check_host(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or is_addressed_to_loopback(Headers.from_scope(scope)):
            await app(scope, receive, send)
            return
        refusal = ASGIResponse(
            body=b"This demo is served under the name localhost only.\n",
            status_code=_MISDIRECTED_REQUEST,
            media_type="text/plain",
        )
        await refusal(scope, receive, send)

    return check_host


def _log_failed_accepts_rarely() -> None:
    """Logs once a minute that the process may open no more files: the loop tries again each second."""
    loop = asyncio.get_running_loop()
    warn = OncePerMinute(loop.time)

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "socket.accept()" in context["message"]:
            warn("connection not accepted", reason=str(context["exception"]))
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise AddressUnavailable(f"{host}:{port}", error.strerror or str(error)) from error
    # Accepted connections inherit this. asyncio sets it only on sockets that it made itself; without it, a response in
    # two writes waits 40 ms for a delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    return listener
