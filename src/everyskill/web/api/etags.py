"""Adds an ETag to what a GET answers, so that a client that has the answer already gets 304 without a body."""

from hashlib import sha256
from typing import Any

from litestar import Response
from litestar.response.base import ASGIResponse
from msgspec import json

from everyskill.model import WhatsNewPage
from everyskill.web.headers import NO_STORE, PRIVATE
from everyskill.web.requests import AnyRequest


class PrivateResponse(Response[Any]):
    """A response for one user. The answer to a GET has an ETag; the answer to a write is never stored."""

    def to_asgi_response(self, app: Any, request: AnyRequest, **rest: Any) -> ASGIResponse:
        """Adds the headers, and drops the body where `If-None-Match` names the ETag."""
        if request.method != "GET":
            self.headers |= NO_STORE
            return super().to_asgi_response(app, request, **rest)
        body = json.encode(self.content, order="deterministic")
        etag = _etag(self.content, body)
        self.headers |= PRIVATE | {"ETag": etag}
        if matches(request.headers.get("If-None-Match", ""), etag):
            self.status_code, body, self.media_type = 304, b"", None
        self.content = body
        return super().to_asgi_response(app, request, **rest)


def _etag(content: object, body: bytes) -> str:
    """A weak ETag: equal for answers that mean the same."""
    if isinstance(content, WhatsNewPage):
        # `as_of` differs on every call. To mark the same items as seen up to an earlier moment marks the same.
        body = json.encode((content.items, content.next_cursor), order="deterministic")
    return f'W/"{sha256(body).hexdigest()[:32]}"'


def matches(if_none_match: str, etag: str) -> bool:
    """The weak comparison of RFC 9110."""
    given = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in given or etag.removeprefix("W/") in given
