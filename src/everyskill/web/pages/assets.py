"""Serves the style sheet, the script and the icon, under addresses that change with what they hold."""

from functools import cache
from hashlib import sha256
from pathlib import Path

from litestar.datastructures import CacheControlHeader
from litestar.static_files import create_static_files_router

_FOLDER = Path(__file__).parents[1] / "static"
_YEAR = 365 * 24 * 60 * 60

router = create_static_files_router(
    "/static", [_FOLDER], cache_control=CacheControlHeader(public=True, max_age=_YEAR, immutable=True)
)


@cache
def asset(name: str) -> str:
    """The address of a file: another one whenever its content is another."""
    return f"/static/{name}?v={sha256((_FOLDER / name).read_bytes()).hexdigest()[:12]}"
