"""A zip that is made piece by piece, and the same whenever it is made of the same files."""

from typing import IO, cast
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

# The first that a zip can have: when a version was published says nothing of its files.
_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_FILE, _PROGRAM = 0o100644, 0o100755


class _Pieces:
    """What a ZipFile writes to: it cannot go back, so that what was written can be sent."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keeps the data until it is taken."""
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""

    def take(self) -> bytes:
        """What was written since the last time."""
        data, self._written = b"".join(self._written), []
        return data


class ArchiveWriter:
    """Makes a zip: hand it each file, send what it gives, and then its end."""

    def __init__(self) -> None:
        self._pieces = _Pieces()
        self._zip = ZipFile(cast("IO[bytes]", self._pieces), "w", ZIP_DEFLATED)

    def add(self, path: str, content: bytes, *, is_executable: bool) -> bytes:
        """The next piece of the zip, with this file in it."""
        info = ZipInfo(path, _DATE)
        info.create_system = _UNIX
        info.external_attr = (_PROGRAM if is_executable else _FILE) << 16
        info.compress_type = ZIP_DEFLATED
        self._zip.writestr(info, content)
        return self._pieces.take()

    def end(self) -> bytes:
        """The last piece: the list of all files."""
        self._zip.close()
        return self._pieces.take()
