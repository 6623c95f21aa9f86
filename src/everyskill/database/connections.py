"""Opens connections, refuses those that must not serve, and translates what the driver raises.

It refuses a wrong server, a wrong encoding, a wrong role and a wrong revision.
"""

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import asyncpg

from everyskill.database.opening import CONNECT_SECONDS, UNNAMED, Connect, open_one, opening
from everyskill.database.policies import APP_ROLE, OPERATOR_ROLE, TENANT_COLUMNS
from everyskill.database.revisions import HEAD, REVISIONS
from everyskill.errors import (
    DatabaseDamaged,
    DatabaseNotMigrated,
    DatabaseReadOnly,
    DatabaseTooNew,
    DatabaseUnreachable,
    EverySkillError,
    InvalidIdentifier,
    InvalidSetting,
    LockTimeout,
    MissingPrivilege,
    OutcomeUnknown,
    PostgresTooOld,
    UnsafeRole,
    WrongEncoding,
)

MIN_POSTGRES = 15
AnyConnection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

ANSWER_SECONDS = 60.0
_UNREADABLE = "cannot be read; in a name or a password, / is written as %2F, ? as %3F, # as %23 and [ as %5B"
# How often a pool has tables that grew analyzed: autovacuum comes once a minute.
STATISTICS_SECONDS = 1.0
# Of a table that somebody locks it waits even for the size: no call may, whatever table it is about.
ANALYZE_NEW_TABLES = "SELECT set_config('lock_timeout', '1ms', true); SELECT public.everyskill_analyze_new_tables()"

# Members of these read or write the server's files, or see every tenant. CREATEROLE is among what is refused below
# because before PostgreSQL 16 it grants any role, the owner's too; REPLICATION because it copies all rows.
UNSAFE_ROLES = ("pg_execute_server_program", "pg_read_server_files", "pg_write_server_files", OPERATOR_ROLE)

_ROLE = """
SELECT current_user AS name, current_setting('server_encoding') AS encoding,
       (SELECT CASE WHEN r.rolsuper OR r.rolbypassrls THEN 'a superuser or a role with BYPASSRLS'
                    WHEN r.rolreplication THEN 'a role with REPLICATION'
                    WHEN r.rolcreaterole THEN 'a role with CREATEROLE'
                    ELSE 'a member of ' || r.rolname END
          FROM pg_roles AS r
         WHERE (r.rolsuper OR r.rolbypassrls OR r.rolreplication OR r.rolcreaterole OR r.rolname = ANY($3))
           AND pg_has_role(session_user, r.oid, 'MEMBER')
         ORDER BY r.rolsuper DESC, r.rolbypassrls DESC, r.rolname LIMIT 1) AS power,
       EXISTS (SELECT FROM pg_database AS d, pg_namespace AS n
                WHERE d.datname = current_database() AND n.nspname = 'public'
                  AND (pg_has_role(session_user, d.datdba, 'MEMBER')
                       OR pg_has_role(session_user, n.nspowner, 'MEMBER'))) AS owns_database,
       EXISTS (SELECT FROM pg_class AS c
                WHERE c.relname = ANY($1) AND c.relnamespace = to_regnamespace('public')
                  AND pg_has_role(session_user, c.relowner, 'MEMBER')) AS owns,
       EXISTS (SELECT FROM unnest($1::text[]) AS t(name)
                WHERE to_regclass(t.name) IS DISTINCT FROM to_regclass('public.' || t.name)) AS is_shadowed,
       to_regclass('public.alembic_version') IS NOT NULL AS migrated,
       coalesce(pg_has_role(current_user, to_regrole($2)::oid, 'USAGE'), false) AS member
"""


