"""Opens a tenant's transaction; nothing else sets the tenant, but for the canary of inspection.py."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from hashlib import blake2b
from typing import Any, Literal, TypeAlias

import asyncpg
from asyncpg import Record

from everyskill.database.connection_shares import Acquired, ConnectionShares
from everyskill.database.connections import AnyConnection, translate_commit_errors, translate_driver_errors
from everyskill.database.places import HASTY, Patience, Result
from everyskill.database.policies import TENANT_SETTING
from everyskill.database.statements import Statement, to_json
from everyskill.errors import EverySkillError, LockTimeout

Isolation: TypeAlias = Literal["READ COMMITTED", "REPEATABLE READ"]


def recording_lock(tenant_id: str, user_id: str) -> int:
    """The key of the advisory lock that a transaction holds, shared, from before it records views of the user."""
    # JSON, so that no two pairs are spelled alike.
    name = to_json(("everyskill:recording", tenant_id, user_id)).encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), signed=True)


class Transaction:
    """A transaction on one connection, which begins with its first statement and may go from tenant to tenant.

    BEGIN, the tenant and the planner's settings of the first statement go in one message, which saves round trips.
    """

    __slots__ = ("_begin", "_connection", "_lock_timeout", "_settings", "_tenant")

    def __init__(self, connection: AnyConnection, begin: str, lock_timeout: int) -> None:
        self._connection = connection
        self._begin = begin
        self._lock_timeout = lock_timeout
        self._settings = ""
        self._tenant: TenantConnection | None = None

    def enter(self, tenant_id: str, *, recording: Iterable[str] = ()) -> "TenantConnection":
        """The transaction as one tenant's. `recording` are the users whose views it will record.

        For each of them the first statement is preceded by a shared advisory lock, taken before that statement's
        snapshot and held to the end of the transaction: nobody saves a feed checkpoint of theirs meanwhile.
        """
        locks = sorted({recording_lock(tenant_id, user_id) for user_id in recording})
        return TenantConnection(self, tenant_id, "".join(f", pg_advisory_xact_lock_shared({key})" for key in locks))

    async def prepare_for(self, tenant: "TenantConnection", statement: Statement) -> AnyConnection:
        """The connection, begun, with the tenant set and the statement's settings in force."""
        if self._tenant is not tenant:
            begin, self._begin = self._begin, ""
            if begin:
                self._settings = statement.settings
            # A message of several statements takes no parameters; in hex no id can be anything but an id.
            tenant_id = f"convert_from(decode('{tenant.tenant_id.encode().hex()}', 'hex'), 'UTF8')"
            settings = f", set_config('lock_timeout', '{self._lock_timeout}', true){self._settings}" if begin else ""
            await self._connection.execute(
                f"{begin}SELECT set_config('{TENANT_SETTING}', {tenant_id}, true){settings}{tenant.locks}"
            )
            self._tenant = tenant
        if statement.settings != self._settings:
            raise AssertionError(f"other settings than its transaction began with: {statement.sql}")
        return self._connection

    async def end(self, command: Literal["COMMIT", "ROLLBACK"]) -> None:
        """Ends what was begun."""
        if not self._begin:
            await self._connection.execute(command)


class TenantConnection:
    """A connection within a tenant's transaction. It binds `:tenant_id` in every statement by itself."""

    __slots__ = ("_transaction", "locks", "tenant_id")

    def __init__(self, transaction: Transaction, tenant_id: str, locks: str) -> None:
        self._transaction = transaction
        self.tenant_id = tenant_id
        self.locks = locks

    async def fetch(self, statement: Statement, **values: Any) -> list[Record]:
        """All rows."""
        connection = await self._transaction.prepare_for(self, statement)
        values["tenant_id"] = self.tenant_id
        rows: list[Record] = await connection.fetch(statement.text, *statement.arguments(values))
        return rows

    async def execute(self, statement: Statement, **values: Any) -> None:
        """Sends a statement that returns no rows."""
        await self.fetch(statement, **values)

    async def fetch_row(self, statement: Statement, **values: Any) -> Record | None:
        """The first row, if there is one."""
        connection = await self._transaction.prepare_for(self, statement)
        values["tenant_id"] = self.tenant_id
        row: Record | None = await connection.fetchrow(statement.text, *statement.arguments(values))
        return row

    async def fetch_value(self, statement: Statement, **values: Any) -> Any:
        """The first column of the first row; None where there is no row."""
        row = await self.fetch_row(statement, **values)
        return None if row is None else row[0]


