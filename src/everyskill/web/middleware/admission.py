"""Refuses requests before they are routed: heads that are too large, and requests beyond the concurrency limits.

Bodies are refused as they arrive: too late, or too much of them in memory.
"""

import asyncio
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Empty, Message, Receive, Scope, Send
from litestar.utils.scope.state import ScopeState

from everyskill.web.concurrency import Place, Places, take_place
from everyskill.web.problems import handle_exception
from everyskill.web.refusals import BodyTooSlow, ClientGone, HeadersTooLarge, HostUnreadable, RequestRefused, TooBusy
from everyskill.web.requests import BODY_ARRIVED, MAX_HEAD_BYTES, AnyRequest
from everyskill.web.settings import WebSettings

# Probes must get through, or the orchestrator restarts a process that is only busy.
_ALWAYS_ADMITTED = ("/health/", "/metrics")


def with_admission(app: ASGIApp, settings: WebSettings) -> ASGIApp:
    """The app, with a bounded number of requests in progress, whose bodies must arrive in time."""
    places = Places(settings)

    async def admit(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        if refusal := _find_refusal(scope, is_busy=places.are_full):
            request: AnyRequest = AnyRequest(scope, receive, send)
            response = handle_exception(request, refusal).to_asgi_response(None, request)
            await response(scope, receive, send)
            return
        place = take_place(scope, places)

        async def leave_and_send(message: Message) -> None:
            # All the work is done: who does not read the response holds no place.
            place.leave()
            await send(message)

        try:
            await app(scope, _limit_body_time(scope, receive, settings.body_timeout, place), leave_and_send)
        finally:
            place.leave()
            # The scope lives until the connection's next request.
            ScopeState.from_scope(scope).body = Empty
            place.drop_body()

    return admit


def _find_refusal(scope: Scope, *, is_busy: bool) -> RequestRefused | None:
    # With a colon, a space and the end of the line, as they are sent.
    headers = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    if headers + len(scope["raw_path"]) + len(scope["query_string"]) > MAX_HEAD_BYTES:
        return HeadersTooLarge()
    try:
        urlsplit(f"//{Headers.from_scope(scope).get('host', '')}").port  # noqa: B018 - reading it parses the host
    except ValueError:
        return HostUnreadable()
    return TooBusy() if is_busy and not scope["path"].startswith(_ALWAYS_ADMITTED) else None


def _limit_body_time(scope: Scope, receive: Receive, seconds: float, place: Place) -> Receive:
    """Raises BodyTooSlow where the body takes longer, ClientGone where the client disconnects first, and TooBusy."""
    deadline = monotonic() + seconds
    is_complete = False

    async def wait() -> Any:
        try:
            async with asyncio.timeout(deadline - monotonic()) as timeout:
                with place.waiting_for_body(timeout):
                    return await receive()
        except TimeoutError as error:
            raise BodyTooSlow from error

    async def receive_in_time() -> Any:
        nonlocal is_complete
        if is_complete:
            return await receive()
        message: Any = await receive() if BODY_ARRIVED in scope else await wait()
        if message["type"] == "http.disconnect":
            raise ClientGone
        place.add_to_body(len(message["body"]))
        is_complete = not message.get("more_body", False)
        return message

    return receive_in_time
