"""A program's handle on the embedded server: its roles, its database, and an end to the share."""

import asyncio
import atexit
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
from fasteners import InterProcessLock

from everyskill.embedded.binaries import find_binaries, last_lines
from everyskill.embedded.cluster import START_LOCK, check_directory
from everyskill.embedded.process import join_or_start
from everyskill.embedded.shares import leave, one_thread, sharing
from everyskill.embedded.urls import DATABASE, Address
from everyskill.errors import DataDirectoryInUse, EmbeddedServerFailed

ROLES = {
    "everyskill_owner": "LOGIN CREATEROLE",
    "everyskill_operator": "NOLOGIN",
    "everyskill_app": "NOLOGIN",
    "everyskill_service": "LOGIN",
}
MEMBERSHIPS = "GRANT everyskill_operator TO everyskill_owner; GRANT everyskill_app TO everyskill_service"


class EmbeddedServer:
    """A share in the server of one data directory. It ends with `stop()` or with the program, however that ends.

    `service_url` is for the application, whose login has no privileges of its own; `owner_url` for migrations;
    `superuser_url` for staging what neither may. All three reach the database `everyskill`, which starts empty.
    """

    def __init__(self, directory: Path, address: Address) -> None:
        self.directory = directory
        self.owner_url = address.url("everyskill_owner")
        self.service_url = address.url("everyskill_service")
        self.superuser_url = address.url("postgres")
        self._stopped = False
        atexit.register(self.stop)

    @classmethod
    def start(cls, directory: Path, *, postgres_version: int = 18) -> "EmbeddedServer":
        """Joins the server that runs in the directory, or starts one; makes the directory if it is missing.

        Any number of threads and programs may do so at once. The data outlives a kill of the program and of the server.
        The server listens on a socket in the directory, which only the directory's owner may enter, and not on TCP.

        As root it runs as the user `pgserver`, who is added if missing and becomes the directory's owner. Folders above
        the directory and above PostgreSQL's programs get o+x where that user could not pass, and nothing more.

        Raises EmbeddedServerFailed where the directory cannot be used (it holds other files or another version, it is
        another user's) or PostgreSQL does not start, with its own words; DataDirectoryInUse where a server runs in it
        that does not let us in. A server of somebody else's is left running.
        """
        directory = directory.expanduser().resolve()
        with one_thread, _explaining(directory):
            binaries = find_binaries(postgres_version, directory)
            check_directory(directory, binaries)
            with InterProcessLock(directory / START_LOCK), sharing(directory, binaries):
                address = join_or_start(directory, binaries)
                asyncio.run(_provision(directory, address.url("postgres", "postgres")))
                return cls(directory, address)

    def stop(self) -> None:
        """Gives the share back; the last one stops the server. A second call does nothing.

        A server that does not stop is left to the next program that uses the directory.
        """
        with one_thread:
            if not self._stopped:
                self._stopped = True
                atexit.unregister(self.stop)
                leave(self.directory)


@contextmanager
def _explaining(directory: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, subprocess.SubprocessError, asyncpg.PostgresError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise EmbeddedServerFailed(str(directory), last_lines(said)) from error


async def _provision(directory: Path, url: str) -> None:
    try:
        connection = await asyncpg.connect(url)
    except (OSError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        raise DataDirectoryInUse(str(directory), f"it does not let us in: {error}") from error
    try:
        await _make_roles(connection)
        await _make_database(connection)
    finally:
        await connection.close()


async def _make_roles(connection: asyncpg.Connection) -> None:
    found = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
    for role in ROLES.keys() - found:
        await connection.execute(f"CREATE ROLE {role} {ROLES[role]}")
    await connection.execute(MEMBERSHIPS)


async def _make_database(connection: asyncpg.Connection) -> None:
    if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
        return
    # Since 17 the order of texts and their lower case can be the same on every machine.
    builtin = connection.get_server_version().major >= 17  # noqa: PLR2004 - said above
    locale = "TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'" if builtin else ""
    await connection.execute(f"CREATE DATABASE {DATABASE} OWNER everyskill_owner {locale}")
