"""Runs the app: takes its address, and on a signal lets what is under way finish before it ends."""

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
from everyskill.web.middleware.admission import MOST_HEAD_BYTES
from everyskill.web.settings import WebSettings, host_name, is_loopback

GRACE_SECONDS = 30
# Python's own 700 are a few requests' worth.
_YOUNG_OBJECTS = 10_000
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_MISDIRECTED = 421


@dataclass(eq=False)
class AddressUnavailable(EverySkillError):
    """Nothing can be served where it was asked for."""

    address: str
    reason: str
    code = "address_unavailable"
    sentence = "Cannot serve on {address}: {reason}. Choose another with --port."


async def serve(database: Database, settings: WebSettings, *, on_start: Callable[[str], None]) -> None:
    """Serves until a signal to stop; `on_start` is told the address. Raises AddressUnavailable."""
    listener = _listen(settings.host, settings.port)
    app = create_app(database, settings)
    config = uvicorn.Config(
        with_loopback_names(app) if settings.demo_sign_in else app,
        # h11 stops reading a head that has no end; how long a whole one may be is said in admission.py.
        http="h11",
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
        ws="none",
        timeout_graceful_shutdown=GRACE_SECONDS,
        log_config=None,
        access_log=False,
        server_header=False,
    )
    _spare_the_collector()
    on_start(_address(listener))
    await _GracefulServer(config).serve([listener])


class _GracefulServer(uvicorn.Server):
    """As uvicorn makes it, but a signal that was obeyed is not raised once more at the end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listens to the signals to stop; the second one does not wait for what is under way."""
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)


def with_loopback_names(app: ASGIApp) -> ASGIApp:
    """The app, for those alone who call it by a name of this machine.

    Another name may be a foreign site's that was made to lead here; it must not sign in as a demo user.
    """

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers.from_scope(scope).get("host", "") if scope["type"] == ScopeType.HTTP else "localhost"
        if is_loopback(host_name(host)):
            await app(scope, receive, send)
            return
        answer = ASGIResponse(
            body=b"Call this by its own name: localhost.\n", status_code=_MISDIRECTED, media_type="text/plain"
        )
        await answer(scope, receive, send)

    return named


def _spare_the_collector() -> None:
    """What stands by now stays, and need not be looked through; nor the requests under way after every few of them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise AddressUnavailable(f"{host}:{port}", error.strerror or str(error)) from error
    # What it accepts inherits this. asyncio leaves it out for sockets that it did not make itself, and then every
    # answer in two pieces waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _address(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
