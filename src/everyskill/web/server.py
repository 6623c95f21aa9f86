"""Runs the app on a socket until a signal to stop, and then finishes the requests in progress."""

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, Receive, Scope, Send

from everyskill.errors import EverySkillError
from everyskill.handles import Database
from everyskill.web.app import create_app
from everyskill.web.middleware.admission import MAX_HEAD_BYTES
from everyskill.web.requests import is_addressed_to_loopback
from everyskill.web.settings import WebSettings

SHUTDOWN_SECONDS = 30
# Python's default of 700 is reached every few requests.
_GC_THRESHOLD = 10_000
_BACKLOG = 2048
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
    config = uvicorn.Config(
        only_for_loopback(app) if settings.demo_sign_in else app,
        # h11 stops reading a request head that does not end; admission.py limits the size of a complete one.
        http="h11",
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ws="none",
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
    await _Server(config).serve([listener])


class _Server(uvicorn.Server):
    """uvicorn's server, but `serve` returns after a signal: uvicorn would raise the signal again."""

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


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise AddressUnavailable(f"{host}:{port}", error.strerror or str(error)) from error
    # Accepted connections inherit this. asyncio sets it only on sockets that it made itself; without it, a response in
    # two writes waits 40 ms for a delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
