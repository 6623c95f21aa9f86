"""Asks about the tenant of a transaction, and adds it."""

from everyskill.database.statements import Statement, read_row, read_rows
from everyskill.database.transactions import TenantConnection, translate_constraint_errors
from everyskill.errors import TenantExists
from everyskill.model.tenants import TenantInfo

TENANT_INFO_COLUMNS = (
    "tenants.id, tenants.name, tenants.slug, tenants.is_active, tenants.created_at, tenants.updated_at"
)

# The tenant of the transaction, by tenants_pkey.
FIND_TENANT = Statement(f"SELECT {TENANT_INFO_COLUMNS} FROM tenants WHERE tenants.id = :tenant_id")

# Adds it; tenants_pkey and tenants_slug_unique refuse a second one.
INSERT_TENANT = Statement(f"""
    INSERT INTO tenants (id, name, slug) VALUES (:tenant_id, :name, :slug) RETURNING {TENANT_INFO_COLUMNS}
""")


async def find_tenant(connection: TenantConnection) -> TenantInfo | None:
    """The tenant of this transaction, if it exists."""
    return read_row(await connection.fetch_row(FIND_TENANT), TenantInfo)


async def insert_tenant(connection: TenantConnection, *, name: str, slug: str) -> TenantInfo:
    """Adds the tenant of this transaction. Raises TenantExists."""
    with translate_constraint_errors(
        tenants_pkey=TenantExists("id", connection.tenant_id), tenants_slug_unique=TenantExists("slug", slug)
    ):
        rows = await connection.fetch(INSERT_TENANT, name=name, slug=slug)
    [tenant] = read_rows(rows, TenantInfo)
    return tenant
