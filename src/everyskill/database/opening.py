"""Opens connections, without named statements where a pooler stands in between."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

import asyncpg

from everyskill.errors import DatabaseUnreachable

# Opens a connection, as asyncpg.connect does.
Connect: TypeAlias = Callable[..., Coroutine[Any, Any, asyncpg.Connection]]

CONNECT_SECONDS = 10.0
# With each call a statement is parsed anew, in the message that executes it.
UNNAMED: dict[str, Any] = {"statement_cache_size": 0}
# The server's process as the client was told it. Sent without parameters, so that nothing is prepared.
PROBE = "SELECT WHERE pg_backend_pid() = "
# Types of our parameters and columns that the driver must look up. It changes the session's jit for that, so behind a
# pooler that is done beforehand, and undone.
_TYPES = "SELECT $1::name[], $2::integer[], $3::timestamptz[], $4::regrole[]"


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
    """Connects like `connect`, and behind a pooler without named statements.

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

    Raises DatabaseUnreachable where the pooler refuses transactions.
    """
    connection = await connect(url, **options)
    try:
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
