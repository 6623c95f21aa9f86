"""Opens connections: as their URLs say, and without named statements where a pooler stands in between."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from configparser import ConfigParser
from configparser import Error as UnreadableFile
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

from everyskill.errors import DatabaseUnreachable, InvalidSetting

# Opens a connection, as asyncpg.connect does.
Connect: TypeAlias = Callable[..., Coroutine[Any, Any, asyncpg.Connection]]

CONNECT_SECONDS = 10.0
# Parameters of libpq's that the driver would send as settings of the session. macOS names the second otherwise.
_KEEPALIVES = {
    "keepalives": (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    "keepalives_idle": (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", 0x10)),
    "keepalives_interval": (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    "keepalives_count": (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
}
# Of a number in a URL, so that it fits into the system's integers.
_MAX_DIGITS = 9
# With each call a statement is parsed anew, in the message that executes it.
UNNAMED: dict[str, Any] = {"statement_cache_size": 0}
# The server's process as the client was told it. Sent without parameters, so that nothing is prepared.
PROBE = "SELECT WHERE pg_backend_pid() = "
# Types of our parameters and columns that the driver must look up. It changes the session's jit for that, so behind a
# pooler that is done beforehand, and undone.
_TYPES = "SELECT $1::name[], $2::integer[], $3::timestamptz[], $4::regrole[], $5::boolean[], $6::bytea[]"


def restarting(restart: Callable[[], Awaitable[None]]) -> Connect:
    """Connects like asyncpg; where no server answers, or it just starts, awaits `restart` and tries once more."""

    async def connect(*arguments: Any, **options: Any) -> asyncpg.Connection:
        async with asyncio.timeout(CONNECT_SECONDS):
            try:
                return await asyncpg.connect(*arguments, **options)
            except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
                await restart()
                return await asyncpg.connect(*arguments, **options)

    return connect


def opening(connect: Connect, *, keeps_prepared: bool) -> Connect:
    """Connects like `connect`, to URLs with libpq's parameters too, and behind a pooler without named statements.

    Another client's transaction may be next on the server's connection: what was prepared is not there, or is another
    statement of that name. `keeps_prepared` says that this pooler knows which is whose. Raises as `open_one`.
    """
    # Until a connection says what is in between: already the driver's question whether it is on a standby has a name.
    statements = UNNAMED

    async def open_fitting(url: str, **options: Any) -> asyncpg.Connection:
        nonlocal statements
        chosen = statements
        connection, is_pooled = await open_one(url, connect, **options, **chosen)
        statements = UNNAMED if is_pooled and not keeps_prepared else {}
        if chosen == statements:
            return connection
        await connection.close()
        return await open_fitting(url, **options)

    return open_fitting


async def open_one(url: str, connect: Connect, **options: Any) -> tuple[asyncpg.Connection, bool]:
    """A connection, and whether a pooler stands in between.

    Raises InvalidSetting for a URL that cannot be used, DatabaseUnreachable where the pooler refuses transactions.
    """
    plain, parameters = _read_url(url)
    if "connect_timeout" in parameters:
        options["timeout"] = parameters["connect_timeout"] or None
    connection = await connect(plain, **options)
    try:
        _keep_alive(connection, parameters)
        return connection, await _is_pooled(connection)
    except BaseException:
        connection.terminate()
        raise


async def _is_pooled(connection: asyncpg.Connection) -> bool:
    try:
        if await connection.execute(f"{PROBE}{connection.get_server_pid()}") == "SELECT 1":
            return False
        transaction = connection.transaction()
        await transaction.start()
        await connection.prepare(_TYPES)
        await transaction.rollback()
    except asyncpg.PostgresConnectionError as error:
        if "allowed" not in str(error):
            raise
        needed = "it must be in transaction or session mode, without disable_pqexec"
        raise DatabaseUnreachable(f"the pooler in between refuses transactions: {needed} ({error})") from error
    return True


def _read_url(url: str) -> tuple[str, dict[str, int]]:
    """The URL without the parameters that the driver does not know, and those."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    _check_files(query)
    ours = {name: _number(name, query.pop(name)) for name in ("connect_timeout", *_KEEPALIVES) if name in query}
    return (parts._replace(query=urlencode(query)).geturl() if ours else url), ours


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS):
        raise _invalid(f"{name} must be a whole number of {_MAX_DIGITS} digits at most, not {value!r}")
    return int(value)


def _check_files(query: Mapping[str, str]) -> None:
    """Names what the driver passes over in silence."""
    if (passfile := query.get("passfile")) and not os.access(passfile, os.R_OK):
        raise _invalid(f"the passfile {passfile!r} cannot be read")
    if service := query.get("service"):
        file = os.environ.get("PGSERVICEFILE") or Path.home() / ".pg_service.conf"
        services = ConfigParser()
        try:
            services.read(file)
        except UnreadableFile as error:
            raise _invalid(str(error)) from error
        if service not in services:
            raise _invalid(f"there is no service {service!r} in {file}")


def _invalid(reason: str) -> InvalidSetting:
    return InvalidSetting("database URL", reason)


def _keep_alive(connection: asyncpg.Connection, parameters: Mapping[str, int]) -> None:
    """Has the system notice a server that is gone, where the URL wants that. Naming one parameter turns it on."""
    wanted = {name: value for name, value in parameters.items() if name in _KEEPALIVES}
    if not wanted:
        return
    connected = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]  # noqa: SLF001 - no option
    for name, value in ({"keepalives": 1} | wanted).items():
        try:
            # Zero seconds or probes are, as in libpq, those of the system.
            if connected.family != socket.AF_UNIX and (value or name == "keepalives"):
                connected.setsockopt(*_KEEPALIVES[name], value)
        except OSError as error:
            raise _invalid(f"{name} cannot be {value}: {error.strerror}") from error