@asynccontextmanager
async def begin(
    acquired: AbstractAsyncContextManager[Acquired], *, readonly: bool, isolation: Isolation = "READ COMMITTED"
) -> AsyncIterator[Transaction]:
    """A transaction that is committed when the block ends, and undone when it raises (S14).

    Its isolation is set here and never the server's default: what waits for a lock must then see what it waited for.
    Raises LockTimeout where it waits for longer than it may, and OutcomeUnknown where the connection breaks in the
    COMMIT of what may have written.
    """
    with translate_driver_errors():
        async with acquired as (connection, lock_timeout, deadline):
            mode = " READ ONLY" if readonly else ""
            transaction = Transaction(connection, f"BEGIN ISOLATION LEVEL {isolation}{mode}; ", lock_timeout)
            try:
                # Without the COMMIT: nobody could tell whether one that is cut off was done.
                async with asyncio.timeout_at(deadline) as limit:
                    yield transaction
            except BaseException as error:
                # A connection that is lost has nothing to undo, and the first error says more.
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await transaction.end("ROLLBACK")
                if isinstance(error, TimeoutError) and limit.expired():
                    raise LockTimeout from error
                raise
            if readonly:
                await transaction.end("COMMIT")
            else:
                with translate_commit_errors():
                    await transaction.end("COMMIT")


class TenantTransactions:
    """Opens the transactions of one tenant, within its share of the connections. Costs nothing to make."""

    __slots__ = ("_shares", "tenant_id")

    def __init__(self, shares: ConnectionShares, tenant_id: str) -> None:
        self._shares = shares
        self.tenant_id = tenant_id

    @asynccontextmanager
    async def read(self, *, snapshot: bool = False) -> AsyncIterator[TenantConnection]:
        """A transaction that cannot write: a question never records anything, whatever its SQL says (S10).

        With `snapshot` all its statements see the same state. What may wait for a lock of its tenant goes by `run`.
        """
        isolation: Isolation = "REPEATABLE READ" if snapshot else "READ COMMITTED"
        acquired = self._shares.read_connection(self.tenant_id)
        async with begin(acquired, readonly=True, isolation=isolation) as transaction:
            yield transaction.enter(self.tenant_id)

    @asynccontextmanager
    async def write_at_once(self) -> AsyncIterator[TenantConnection]:
        """A transaction that is committed when the block ends (S14). It raises LockTimeout where it meets a lock."""
        acquired = self._shares.connection(self.tenant_id, HASTY)
        async with begin(acquired, readonly=False) as transaction:
            yield transaction.enter(self.tenant_id)

    async def run(self, work: Callable[[TenantConnection], Awaitable[Result]]) -> Result:
        """What `work` gives, in a transaction that waits for locks of its tenant where it must.

        Where it met a lock, it is undone and `work` is run again: nothing that it does may outlive its transaction.
        Raises Overloaded where too many calls wait, and LockTimeout.
        """

        async def attempt(patience: Patience) -> Result:
            acquired = self._shares.connection(self.tenant_id, patience)
            async with begin(acquired, readonly=False) as transaction:
                return await work(transaction.enter(self.tenant_id))

        return await self._shares.run(self.tenant_id, attempt)


@contextmanager
def translate_constraint_errors(**errors: EverySkillError) -> Iterator[None]:
    """Raises the given error where PostgreSQL refuses by the constraint of that name."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        if error.constraint_name in errors:
            raise errors[error.constraint_name] from error
        raise
