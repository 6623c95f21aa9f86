"""The handle that a program holds on an embedded server: opens, provisions, restarts and closes it."""

import asyncio
import atexit
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from everyskill.embedded.binaries import Binaries, find_binaries, last_lines
from everyskill.embedded.cluster import VERSION_FILE, check_data_folder
from everyskill.embedded.process import start_or_find_server
from everyskill.embedded.reference_count import acquire_reference, release_reference
from everyskill.embedded.sockets import DATABASE, Address
from everyskill.embedded.start_lock import LOCK_SECONDS, hold_start_lock, thread_lock
from everyskill.errors import DataDirectoryInUse, EmbeddedServerFailed

ROLES = {
    "everyskill_owner": "LOGIN CREATEROLE",
    "everyskill_operator": "NOLOGIN",
    "everyskill_app": "NOLOGIN",
    "everyskill_service": "LOGIN",
}
MEMBERSHIPS = "GRANT everyskill_operator TO everyskill_owner; GRANT everyskill_app TO everyskill_service"


class EmbeddedServer:
    """A reference to the server of one data folder. It ends with `stop()` or with the program, however that ends.

    `service_url` is for the application, whose login has no privileges of its own; `owner_url` for migrations;
    `superuser_url` for what neither may do. All three connect to the database `everyskill`, which starts empty.
    """

    def __init__(self, data_folder: Path, binaries: Binaries, address: Address, given_up: threading.Event) -> None:
        self.data_folder = data_folder
        self._binaries = binaries
        self.owner_url = address.url("everyskill_owner")
        self.service_url = address.url("everyskill_service")
        self.superuser_url = address.url("postgres")
        self._stopped = False
        self._given_up = given_up
        atexit.register(self.stop)

    @classmethod
    def start(
        cls,
        data_folder: Path,
        *,
        postgres_version: int = 18,
        lock_seconds: float = LOCK_SECONDS,
        given_up: threading.Event | None = None,
    ) -> "EmbeddedServer":
        """Uses the server that runs in the data folder, or starts one; creates the folder if it is missing.

        Any number of threads and programs may do so at once. The data survives a kill of the program and of the server.
        The server listens on a Unix socket in the folder, which only the folder's owner may enter, and not on TCP.

        As root the server runs as the user `pgserver`, who is added if missing and becomes the folder's owner. The
        parents of the data folder and of PostgreSQL's programs get o+x where that user could not pass, no other mode.

        Where another program is starting it, waits for `lock_seconds` at most, or until `given_up` is set.

        Raises EmbeddedServerFailed where the folder cannot be used (it holds other files or another version, or belongs
        to another user) or PostgreSQL does not start, with PostgreSQL's own message; DataDirectoryInUse where a server
        runs in it that does not let us in, which is left running, or another program goes on starting it; MissingExtra
        where the extra is not installed.
        """
        data_folder, given_up = data_folder.expanduser().resolve(), given_up or threading.Event()
        with thread_lock(data_folder), _translate_errors(data_folder):
            binaries = find_binaries(postgres_version, data_folder)
            check_data_folder(data_folder, binaries)
            start_lock = hold_start_lock(data_folder, given_up, seconds=lock_seconds)
            with start_lock, acquire_reference(data_folder, binaries):
                address = start_or_find_server(data_folder, binaries)
                asyncio.run(_provision(data_folder, address.url("postgres", "postgres")))
                return cls(data_folder, binaries, address, given_up)

    def restart_if_ended(self) -> None:
        """Returns when the server runs: starts it where it was killed, waits where another program does so.

        Raises EmbeddedServerFailed where it does not start, or the data folder was removed; DataDirectoryInUse.
        """
        with thread_lock(self.data_folder), _translate_errors(self.data_folder):
            # Looked for before the lock, whose file would bring a folder back that was removed.
            if self._stopped or not (self.data_folder / VERSION_FILE).exists():
                raise EmbeddedServerFailed(str(self.data_folder), "it was closed, or its files were removed")
            with hold_start_lock(self.data_folder, self._given_up):
                start_or_find_server(self.data_folder, self._binaries)

    def stop(self) -> None:
        """Releases the reference; the last one stops the server. A second call does nothing.

        Does not raise where the server does not stop: the next program that uses the data folder stops it.
        """
        self._given_up.set()
        with thread_lock(self.data_folder):
            if not self._stopped:
                self._stopped = True
                atexit.unregister(self.stop)
                release_reference(self.data_folder)


@contextmanager
def _translate_errors(data_folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, subprocess.SubprocessError, asyncpg.PostgresError) as error:
        message = getattr(error, "stderr", None) or str(error)
        raise EmbeddedServerFailed(str(data_folder), last_lines(message)) from error


async def _provision(data_folder: Path, url: str) -> None:
    """Creates the roles and the database that are missing."""
    try:
        connection = await asyncpg.connect(url)
    except (OSError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        raise DataDirectoryInUse(str(data_folder), f"it does not let us in: {error}") from error
    try:
        await _create_roles(connection)
        await _create_database(connection)
    finally:
        await connection.close()


async def _create_roles(connection: asyncpg.Connection) -> None:
    found = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
    for role in ROLES.keys() - found:
        await connection.execute(f"CREATE ROLE {role} {ROLES[role]}")
    await connection.execute(MEMBERSHIPS)


async def _create_database(connection: asyncpg.Connection) -> None:
    if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
        return
    # Since 17 there is a built-in locale, which sorts and lowercases text the same way on every machine.
    builtin = connection.get_server_version().major >= 17  # noqa: PLR2004 - see above
    locale = "TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'" if builtin else ""
    await connection.execute(f"CREATE DATABASE {DATABASE} OWNER everyskill_owner {locale}")
