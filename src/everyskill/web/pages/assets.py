"""Serves the style sheet, the scripts and the icon, at URLs that change with their content."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from everyskill.web.headers import NO_SNIFF

_FOLDER = Path(__file__).parents[1] / "static"
_TYPES = {
    "style.css": "text/css",
    "page.js": "text/javascript",
    "view.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_IMMUTABLE = "public, max-age=31536000, immutable"

ContentHash = Annotated[str, QueryParameter(name="v")]


class _Asset(Struct, frozen=True):
    content: bytes
    content_hash: str
    media_type: str


def _read(name: str, media_type: str) -> _Asset:
    content = (_FOLDER / name).read_bytes()
    return _Asset(content, sha256(content).hexdigest()[:12], media_type)


_ASSETS = {name: _read(name, media_type) for name, media_type in _TYPES.items()}


def asset_url(name: str) -> str:
    """The URL of a file, with the hash of its content."""
    return f"/static/{name}?v={_ASSETS[name].content_hash}"


@get("/static/{name:str}")
async def show_asset(name: FromPath[str], content_hash: ContentHash = "") -> Response[bytes]:
    """A file. Cacheable for ever only with the hash of what is served: during a release, a process may be asked for
    the file of another version.
    """
    asset = _ASSETS.get(name)
    if asset is None:
        raise NotFoundException
    caching = _IMMUTABLE if content_hash == asset.content_hash else "no-cache"
    return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": caching} | NO_SNIFF)


handlers = [show_asset]