async def connect_once(
    url: str, *, answer_seconds: float | None = ANSWER_SECONDS, connect: Connect = asyncpg.connect
) -> asyncpg.Connection:
    """Opens one connection, unchecked: for single questions and the owner's acts, which are not prepared by name.

    With `answer_seconds` None, an answer may take any time. Raises DatabaseUnreachable or InvalidSetting.
    """
    with translate_driver_errors(), translate_url_errors():
        options = {"timeout": CONNECT_SECONDS, "command_timeout": answer_seconds} | UNNAMED
        connection, _ = await open_one(url, connect, **options)
    return connection


@asynccontextmanager
async def open_connection(url: str, *, connect: Connect = asyncpg.connect) -> AsyncIterator[asyncpg.Connection]:
    """The same until the end of the block, in which errors of the driver are translated too."""
    connection = await connect_once(url, connect=connect)
    try:
        with translate_driver_errors():
            yield connection
    finally:
        await close_quietly(connection)


async def close_quietly(connection: asyncpg.Connection) -> None:
    """Closes it, lost or not: what ended the block before says more than a server that is no longer there."""
    with suppress(EverySkillError), translate_driver_errors():
        await connection.close(timeout=CONNECT_SECONDS)


async def open_pool(
    url: str,
    *,
    size: int,
    connect: Connect = asyncpg.connect,
    keeps_prepared: bool = False,
    statistics_seconds: float = STATISTICS_SECONDS,
) -> asyncpg.Pool:
    """Opens a pool of at most `size` connections after `check_serving` approved of them."""
    with translate_driver_errors(), translate_url_errors():
        pool = await asyncpg.create_pool(
            url,
            connect=opening(connect, keeps_prepared=keeps_prepared),
            # Else asyncpg replaces lost connections by itself, and logs each failure to do so.
            min_size=0,
            max_size=size,
            timeout=CONNECT_SECONDS,
            command_timeout=ANSWER_SECONDS,
            setup=_analyzing(statistics_seconds),
            reset=_keep_settings,
            server_settings={"application_name": "everyskill"},
        )
        try:
            async with pool.acquire() as connection:
                await check_serving(connection)
        except BaseException:
            await pool.close()
            raise
    return pool


async def read_revision(connection: AnyConnection) -> str | None:
    """The revision that the database is at; None before the first migration."""
    if await connection.fetchval("SELECT to_regclass('public.alembic_version')") is None:
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM public.alembic_version")
    return revision


async def check_serving(connection: AnyConnection) -> None:
    """Raises the DatabaseNotReady that says why this connection must not serve tenants, if there is a reason."""
    check_version(connection)
    [role] = await connection.fetch(_ROLE, list(TENANT_COLUMNS), APP_ROLE, UNSAFE_ROLES)
    if role["encoding"] != "UTF8":
        raise WrongEncoding(role["encoding"])
    if role["power"]:
        raise UnsafeRole(role["name"], f"is, or may become, {role['power']}")
    if role["owns"]:
        raise UnsafeRole(role["name"], "owns the tables, or may become their owner")
    if role["owns_database"]:
        raise UnsafeRole(role["name"], "owns the database or its schema public, or may become their owner")
    if role["is_shadowed"]:
        raise UnsafeRole(role["name"], "finds tables of another schema where ours are meant (search_path)")
    if not role["migrated"]:
        raise DatabaseNotMigrated(None, HEAD)
    if not role["member"]:
        raise MissingPrivilege(role["name"], f"membership in {APP_ROLE}")
    check_revision(await connection.fetchval("SELECT version_num FROM public.alembic_version"))


def check_version(connection: AnyConnection) -> None:
    """Raises PostgresTooOld."""
    major = connection.get_server_version().major
    if major < MIN_POSTGRES:
        raise PostgresTooOld(str(major))


def check_revision(found: str | None) -> None:
    """Raises DatabaseNotMigrated for an older revision than ours, DatabaseTooNew for one we do not know."""
    if found is not None and found not in REVISIONS:
        raise DatabaseTooNew(found, HEAD)
    if found != HEAD:
        raise DatabaseNotMigrated(found, HEAD)


