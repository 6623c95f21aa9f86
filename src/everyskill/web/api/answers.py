"""How an answer leaves the API: never stored by others, and not sent again to somebody who has it."""

from hashlib import sha256
from typing import Any

from litestar import Request, Response
from litestar.response.base import ASGIResponse
from msgspec import json

from everyskill.model import WhatsNewPage

PRIVATE = "private, no-cache"
NOT_STORED = "no-store"


class PrivateAnswer(Response[Any]):
    """An answer for one person. A GET carries an ETag, and `If-None-Match` with that tag is answered by 304."""

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **rest: Any) -> ASGIResponse:
        """Adds the headers, and drops the body where it is known already."""
        if request.method != "GET":
            self.headers["Cache-Control"] = NOT_STORED
            return super().to_asgi_response(app, request, **rest)
        tag = tag_of(self.content)
        self.headers |= {"Cache-Control": PRIVATE, "ETag": tag, "Vary": "Authorization, Cookie"}
        if knows(request.headers.get("If-None-Match", ""), tag):
            self.status_code, self.content, self.media_type = 304, b"", None
        return super().to_asgi_response(app, request, **rest)


def tag_of(content: object) -> str:
    """A weak tag: equal for answers that say the same."""
    if isinstance(content, WhatsNewPage):
        # The moment alone makes no news. Marking the same items as seen up to an earlier moment marks the same.
        content = (content.items, content.next_cursor)
    return f'W/"{sha256(json.encode(content, order="deterministic")).hexdigest()[:32]}"'


def knows(if_none_match: str, tag: str) -> bool:
    """Whether the header names the tag, weak or not."""
    named = {given.strip().removeprefix("W/") for given in if_none_match.split(",")}
    return "*" in named or tag.removeprefix("W/") in named
