"""Opens a tenant's transaction; nothing else may set the tenant."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal

import asyncpg

from everyskill.database.pool import reaching
from everyskill.database.statements import Statement
from everyskill.errors import EverySkillError
from everyskill.model.inputs import check_id

_ENTER = "SELECT set_config('app.current_tenant_id', $1, true)"
# Users differ by orders of magnitude in what they have seen, so a plan made for one must not be kept for all.
_ENTER_WITH_OWN_PLANS = f"{_ENTER}, set_config('plan_cache_mode', 'force_custom_plan', true)"


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


class TenantScope:
    """One tenant of a database. Costs nothing to make; asks nothing until it is used."""

    __slots__ = ("_pool", "tenant_id")

    def __init__(self, pool: asyncpg.Pool, tenant_id: str) -> None:
        self._pool = pool
        self.tenant_id = check_id("tenant_id", tenant_id)

    @asynccontextmanager
    async def reading(self, *, own_plans: bool = False, snapshot: bool = False) -> AsyncIterator[TenantConnection]:
        """A transaction that cannot write: a question never records anything, whatever its SQL says (S10).

        With `snapshot` all its statements see the same state.
        """
        enter = _ENTER_WITH_OWN_PLANS if own_plans else _ENTER
        async with self._transaction(
            readonly=True, enter=enter, isolation="repeatable_read" if snapshot else None
        ) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[TenantConnection]:
        """A transaction that is committed when the block ends, and undone when it raises (S14)."""
        async with self._transaction(readonly=False, enter=_ENTER) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(
        self, *, readonly: bool, enter: str, isolation: Literal["repeatable_read"] | None = None
    ) -> AsyncIterator[TenantConnection]:
        with reaching():
            async with (
                self._pool.acquire() as connection,
                connection.transaction(isolation=isolation, readonly=readonly),
            ):
                await connection.execute(enter, self.tenant_id)
                yield TenantConnection(connection, self.tenant_id)


@contextmanager
def refusing(**errors: EverySkillError) -> Iterator[None]:
    """Raises the given error where PostgreSQL refuses by the constraint of that name."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        if error.constraint_name in errors:
            raise errors[error.constraint_name] from error
        raise