@contextmanager
def translate_driver_errors() -> Iterator[None]:
    """Turns every way in which a server is not there, or not there for us, into the DatabaseNotReady that says so.

    Raises LockTimeout where a statement waited for a lock for as long as it may, or in a deadlock.
    """
    try:
        yield
    except TimeoutError as error:
        raise DatabaseUnreachable("no answer in time") from error
    except asyncpg.InternalClientError as error:
        raise DatabaseUnreachable("the server closed the connection") from error
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
        raise LockTimeout from error
    except asyncpg.ProgramLimitExceededError as error:
        raise InvalidIdentifier("ids", f"are too long together for an index ({error})") from error
    except (asyncpg.DataCorruptedError, asyncpg.IndexCorruptedError, asyncpg.PostgresSystemError) as error:
        raise DatabaseDamaged(str(error)) from error
    except asyncpg.ReadOnlySQLTransactionError as error:
        raise DatabaseReadOnly(str(error)) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise MissingPrivilege(None, f"more privileges ({error})") from error
    except (
        OSError,
        asyncpg.InterfaceError,
        asyncpg.PostgresConnectionError,
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.InsufficientResourcesError,
        asyncpg.OperatorInterventionError,
        asyncpg.ObjectNotInPrerequisiteStateError,
    ) as error:
        raise DatabaseUnreachable(str(error) or type(error).__name__) from error


@contextmanager
def translate_commit_errors() -> Iterator[None]:
    """Raises OutcomeUnknown where there is no answer to a COMMIT; else as `translate_driver_errors` does.

    Of what the server says, an ERROR is an answer: it has undone the transaction. What ends the connection is none.
    """
    try:
        with translate_driver_errors():
            yield
    except DatabaseUnreachable as error:
        if getattr(error.__cause__, "severity_en", None) == "ERROR":
            raise
        raise OutcomeUnknown(error.reason) from error


@contextmanager
def translate_url_errors() -> Iterator[None]:
    """Turns what the driver or the server says of a URL that it cannot use into an InvalidSetting."""
    try:
        yield
    except (
        asyncpg.ClientConfigurationError,
        # The driver sends what it does not know as settings of the session.
        asyncpg.UndefinedObjectError,
        asyncpg.InvalidParameterValueError,
        asyncpg.CantChangeRuntimeParamError,
        asyncpg.PostgresSyntaxError,
    ) as error:
        raise InvalidSetting("database URL", str(error)) from error
    except ValueError:
        # It quotes what it could not read, which is a part of the password where a / ends that too early.
        raise InvalidSetting("database URL", _UNREADABLE) from None
    except asyncpg.ProtocolViolationError as error:
        if "startup parameter" not in str(error):
            raise
        # PgBouncer passes on only those that it keeps for each client.
        raise InvalidSetting("database URL", f"the pooler in between takes no session settings ({error})") from error


def _analyzing(seconds: float) -> Callable[[AnyConnection], Coroutine[Any, Any, None]]:
    """Before a connection is used, once in so many seconds: new statistics of young tables that grew.

    In a small table without statistics every index that begins with the tenant looks as good as the right one, and a
    plan that was made then is kept. ANALYZE makes all sessions plan anew.
    """
    due: float | None = None

    async def analyze(connection: AnyConnection) -> None:
        nonlocal due
        now, was_due = time.monotonic(), due
        if was_due is not None and now < was_due:
            return
        due = now + seconds
        # Not before the first use, which checks whose database this is.
        if was_due is not None:
            try:
                await connection.execute(ANALYZE_NEW_TABLES)
            except asyncpg.PostgresError:
                # Handing out a lost connection would cost the pool its place for ever.
                if connection.is_closed():
                    raise

    return analyze


async def _keep_settings(connection: asyncpg.Connection) -> None:
    """Resets nothing: every setting ends with its transaction. Saves a round trip on every call."""
