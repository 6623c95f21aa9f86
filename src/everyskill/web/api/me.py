"""Who is asking."""

from litestar import get

from everyskill.model import Role
from everyskill.model.inputs import MAX_LIMIT
from everyskill.web.api.bodies import Me
from everyskill.web.api.openapi import cacheable_responses
from everyskill.web.auth.authentication import CurrentIdentity, CurrentTenant


@get(
    "/me",
    responses=cacheable_responses(Me, Me("ann", "Ann", "acme", "Acme", Role.MEMBER, 3)),
    tags=["You"],
)
async def get_me(tenant: CurrentTenant, identity: CurrentIdentity) -> Me:
    """Who you are by your token, and how much is new to you. Records nothing."""
    return Me(
        user_id=identity.user_id,
        user_name=identity.name,
        tenant_id=tenant.tenant_id,
        tenant_name=(await tenant.get()).name,
        role=identity.role,
        whats_new=await tenant.count_whats_new(identity.user_id, at_most=MAX_LIMIT),
    )
