"""Runs the migrations, one runner at a time, in one transaction."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from everyskill.database.connections import connect_once
from everyskill.database.revisions import HEAD, REVISIONS
from everyskill.errors import DatabaseTooNew, EverySkillError, MigrationBlocked, MigrationFailed, MissingPrivilege

# Any constant does, as long as every runner on a database takes the same one.
_ONE_RUNNER = 0x45564552


async def upgrade(url: str, revision: str = HEAD) -> list[str]:
    """Migrates up to `revision` and returns the revisions that were applied, none when there was nothing to do.

    `url` must log in as the owner of the database. Safe to run from several places at once: the others wait, then find
    the work done. Raises DatabaseUnreachable, DatabaseTooNew, MissingPrivilege, MigrationBlocked where others hold a
    lock for too long, or MigrationFailed, and then has changed nothing.
    """
    async with _one_runner(url) as connection:
        before = await _applied(connection)
        await _run(connection, lambda config: command.upgrade(config, revision))
        return [name for name in await _applied(connection) if name not in before]


async def downgrade(url: str, revision: str) -> None:
    """Migrates down to `revision`, or to nothing with "base"; drops what the later revisions made, with its rows."""
    async with _one_runner(url) as connection:
        await _run(connection, lambda config: command.downgrade(config, revision))


def upgrade_sql() -> str:
    """The SQL of all migrations, for those who run it by hand."""
    output = StringIO()
    command.upgrade(_config(output_buffer=output), HEAD, sql=True)
    return output.getvalue()


@asynccontextmanager
async def _one_runner(url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: _connect(url), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_ONE_RUNNER})"))
            yield connection
    except DBAPIError as error:
        raise _named(error) from error
    finally:
        await engine.dispose()


def _connect(url: str) -> Awaitable[asyncpg.Connection]:
    # A large table's migration takes its time, and so does waiting for another runner's.
    return connect_once(url, answer_seconds=None)


def _named(error: DBAPIError) -> EverySkillError:
    # SQLAlchemy wraps twice: its own class around its dialect's around asyncpg's.
    cause = getattr(error.orig, "__cause__", None)
    if isinstance(cause, asyncpg.InsufficientPrivilegeError):
        return MissingPrivilege(None, f"to own the database ({cause})")
    if isinstance(cause, asyncpg.LockNotAvailableError):
        return MigrationBlocked(str(cause))
    return MigrationFailed(str(cause or error.orig))


async def _run(connection: AsyncConnection, step: Callable[[Config], None]) -> None:
    def run_with(bound: Connection) -> None:
        config = _config()
        config.attributes["connection"] = bound
        step(config)

    await connection.run_sync(run_with)


async def _applied(connection: AsyncConnection) -> tuple[str, ...]:
    if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return ()
    current = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    if current is None:
        return ()
    if current not in REVISIONS:
        raise DatabaseTooNew(current, HEAD)
    return REVISIONS[: REVISIONS.index(current) + 1]


def _config(output_buffer: StringIO | None = None) -> Config:
    config = Config(output_buffer=output_buffer)
    # Config reads % as an interpolation, and a folder's name may hold one.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
