"""Names and addresses: the URL that names a data directory, and the URLs that reach the server in it."""

import os
import warnings
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

import platformdirs

from everyskill.errors import InvalidSetting

SCHEME = "embedded"
DATABASE = "everyskill"
PORT = 5432  # names the socket; nothing listens on TCP
SOCKET = f".s.PGSQL.{PORT}"
LONGEST_PATH = 103 - len(f"/{SOCKET}")  # macOS allows a socket 103 bytes, Linux 107


def is_embedded(url: str) -> bool:
    """Whether the URL asks for the embedded server; says nothing about whether it is a good one."""
    return url.startswith(f"{SCHEME}:")


def data_folder(url: str) -> Path:
    """The data directory that a URL names: `embedded:///var/lib/x`, or `embedded:` for the default one.

    The path is percent-decoded. The directory need not exist.

    Raises InvalidSetting unless the URL names nothing or an absolute path, with no host, query or fragment.
    """
    rest = url.removeprefix(f"{SCHEME}:").removeprefix("//")
    path = unquote(rest)
    if not path:
        return default_directory()
    if not path.startswith("/") or not path.isprintable() or not {"?", "#"}.isdisjoint(rest):
        raise InvalidSetting(
            "database URL", f"{url!r} must name an absolute path, as in embedded:///var/lib/everyskill"
        )
    return Path(path)


def default_directory() -> Path:
    """The data directory of a user who names none: in the platform's user data directory, for root too.

    It carries PostgreSQL's version, because another version cannot read it. It need not exist.
    """
    return platformdirs.user_data_path("everyskill") / "postgresql-18"


class Address(NamedTuple):
    """Where a server listens: the folder of its socket, and the port that names the socket."""

    host: str
    port: str

    def url(self, role: str, database: str = DATABASE) -> str:
        return f"postgresql://{role}@/{database}?host={quote(self.host)}&port={self.port}"


def short_path(directory: Path) -> str:
    """A path to the directory that a socket's address can hold and in which no comma parts two hosts."""
    path = str(directory)
    if len(os.fsencode(path)) <= LONGEST_PATH and "," not in path:
        return path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there is no runtime directory it warns and makes a private one
        runtime = platformdirs.user_runtime_path("everyskill", ensure_exists=True)
    link = runtime / sha256(os.fsencode(path)).hexdigest()[:16]
    if not link.is_symlink():
        link.symlink_to(directory)
    return str(link)
