"""The operator's questions, the only ones that stand above the tenants."""

import asyncpg
from msgspec import convert
from sqlalchemy import select

from everyskill.database.pool import check_revision, connect_once
from everyskill.database.tenants import TENANT_FIELDS
from everyskill.errors import MissingPrivilege
from everyskill.model.tenants import TenantInfo
from everyskill.schema import Tenants
from everyskill.schema.policies import OPERATOR_ROLE

_LIST_TENANTS = str(select(*TENANT_FIELDS).order_by(Tenants.id))
_MAY_LIST = "SELECT current_user, coalesce(pg_has_role(current_user, to_regrole($1)::oid, 'USAGE'), false)"


async def list_tenants(url: str) -> list[TenantInfo]:
    """All tenants by id. Raises MissingPrivilege for a login that is not an operator's, DatabaseNotMigrated."""
    connection = await connect_once(url)
    try:
        check_revision(await find_revision(connection))
        [(role, may_list)] = await connection.fetch(_MAY_LIST, OPERATOR_ROLE)
        if not may_list:
            raise MissingPrivilege(role, f"membership in {OPERATOR_ROLE}")
        return [convert(dict(row), TenantInfo) for row in await connection.fetch(_LIST_TENANTS)]
    finally:
        await connection.close()


async def find_revision(connection: asyncpg.Connection) -> str | None:
    """The revision that the database is at; None before the first migration."""
    if await connection.fetchval("SELECT to_regclass('public.alembic_version')") is None:
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM public.alembic_version")
    return revision
