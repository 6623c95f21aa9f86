"""The server's Unix socket: its URL, and a path to it that is short enough for a socket address."""

import os
import stat
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

DATABASE = "everyskill"
PORT = 5432  # part of the socket's file name; nothing listens on TCP
SOCKET_FILE = f".s.PGSQL.{PORT}"
MAX_FOLDER_BYTES = 103 - len(f"/{SOCKET_FILE}")  # sun_path holds 103 bytes on macOS, 107 on Linux


class Address(NamedTuple):
    """Where a server listens: the folder of its socket, and the port in the socket's file name."""

    host: str
    port: str

    def url(self, role: str, database: str = DATABASE) -> str:
        return f"postgresql://{role}@/{database}?host={quote(self.host)}&port={self.port}"


def short_path(data_folder: Path) -> str:
    """A path to the folder that a socket address can hold: its own, or that of a symbolic link in the runtime folder.

    The link is also used for a path with a comma, which in a URL's `host` would separate two hosts.
    """
    if _fits(data_folder):
        return str(data_folder)
    link = _link(data_folder)
    if not link.is_symlink():
        link.symlink_to(data_folder)
    return str(link)


def remove_link(data_folder: Path) -> None:
    """Removes the folder's symbolic link, if it has one. Where that fails it stays, and does no harm."""
    with suppress(OSError):
        if not _fits(data_folder):
            _link(data_folder).unlink()


def _fits(data_folder: Path) -> bool:
    path = str(data_folder)
    return len(os.fsencode(path)) <= MAX_FOLDER_BYTES and "," not in path


def _link(data_folder: Path) -> Path:
    folder = runtime_folder(os.environ.get("XDG_RUNTIME_DIR", ""), Path(tempfile.gettempdir()))
    return folder / sha256(os.fsencode(data_folder)).hexdigest()[:16]


def runtime_folder(xdg_runtime_dir: str, temp_folder: Path) -> Path:
    """A folder for symbolic links that no other user can enter; creates it if it is missing.

    It lies in XDG_RUNTIME_DIR, or in the temp folder where that is unset, missing, or not private (sudo keeps the
    variable of the user who called it). Raises PermissionError where the folder exists and is not private: a
    link in it could lead to another user's server.

    Not `platformdirs.user_runtime_path`, which warns where XDG_RUNTIME_DIR is unset: that is so in every container, and
    `warnings.catch_warnings` is not safe in a thread.
    """
    if xdg_runtime_dir.startswith("/") and _is_private(Path(xdg_runtime_dir)):
        folder = Path(xdg_runtime_dir) / "everyskill"
    else:
        folder = temp_folder / f"everyskill-{os.geteuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if not _is_private(folder):
        raise PermissionError(f"{folder} must be a folder of user id {os.geteuid()} with mode 0700: remove it")
    return folder


def _is_private(folder: Path) -> bool:
    """Whether it is a real folder, not a symbolic link, that belongs to this user and is closed to others."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
