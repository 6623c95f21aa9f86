"""Opens a tenant's transaction; nothing else may set the tenant."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import asyncpg
import msgspec

from everyskill.database.pool import AnyConnection, reaching
from everyskill.database.statements import Statement
from everyskill.errors import EverySkillError
from everyskill.model.inputs import check_id

if TYPE_CHECKING:
    from everyskill.database.folding import FoldedCalls


def _set(**settings: str) -> str:
    return "".join(f", set_config('{name}', '{value}', true)" for name, value in settings.items())


# How a transaction's statements are planned. Once for all, and every row by its index, where they look a few rows up by
# their keys, whatever the statistics say of a catalog that was just filled:
KEPT_PLANS = _set(plan_cache_mode="force_generic_plan", enable_seqscan="off", enable_bitmapscan="off")
# Each time anew, where users differ by orders of magnitude in what they have seen:
OWN_PLANS = _set(plan_cache_mode="force_custom_plan")
# The same, walking either the recent updates or the user's rows, whichever is fewer, and never all of both:
WALKING_PLANS = _set(plan_cache_mode="force_custom_plan", enable_hashjoin="off", enable_mergejoin="off")

# Where nobody may be kept waiting: for a lock no longer than this, in milliseconds.
HASTY_PLANS = KEPT_PLANS + _set(lock_timeout="50")


def recording_key(tenant_id: str, user_id: str) -> int:
    """The advisory lock that is held, shared, by who records views of a user."""
    # Both are JSON, so that no two pairs are spelled alike.
    named = msgspec.json.encode(("everyskill:recording", tenant_id, user_id))
    return int.from_bytes(blake2b(named, digest_size=8).digest(), signed=True)


Isolation: TypeAlias = Literal["READ COMMITTED", "REPEATABLE READ"]


class TenantConnection:
    """A connection within a tenant's transaction. It binds `tenant_id` in every statement by itself."""

    __slots__ = ("_connection", "tenant_id")

    def __init__(self, connection: Any, tenant_id: str) -> None:
        self._connection = connection
        self.tenant_id = tenant_id

    async def fetch(self, statement: Statement, **values: Any) -> list[asyncpg.Record]:
        """All rows."""
        rows: list[asyncpg.Record] = await self._connection.fetch(statement.text, *self._bind(statement, values))
        return rows

    async def fetch_row(self, statement: Statement, **values: Any) -> asyncpg.Record | None:
        """The first row, if there is one."""
        row: asyncpg.Record | None = await self._connection.fetchrow(statement.text, *self._bind(statement, values))
        return row

    async def fetch_value(self, statement: Statement, **values: Any) -> Any:
        """The first column of the first row."""
        return await self._connection.fetchval(statement.text, *self._bind(statement, values))

    def _bind(self, statement: Statement, values: dict[str, Any]) -> list[Any]:
        return statement.arguments({**values, "tenant_id": self.tenant_id})


class Transaction:
    """A transaction that goes from tenant to tenant: it sees the rows of the one that was entered last."""

    __slots__ = ("_connection", "_plans", "_start")

    def __init__(self, connection: AnyConnection, start: str, plans: str) -> None:
        self._connection = connection
        self._start = start
        self._plans = plans

    async def enter(self, tenant_id: str, *, recording: Iterable[str] = ()) -> TenantConnection:
        """Sets the tenant. What an earlier call gave sees nothing from now on: it still names its own in its SQL.

        Who records views says of which users, here and not later: until the end of the transaction nobody remembers
        what is new to them, and that must begin before the snapshot of the statement that records.
        """
        start, self._start = self._start, ""
        # BEGIN and the tenant go in one message, which takes no parameters; in hex no id can be anything but an id.
        tenant = f"convert_from(decode('{tenant_id.encode().hex()}', 'hex'), 'UTF8')"
        keys = sorted({recording_key(tenant_id, user_id) for user_id in recording})
        held = "".join(f", pg_advisory_xact_lock_shared({key})" for key in keys)
        await self._connection.execute(
            f"{start}SELECT set_config('app.current_tenant_id', {tenant}, true){self._plans}{held}"
        )
        return TenantConnection(self._connection, tenant_id)

    async def end(self, how: str) -> None:
        """COMMIT or ROLLBACK, where it was begun."""
        if not self._start:
            await self._connection.execute(how)


@asynccontextmanager
async def begin(
    pool: asyncpg.Pool, *, readonly: bool, plans: str = KEPT_PLANS, isolation: Isolation = "READ COMMITTED"
) -> AsyncIterator[Transaction]:
    """A transaction that is committed when the block ends, and undone when it raises (S14).

    Its isolation is said and never the server's default: what waits for a lock must then see what it waited for.
    """
    start = f"BEGIN ISOLATION LEVEL {isolation}{' READ ONLY' if readonly else ''}; "
    with reaching():
        async with pool.acquire() as connection:
            transaction = Transaction(connection, start, plans)
            try:
                yield transaction
            except BaseException:
                # A connection that is lost has nothing to undo, and the first error says more.
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await transaction.end("ROLLBACK")
                raise
            await transaction.end("COMMIT")


class TenantScope:
    """One tenant of a database. Costs nothing to make; asks nothing until it is used."""

    __slots__ = ("_pool", "folded", "tenant_id")

    def __init__(self, pool: asyncpg.Pool, folded: "FoldedCalls", tenant_id: str) -> None:
        self._pool = pool
        self.folded = folded
        self.tenant_id = check_id("tenant_id", tenant_id)

    @asynccontextmanager
    async def reading(self, *, plans: str = KEPT_PLANS, snapshot: bool = False) -> AsyncIterator[TenantConnection]:
        """A transaction that cannot write: a question never records anything, whatever its SQL says (S10).

        With `snapshot` all its statements see the same state.
        """
        isolation: Isolation = "REPEATABLE READ" if snapshot else "READ COMMITTED"
        async with begin(self._pool, readonly=True, plans=plans, isolation=isolation) as transaction:
            yield await transaction.enter(self.tenant_id)

    @asynccontextmanager
    async def writing(self, *, plans: str = KEPT_PLANS) -> AsyncIterator[TenantConnection]:
        """A transaction that is committed when the block ends, and undone when it raises (S14)."""
        async with begin(self._pool, readonly=False, plans=plans) as transaction:
            yield await transaction.enter(self.tenant_id)


@contextmanager
def refusing(**errors: EverySkillError) -> Iterator[None]:
    """Raises the given error where PostgreSQL refuses by the constraint of that name."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        if error.constraint_name in errors:
            raise errors[error.constraint_name] from error
        raise
