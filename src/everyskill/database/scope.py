"""Opens a tenant's transaction; nothing else may set the tenant."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import asyncpg

from everyskill.database.pool import AnyConnection, reaching
from everyskill.database.statements import Statement
from everyskill.errors import EverySkillError
from everyskill.model.inputs import check_id

if TYPE_CHECKING:
    from everyskill.database.folding import FoldedCalls

ENTER = "SELECT set_config('app.current_tenant_id', $1, true)"
# Users differ by orders of magnitude in what they have seen, so a plan made for one must not be kept for all.
ENTER_WITH_OWN_PLANS = f"{ENTER}, set_config('plan_cache_mode', 'force_custom_plan', true)"
# For statements that name the keys of every row they touch: look each up by its index, in the order of the joins,
# whatever the statistics say of a catalog that was just filled.
_PROBE = {
    "join_collapse_limit": "1",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
}
ENTER_TO_PROBE = ", ".join([ENTER, *(f"set_config('{name}', '{value}', true)" for name, value in _PROBE.items())])


Isolation: TypeAlias = Literal["read_committed", "repeatable_read"]


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

    __slots__ = ("_connection", "_enter")

    def __init__(self, connection: AnyConnection, enter: str) -> None:
        self._connection = connection
        self._enter = enter

    async def enter(self, tenant_id: str) -> TenantConnection:
        """Sets the tenant. What an earlier call gave sees nothing from now on: it still names its own in its SQL."""
        await self._connection.execute(self._enter, tenant_id)
        return TenantConnection(self._connection, tenant_id)


@asynccontextmanager
async def begin(
    pool: asyncpg.Pool, *, readonly: bool, enter: str = ENTER, isolation: Isolation = "read_committed"
) -> AsyncIterator[Transaction]:
    """A transaction that is committed when the block ends, and undone when it raises (S14).

    Its isolation is said and never the server's default: what waits for a lock must then see what it waited for.
    """
    with reaching():
        async with pool.acquire() as connection, connection.transaction(isolation=isolation, readonly=readonly):
            yield Transaction(connection, enter)


class TenantScope:
    """One tenant of a database. Costs nothing to make; asks nothing until it is used."""

    __slots__ = ("_pool", "folded", "tenant_id")

    def __init__(self, pool: asyncpg.Pool, folded: "FoldedCalls", tenant_id: str) -> None:
        self._pool = pool
        self.folded = folded
        self.tenant_id = check_id("tenant_id", tenant_id)

    @asynccontextmanager
    async def reading(self, *, own_plans: bool = False, snapshot: bool = False) -> AsyncIterator[TenantConnection]:
        """A transaction that cannot write: a question never records anything, whatever its SQL says (S10).

        With `snapshot` all its statements see the same state.
        """
        enter = ENTER_WITH_OWN_PLANS if own_plans else ENTER
        isolation: Isolation = "repeatable_read" if snapshot else "read_committed"
        async with begin(self._pool, readonly=True, enter=enter, isolation=isolation) as transaction:
            yield await transaction.enter(self.tenant_id)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[TenantConnection]:
        """A transaction that is committed when the block ends, and undone when it raises (S14)."""
        async with begin(self._pool, readonly=False) as transaction:
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
