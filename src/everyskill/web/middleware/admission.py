"""Turns requests away at the door: with too long a head, or while too many others are under way."""

import asyncio
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from everyskill.web.problems import answer_problem
from everyskill.web.refusals import BodyTooSlow, ClientGone, HeadersTooLarge, HostUnreadable, Refusal, TooBusy

# Address, headers and cookies together.
MOST_HEAD_BYTES = 16 * 1024

# Whoever sends more slowly would only hold a place among the requests under way.
BODY_SECONDS = 20.0

# Probes must get through, or a busy process is taken for a dead one.
_ALWAYS = ("/health/", "/metrics")


def with_admission(app: ASGIApp, *, limit: int) -> ASGIApp:
    """The app, with at most `limit` requests under way."""
    under_way = 0

    async def admitting(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal under_way
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        if refusal := _refusal(scope, is_full=under_way >= limit):
            await _refuse(refusal, scope, receive, send)
            return
        under_way += 1
        try:
            await app(scope, _in_time(receive), send)
        finally:
            under_way -= 1

    return admitting


def _in_time(receive: Receive) -> Receive:
    """Raises BodyTooSlow where a body is not there in time, and ClientGone where it never comes."""
    deadline = monotonic() + BODY_SECONDS
    complete = False

    async def receiving() -> Any:
        nonlocal complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout(deadline - monotonic()):
                message = await receive()
        except TimeoutError as error:
            raise BodyTooSlow from error
        if message["type"] == "http.disconnect":
            raise ClientGone
        complete = not message.get("more_body", False)
        return message

    return receiving


def _refusal(scope: Scope, *, is_full: bool) -> Refusal | None:
    headers = sum(len(name) + len(value) for name, value in scope["headers"])
    if headers + len(scope["raw_path"]) + len(scope["query_string"]) > MOST_HEAD_BYTES:
        return HeadersTooLarge()
    if not _is_host(Headers.from_scope(scope).get("host", "")):
        return HostUnreadable()
    return TooBusy() if is_full and not scope["path"].startswith(_ALWAYS) else None


def _is_host(host: str) -> bool:
    try:
        urlsplit(f"//{host}").port  # noqa: B018 - it is read when it is asked for
    except ValueError:
        return False
    return True


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    request: Request[Any, Any, Any] = Request(scope, receive, send)
    await answer_problem(request, refusal).to_asgi_response(None, request)(scope, receive, send)
