"""Tenants: the companies whose catalogs are kept apart."""

from everyskill.database.people import tenants
from everyskill.errors import TenantNotFound
from everyskill.model.inputs import MAX_NAME_LENGTH, check_text
from everyskill.model.skills import check_slug
from everyskill.model.tenants import TenantInfo
from everyskill.services.tenant_scope import TenantScope


async def create_tenant(tenant: TenantScope, name: str, *, slug: str | None = None) -> TenantInfo:
    """Adds this tenant. Where no slug is given it is the id, so give one where the id is no slug.

    Raises TenantExists when the id or the slug is taken, InvalidText or InvalidIdentifier.
    """
    name = check_text("name", name, longest=MAX_NAME_LENGTH)
    checked_slug = check_slug(tenant.tenant_id if slug is None else slug)
    return await tenant._transactions.run(
        lambda connection: tenants.insert_tenant(connection, name=name, slug=checked_slug)
    )


async def get_tenant(tenant: TenantScope) -> TenantInfo:
    """What is known of this tenant. Raises TenantNotFound."""
    async with tenant._transactions.read() as connection:
        found = await tenants.find_tenant(connection)
    if found is None:
        raise TenantNotFound(tenant.tenant_id)
    return found
