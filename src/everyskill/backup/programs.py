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
from urllib.parse import unquote, urlsplit

from everyskill.errors import PostgresProgramsMissing

CHUNK_BYTES = 1 << 20
_PASSWORD = "password="  # noqa: S105 - the name of an option of a URL


@dataclass(frozen=True)
class Login:
    """A database URL without its password, and the environment of a program that logs in there."""

    url: str
    environment: dict[str, str]


def login_of(url: str) -> Login:
    """Moves the password of a URL into the environment."""
    parts = urlsplit(url)
    credentials, at, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    options = parts.query.split("&")
    passwords = [password, *(option.removeprefix(_PASSWORD) for option in options if option.startswith(_PASSWORD))]
    rest = "&".join(option for option in options if not option.startswith(_PASSWORD))
    # Not the caller's locale: what the programs say is read.
    environment = {**os.environ, "LC_ALL": "C"}
    if passwords[-1]:
        environment["PGPASSWORD"] = unquote(passwords[-1])
    return Login(f"{parts.scheme}://{user}{at}{hosts}{parts.path}{rest and '?'}{rest}", environment)


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
    """The programs of version `wanted` or newer: in the folder of those that come along, else on the PATH.

    Raises PostgresProgramsMissing.
    """
    on_path = shutil.which("pg_dump")
    folders = [folder for folder in (own, on_path and Path(on_path).parent) if folder]
    found = []
    for folder in folders:
        version = _version(folder / "pg_dump")
        if int(version.partition(".")[0] or 0) >= wanted:
            return Programs(folder)
        found.append(f"{version} in {folder}")
    raise PostgresProgramsMissing(wanted, tuple(found))


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
