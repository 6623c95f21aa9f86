"""Answers HEAD on every route as GET without a body, and OPTIONS with the methods of the route."""

from litestar.enums import HttpMethod, ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from everyskill.web.requests import ANY_METHOD


def with_head(app: ASGIApp) -> ASGIApp:
    """The app, whose routes need to handle neither HEAD nor OPTIONS."""

    async def answer_head(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope["method"] == HttpMethod.HEAD:

            async def send_without_body(message: Message) -> None:
                # The server would miss the body of a GET.
                scope["method"] = HttpMethod.HEAD.value
                if message["type"] == "http.response.body":
                    message["body"] = b""
                await send(message)

            scope["method"] = HttpMethod.GET.value
            await app(scope, receive, send_without_body)
            return
        if scope["type"] == ScopeType.HTTP and scope["method"] == HttpMethod.OPTIONS:
            scope["method"] = ANY_METHOD
        await app(scope, receive, send)

    return answer_head
