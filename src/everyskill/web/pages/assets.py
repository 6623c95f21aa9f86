"""Serves the style sheet, the script and the icon, under addresses that change with what they hold."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

_FOLDER = Path(__file__).parents[1] / "static"
_TYPES = {"style.css": "text/css", "view.js": "text/javascript", "icon.svg": "image/svg+xml"}
Tag = Annotated[str, QueryParameter(name="v")]

_FOR_GOOD = "public, max-age=31536000, immutable"


class _Asset(Struct, frozen=True):
    content: bytes
    tag: str
    media_type: str


def _read(name: str, media_type: str) -> _Asset:
    content = (_FOLDER / name).read_bytes()
    return _Asset(content, sha256(content).hexdigest()[:12], media_type)


_ASSETS = {name: _read(name, media_type) for name, media_type in _TYPES.items()}


def asset(name: str) -> str:
    """The address of a file: another one whenever its content is another."""
    return f"/static/{name}?v={_ASSETS[name].tag}"


@get("/static/{name:str}")
async def show_asset(name: FromPath[str], tag: Tag = "") -> Response[bytes]:
    """One of our few files. It may be kept for good under its own address alone: a process of another release may
    be asked for a file that it does not have.
    """
    found = _ASSETS.get(name)
    if found is None:
        raise NotFoundException
    kept = _FOR_GOOD if tag == found.tag else "no-cache"
    headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
    return Response(found.content, media_type=found.media_type, headers=headers)


handlers = [show_asset]
