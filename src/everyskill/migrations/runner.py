"""Runs the migrations in one transaction, under an advisory lock that admits one runner at a time."""

from collections.abc import AsyncIterator, Callable
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

from everyskill.database.connections import check_version, connect_once
from everyskill.database.revisions import HEAD, REVISIONS
from everyskill.errors import DatabaseTooNew, EverySkillError, MigrationBlocked, MigrationFailed, MissingPrivilege

# The key of an advisory lock. It must never change: runners of all versions exclude each other by it.
_ADVISORY_LOCK_KEY = 0x45564552


async def upgrade(url: str, revision: str = HEAD) -> list[str]:
    """Migrates up to `revision` and returns the revisions that were applied, none when there was nothing to do.

    `url` must log in as the owner of the database. Several runners may start at once: one migrates, the others wait and
    then have nothing to do. Raises DatabaseUnreachable, PostgresTooOld, DatabaseTooNew, MissingPrivilege,
    MigrationBlocked where another session holds a lock for too long, or MigrationFailed; after any of them the database
    is unchanged.
    """
    async with _locked_connection(url) as connection:
        before = await _applied_revisions(connection)
        await _run(connection, lambda config: command.upgrade(config, revision))
        return [name for name in await _applied_revisions(connection) if name not in before]


async def downgrade(url: str, revision: str) -> None:
    """Migrates down to `revision`, or to nothing with "base". Drops the tables of later revisions with their rows."""
    async with _locked_connection(url) as connection:
        await _run(connection, lambda config: command.downgrade(config, revision))


def upgrade_sql() -> str:
    """The SQL of all migrations, for operators who run it by hand."""
    output = StringIO()
    command.upgrade(_config(output_buffer=output), HEAD, sql=True)
    return output.getvalue()


@asynccontextmanager
async def _locked_connection(url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: _connect(url), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK_KEY})"))
            yield connection
    except DBAPIError as error:
        raise _translate(error) from error
    finally:
        await engine.dispose()


async def _connect(url: str) -> asyncpg.Connection:
    # No time limit: a migration of a large table takes long, and so does waiting for another runner.
    connection = await connect_once(url, answer_seconds=None)
    try:
        check_version(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _translate(error: DBAPIError) -> EverySkillError:
    # SQLAlchemy wraps twice: its own class around its dialect's around asyncpg's.
    cause = getattr(error.orig, "__cause__", None)
    if isinstance(cause, asyncpg.InsufficientPrivilegeError):
        return MissingPrivilege(None, f"to own the database ({cause})")
    if isinstance(cause, asyncpg.LockNotAvailableError):
        return MigrationBlocked(str(cause))
    return MigrationFailed(str(cause or error.orig))


async def _run(connection: AsyncConnection, migrate: Callable[[Config], None]) -> None:
    def run_on(bound: Connection) -> None:
        config = _config()
        config.attributes["connection"] = bound
        migrate(config)

    await connection.run_sync(run_on)


async def _applied_revisions(connection: AsyncConnection) -> tuple[str, ...]:
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
    # Config interpolates %, which may occur in the folder's name.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
