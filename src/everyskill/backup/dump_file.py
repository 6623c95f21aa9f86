"""The file of a dump: a zip file of pg_dump's output and what goes with it.

What pg_dump wrote can be had without this program: `unzip -p FILE database.dump`. A file that pg_dump wrote by itself
is read too; it says nothing of rows and roles.
"""

import fcntl
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from everyskill.backup.contents import Contents
from everyskill.errors import DumpFailed, InvalidArgument, InvalidDump

DATABASE, CONTENTS = "database.dump", "contents.json"
_PG_DUMP_MAGIC = b"PGDMP"


@contextmanager
def new_dump_file(path: Path) -> Iterator[zipfile.ZipFile]:
    """A file that only its owner may read. At the end of the block it takes its name, and the place of such a file.

    Until then it is `.NAME.unfinished`; what was left of one whose program was killed is overwritten. Raises DumpFailed
    where another program writes it.
    """
    if path.exists() and not path.is_file():
        raise InvalidArgument("FILE", "the name of a file", repr(str(path)))
    unfinished = path.with_name(f".{path.name}.unfinished")
    with os.fdopen(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w+b") as file:
        _lock(file, unfinished)
        try:
            file.truncate()
            # pg_dump compresses already.
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                yield archive
            file.flush()
            os.fsync(file.fileno())
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink()
            raise
    _sync_folder(path.parent)


def _lock(file: IO[bytes], unfinished: Path) -> None:
    """Refuses one that another program writes, or just finished, and one that another user put there."""
    found = os.fstat(file.fileno())
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(found, unfinished.lstat()) and found.st_uid == os.geteuid():
            return
    except (BlockingIOError, FileNotFoundError):
        pass
    raise DumpFailed(f"another program writes {unfinished}")


def _sync_folder(folder: Path) -> None:
    """Else a power cut may take the name from the new file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def open_dump_file(path: Path) -> Iterator[tuple[IO[bytes], Contents | None]]:
    """pg_dump's output, and what goes with it. Raises InvalidDump before anything is read from a damaged file."""
    with path.open("rb") as file:
        bare = file.read(len(_PG_DUMP_MAGIC)) == _PG_DUMP_MAGIC
        file.seek(0)
        if bare:
            yield file, None
            return
        try:
            archive = zipfile.ZipFile(file)
            damaged = archive.testzip()
            contents = msgspec.json.decode(archive.read(CONTENTS), type=Contents)
            database = archive.open(DATABASE)
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, msgspec.DecodeError) as error:
            raise InvalidDump(str(path), str(error)) from error
        if damaged:
            raise InvalidDump(str(path), f"{damaged} in it was damaged")
        with database:
            yield database, contents
