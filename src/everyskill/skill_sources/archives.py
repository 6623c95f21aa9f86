"""Unpacks zip and tar.gz: what is hostile is refused before the first file is written."""

import gzip
import os
import stat
import struct
import tarfile
import zlib
from collections.abc import Callable
from hashlib import sha256
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile, ZipInfo

from msgspec import Struct
from msgspec.structs import replace

from everyskill.errors import InvalidSource
from everyskill.skill_sources.bounds import MAX_RATIO, Bounds
from everyskill.skill_sources.entries import MAX_LINK_LENGTH, check_paths, link_target, write_file, write_link

_GZIP = b"\x1f\x8b"
_CHUNK = 1024 * 1024
# zipfile reads the whole list of contents at once. 4 MiB of it have room for all entries that are taken.
_MAX_LIST = 4 * 1024 * 1024
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE, _ZIP64_SIGNATURE = b"PK\x05\x06", b"PK\x06\x07"
_ZIP64_LOCATOR_LENGTH = 20
_MAX_COMMENT = 0xFFFF
_ENCRYPTED = 0x1
# Below this a ratio says nothing.
_MIN_BOMB = 1024 * 1024
_BROKEN = (BadZipFile, tarfile.TarError, EOFError, OSError, zlib.error, NotImplementedError, RuntimeError, ValueError)


class _Entry(Struct, frozen=True):
    """A file or a link of an archive; `read` gives at most so many bytes of it."""

    path: str
    size: int
    is_link: bool
    is_executable: bool
    read: Callable[[int], bytes]


def unpack(source: str, file: BinaryIO, to: Path, bounds: Bounds) -> Bounds:
    """Unpacks an archive into an empty folder, and returns what it leaves of the bounds.

    Raises InvalidSource, and then the folder may hold a part.
    """
    try:
        file.seek(0)
        is_gzip = file.read(2) == _GZIP
        file.seek(0)
        if is_gzip:
            return _unpack_tar(source, file, to, bounds)
        _check_list(source, file)
        with ZipFile(file) as archive:
            return _write(source, [_zip_entry(source, archive, info) for info in _zip_files(archive)], to, bounds)
    except _BROKEN as error:
        raise InvalidSource(source, f"is no whole archive: {error or type(error).__name__}") from error


def hash_of_file(file: BinaryIO) -> str:
    """SHA-256 in hex of a whole file."""
    file.seek(0)
    digest = sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _check_list(source: str, file: BinaryIO) -> None:
    """Looks at the end of a zip, before zipfile reads as much as it says."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END.size - _MAX_COMMENT - _ZIP64_LOCATOR_LENGTH))
    tail = file.read()
    start = tail.rfind(_END_SIGNATURE)
    if start < 0 or start + _END.size > len(tail):
        raise InvalidSource(source, "is neither a zip nor a tar.gz")
    length = _END.unpack_from(tail, start)[5]
    if length > _MAX_LIST or tail[max(0, start - _ZIP64_LOCATOR_LENGTH) :].startswith(_ZIP64_SIGNATURE):
        raise InvalidSource(source, "holds too many files")


def _zip_files(archive: ZipFile) -> list[ZipInfo]:
    # What macOS adds of each file is no file.
    return [info for info in archive.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX/")]


def _zip_entry(source: str, archive: ZipFile, info: ZipInfo) -> _Entry:
    mode = info.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if kind not in {0, stat.S_IFREG, stat.S_IFLNK}:
        raise InvalidSource(source, f"{info.filename!r} is a device or the like")
    if info.flag_bits & _ENCRYPTED:
        raise InvalidSource(source, f"{info.filename!r} is encrypted")
    if info.file_size > _MIN_BOMB and info.file_size > MAX_RATIO * max(info.compress_size, 1):
        raise InvalidSource(source, f"{info.filename!r} unpacks to more than {MAX_RATIO} times its size")

    def read(at_most: int) -> bytes:
        with archive.open(info) as stream:
            return stream.read(at_most)

    is_executable = kind == stat.S_IFREG and bool(mode & stat.S_IXUSR)
    return _Entry(info.filename, info.file_size, kind == stat.S_IFLNK, is_executable, read)


def _unpack_tar(source: str, file: BinaryIO, to: Path, bounds: Bounds) -> Bounds:
    # First without the gzip, since tarfile reads headers whole, of whatever size they say they are.
    with TemporaryFile() as plain, gzip.open(file) as packed:
        while chunk := packed.read(_CHUNK):
            plain.write(chunk)
            # Twice, as each file has a header and is filled up.
            if plain.tell() > 2 * bounds.max_bytes:
                raise InvalidSource(source, f"unpacks to more than {bounds.max_bytes:,} bytes")
        plain.seek(0)
        with tarfile.open(fileobj=plain, mode="r:") as archive:
            # Folders count as well: each is a header that is read and kept in memory.
            members = list(islice(archive, 2 * bounds.max_entries + 1))
            if len(members) > 2 * bounds.max_entries:
                raise InvalidSource(source, f"holds more than {bounds.max_entries:,} files")
            entries = [_tar_entry(source, archive, member) for member in members if not member.isdir()]
            return _write(source, entries, to, bounds)


def _tar_entry(source: str, archive: tarfile.TarFile, member: tarfile.TarInfo) -> _Entry:
    path = member.name.removeprefix("./")
    if member.issym():
        target = os.fsencode(member.linkname)
        return _Entry(path, len(target), True, False, lambda at_most: target[:at_most])
    if not member.isreg() or member.issparse():
        raise InvalidSource(source, f"{path!r} is a hard link, a device or the like")

    def read(at_most: int) -> bytes:
        stream = archive.extractfile(member)
        return b"" if stream is None else stream.read(at_most)

    return _Entry(path, member.size, False, bool(member.mode & stat.S_IXUSR), read)


def _write(source: str, entries: list[_Entry], to: Path, bounds: Bounds) -> Bounds:
    if len(entries) > bounds.max_entries:
        raise InvalidSource(source, f"holds more than {bounds.max_entries:,} files")
    if sum(entry.size for entry in entries) > bounds.max_bytes:
        raise InvalidSource(source, f"unpacks to more than {bounds.max_bytes:,} bytes")
    check_paths(source, (entry.path for entry in entries))
    links = {entry.path: _read_link(source, entry) for entry in entries if entry.is_link}
    left = bounds.max_bytes
    for entry in entries:
        if not entry.is_link:
            # What it says of its size may be false.
            content = entry.read(left + 1)
            left -= len(content)
            if left < 0:
                raise InvalidSource(source, f"unpacks to more than {bounds.max_bytes:,} bytes")
            write_file(to, entry.path, content, is_executable=entry.is_executable)
    for path, leads_to in links.items():
        write_link(to, path, leads_to)
    return replace(bounds, max_bytes=left, max_entries=bounds.max_entries - len(entries))


def _read_link(source: str, entry: _Entry) -> str:
    leads_to = os.fsdecode(entry.read(MAX_LINK_LENGTH))
    if link_target(entry.path, leads_to) is None:
        raise InvalidSource(source, f"{entry.path!r} is a link out of it")
    return leads_to
