"""PostgreSQL's client programs: finds those that know the server, and starts them.

No password is among their arguments: others of the machine can read a program's arguments, not its environment.
"""

import asyncio
import os
import re
import shutil
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from everyskill.errors import PostgresProgramsMissing

CHUNK_BYTES = 1 << 20
# What libpq takes of the parameters that the driver takes too; to the driver all others are settings of the session.
_LIBPQ = re.compile(
    "host|port|dbname|user|passfile|service|servicefile|sslmode|sslcert|sslkey|sslrootcert|sslcrl|sslpassword"
    "|ssl_m(in|ax)_protocol_version|sslnegotiation|target_session_attrs|krbsrvname|gsslib"
    "|connect_timeout|keepalives|keepalives_idle|keepalives_interval|keepalives_count|application_name"
)


@dataclass(frozen=True)
class Login:
    """A database URL without its password and settings, and the environment of a program that logs in there."""

    url: str
    environment: dict[str, str]


def login_of(url: str) -> Login:
    """Moves into the environment the password of a URL, and the settings of the session, which libpq refuses there."""
    parts = urlsplit(url)
    credentials, at, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    query = dict(parse_qsl(parts.query))
    password = query.pop("password", unquote(password))
    options = query.pop("options", os.environ.get("PGOPTIONS", ""))
    known = {name: query.pop(name) for name in list(query) if _LIBPQ.fullmatch(name)}
    rest = urlencode(known, safe="/,", quote_via=quote)
    # Not the caller's locale: what the programs say is read.
    environment = {**os.environ, "LC_ALL": "C"}
    environment["PGOPTIONS"] = " ".join([options, *(_setting(name, value) for name, value in query.items())])
    if password:
        environment["PGPASSWORD"] = password
    return Login(f"{parts.scheme}://{user}{at}{hosts}{parts.path}{rest and '?'}{rest}", environment)


def _setting(name: str, value: str) -> str:
    return "-c " + re.sub(r"([\\\s])", r"\\\1", f"{name}={value}")


@dataclass(frozen=True)
class Programs:
    """The programs of one version, in one folder."""

    folder: Path

    @asynccontextmanager
    async def start(
        self, name: str, *arguments: str, login: Login, stderr: IO[bytes], **streams: Any
    ) -> AsyncIterator[Process]:
        """Starts a program, and kills it where the block ends before it does."""
        process = await asyncio.create_subprocess_exec(
            self.folder / name, *arguments, env=login.environment, limit=CHUNK_BYTES, stderr=stderr, **streams
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            # Reads to the end too: while a full buffer waits for a reader, wait() does not return before Python 3.12.4.
            await process.communicate()


def find_programs(wanted: int, own: Path | None) -> Programs:
    """The programs of version `wanted`, else of a newer one: in the folder of those that come along, else on the PATH.

    Not a newer one by choice: a minor release may know of options that a major one of before does not, as 15.20 does.
    Raises PostgresProgramsMissing.
    """
    on_path = shutil.which("pg_dump")
    folders = [folder for folder in (own, on_path and Path(on_path).parent) if folder]
    versions = {folder: _version(folder / "pg_dump") for folder in folders}
    majors = {folder: int(version.partition(".")[0] or 0) for folder, version in versions.items()}
    usable = [folder for folder, major in majors.items() if major >= wanted]
    if not usable:
        raise PostgresProgramsMissing(wanted, tuple(f"{versions[folder]} in {folder}" for folder in folders))
    return Programs(next((folder for folder in usable if majors[folder] == wanted), usable[0]))


def _version(program: Path) -> str:
    printed = subprocess.run([program, "--version"], check=False, capture_output=True, text=True)  # noqa: S603 - no input
    match = re.search(r"\d[\d.]*", printed.stdout)
    return match[0] if match else ""


def first_error(stderr: IO[bytes]) -> str:
    """What a program complained of first: what follows is often a consequence."""
    stderr.seek(0)
    said = stderr.read().decode(errors="replace").strip()
    match = re.search(r"(?:ERROR|FATAL|error): +(.+)", said)
    return match[1] if match else said
