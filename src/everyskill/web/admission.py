"""Keeps the line short: beyond a number of requests under way, the next one is sent away to come back."""

from typing import Any

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from everyskill.web.problems import answer_problem
from everyskill.web.refusals import TooBusy

# Probes must get through, or a busy process is taken for a dead one.
_ALWAYS = ("/health/", "/metrics")


def with_admission(app: ASGIApp, *, limit: int) -> ASGIApp:
    """The app, with at most `limit` requests under way."""
    under_way = 0

    async def admitting(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal under_way
        if scope["type"] != ScopeType.HTTP or scope["path"].startswith(_ALWAYS):
            await app(scope, receive, send)
            return
        if under_way >= limit:
            request: Request[Any, Any, Any] = Request(scope, receive, send)
            response = answer_problem(request, TooBusy()).to_asgi_response(None, request)
            await response(scope, receive, send)
            return
        under_way += 1
        try:
            await app(scope, receive, send)
        finally:
            under_way -= 1

    return admitting
