"""Tenants: the companies whose catalogs are kept apart."""

from everyskill.database.people import tenants
from everyskill.errors import TenantNotFound
from everyskill.model.inputs import MAX_NAME_LENGTH, check_text
from everyskill.model.skills import check_slug
from everyskill.model.tenants import TenantInfo
from everyskill.services.tenant_scope import TenantScope


async def create_tenant(tenant: TenantScope, name: str, *, slug: str | None = None) -> TenantInfo:
    """Adds this tenant. The slug is the id where none is given.

    Raises TenantExists when the id or the slug is taken, InvalidText or InvalidIdentifier.
    """
    check_text("name", name, longest=MAX_NAME_LENGTH)
    check_slug(slug if slug is not None else tenant.tenant_id)
    async with tenant._transactions.write() as connection:
        return await tenants.insert_tenant(connection, name=name, slug=slug or tenant.tenant_id)


async def get_tenant(tenant: TenantScope) -> TenantInfo:
    """What is known of this tenant. Raises TenantNotFound."""
    async with tenant._transactions.read() as connection:
        found = await tenants.find_tenant(connection)
    if found is None:
        raise TenantNotFound(tenant.tenant_id)
    return found
