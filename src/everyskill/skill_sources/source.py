"""Decides what a source is: a folder, an archive, a git repository, or an index of skills."""

import re
from enum import StrEnum
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

from msgspec import Struct

from everyskill.errors import InvalidSource
from everyskill.model.inputs import is_storable
from everyskill.model.sources import MAX_ADDRESS_LENGTH, MAX_REF_LENGTH

MARKETPLACE = Path(".claude-plugin", "marketplace.json")
INDEX_PATH = "/.well-known/agent-skills/index.json"
# The place of version 0.1 of the same specification.
_OLD_INDEX_PATH = "/.well-known/skills/index.json"

_ARCHIVE_SUFFIXES = (".zip", ".tar.gz", ".tgz")
_SCHEMES = frozenset({"https", "http", "ssh"})
_HAS_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_SCP_LIKE = re.compile(r"(?P<user>[\w.-]+)@(?P<host>[\w.-]+):(?P<path>[^/:].*)")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
# What git allows in no name, and what it would read as an option or an expression.
_NOT_IN_REFS = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^[-/]|//|/$|\.lock$|\.$")


class SourceKind(StrEnum):
    """How a source is opened."""

    FOLDER = "folder"
    ARCHIVE = "archive"
    GIT = "git"
    INDEX = "index"


class Source(Struct, frozen=True, kw_only=True):
    """A source. `address` names it in the catalog and in messages, without a query that may hold a secret.

    `location` is what is opened: an absolute path, or the address in full. `ref` is a branch, a tag or a commit.
    """

    kind: SourceKind
    address: str
    location: str
    ref: str | None = None

    @property
    def is_remote(self) -> bool:
        """Whether it is reached over a network."""
        return "://" in self.location


def parse_source(text: str, ref: str | None = None) -> Source:
    """What a path or an address names. Raises InvalidSource.

    A folder that is a git repository counts as one: what is committed is its content, and not what lies there.
    """
    _check(text)
    found = _remote(text) if _HAS_SCHEME.match(text) or _is_scp_like(text) else _local(text)
    if len(found.address) > MAX_ADDRESS_LENGTH:
        raise InvalidSource(found.address[:80] + "…", f"is longer than {MAX_ADDRESS_LENGTH} characters")
    if ref is None:
        return found
    if found.kind is not SourceKind.GIT:
        raise InvalidSource(found.address, "is no git repository, so it has no refs")
    if not ref or len(ref) > MAX_REF_LENGTH or _NOT_IN_REFS.search(ref) or not is_storable(ref):
        raise InvalidSource(found.address, f"{ref!r} is no name of a branch, a tag or a commit")
    return Source(kind=found.kind, address=found.address, location=found.location, ref=ref)


def _check(text: str) -> None:
    if not text or text.startswith("-") or not is_storable(text):
        raise InvalidSource(repr(text), "is neither a path nor an address")
    if "::" in text.partition("/")[0]:
        raise InvalidSource(text, "names a program for git to run, which is never done")


def _is_scp_like(text: str) -> bool:
    return _SCP_LIKE.fullmatch(text) is not None and not Path(text).exists()


def _remote(text: str) -> Source:
    if scp := _SCP_LIKE.fullmatch(text):
        text = f"ssh://{scp['user']}@{scp['host']}/{scp['path']}"
    if _CONTROL.search(text):
        raise InvalidSource(repr(text), "holds a space or a control character")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidSource(text, "is no address") from error
    address = shown_address(parts)
    if parts.scheme not in _SCHEMES or not host or host.startswith("-"):
        raise InvalidSource(address, "must be a path, or an address that begins with https:// (or ssh://, http://)")
    if parts.password is not None or (parts.username is not None and parts.scheme != "ssh"):
        raise InvalidSource(address, "must not hold a user or a password; git asks its credential helper")
    if (parts.username or "").startswith("-") or parts.path.startswith("/-"):
        raise InvalidSource(address, "must not look like an option")
    return _remote_of_kind(parts, address)


def _remote_of_kind(parts: SplitResult, address: str) -> Source:
    path = parts.path.rstrip("/")
    if path.endswith(MARKETPLACE.as_posix()):
        raise InvalidSource(address, "names plugins by their place in a repository: give the repository's address")
    if path.endswith((INDEX_PATH, _OLD_INDEX_PATH)):
        return Source(kind=SourceKind.INDEX, address=address, location=urlunsplit(parts))
    if path.endswith(INDEX_PATH.rpartition("/")[0]):
        return _remote_of_kind(parts._replace(path=f"{path}/index.json"), f"{address}/index.json")
    if path.endswith(_ARCHIVE_SUFFIXES):
        return Source(kind=SourceKind.ARCHIVE, address=address, location=urlunsplit(parts))
    if parts.query:
        raise InvalidSource(address, "is an address of a git repository with a query")
    return Source(kind=SourceKind.GIT, address=address, location=address)


def shown_address(parts: SplitResult) -> str:
    """An address without what may be secret: no password, query or fragment."""
    user = f"{parts.username}@" if parts.username and parts.scheme == "ssh" else ""
    return urlunsplit((parts.scheme, user + parts.netloc.rpartition("@")[2].lower(), parts.path.rstrip("/"), "", ""))


def _local(text: str) -> Source:
    path = Path(text).expanduser().absolute()
    try:
        exists, is_folder = path.exists(), path.is_dir()
    except (OSError, ValueError) as error:
        raise InvalidSource(text, "cannot be read") from error
    if not exists:
        raise InvalidSource(text, "is not there")
    if is_folder:
        kind = SourceKind.GIT if _is_repository(path) else SourceKind.FOLDER
    elif path.name.endswith(_ARCHIVE_SUFFIXES):
        kind = SourceKind.ARCHIVE
    elif path.parts[-2:] == MARKETPLACE.parts:
        return _local(str(path.parents[1]))
    else:
        raise InvalidSource(text, f"is neither a folder, nor a zip or tar.gz, nor a {MARKETPLACE}")
    return Source(kind=kind, address=str(path), location=str(path))


def _is_repository(path: Path) -> bool:
    return (path / ".git").exists() or all((path / name).exists() for name in ("HEAD", "objects", "refs"))
