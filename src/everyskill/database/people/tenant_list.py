"""Lists all tenants, for the operator: the only question that stands above the tenants."""

from everyskill.database.connections import check_revision, open_connection, read_revision
from everyskill.database.people.tenants import TENANT_INFO_COLUMNS
from everyskill.database.policies import OPERATOR_ROLE
from everyskill.database.statements import read_rows
from everyskill.errors import MissingPrivilege
from everyskill.model.tenants import TenantInfo

# All rows of tenants, in the order of tenants_pkey.
_LIST_TENANTS = f"SELECT {TENANT_INFO_COLUMNS} FROM tenants ORDER BY tenants.id"
_MAY_LIST = "SELECT current_user, coalesce(pg_has_role(current_user, to_regrole($1)::oid, 'USAGE'), false) AS may_list"


async def list_tenants(url: str) -> list[TenantInfo]:
    """All tenants by id. Raises MissingPrivilege for a login that is not an operator's, DatabaseNotMigrated."""
    async with open_connection(url) as connection:
        [login] = await connection.fetch(_MAY_LIST, OPERATOR_ROLE)
        if not login["may_list"]:
            raise MissingPrivilege(login["current_user"], f"membership in {OPERATOR_ROLE}")
        check_revision(await read_revision(connection))
        return read_rows(await connection.fetch(_LIST_TENANTS), TenantInfo)
