"""Users: the people of a tenant."""

from everyskill.database import tenants
from everyskill.database.scope import TenantScope
from everyskill.errors import InvalidChoice, UserNotFound
from everyskill.model.inputs import MAX_NAME_LENGTH, check_id, check_text
from everyskill.model.tenants import Role, User


async def add_user(
    tenant: TenantScope,
    user_id: str,
    *,
    email: str | None = None,
    name: str | None = None,
    role: Role | str = Role.MEMBER,
) -> User:
    """Adds a person. Raises UserExists when the id or the e-mail is taken in this tenant, and TenantNotFound."""
    check_id("user_id", user_id)
    for field, value in (("email", email), ("name", name)):
        if value is not None:
            check_text(field, value, longest=MAX_NAME_LENGTH)
    if role not in list(Role):
        raise InvalidChoice("role", str(role), tuple(Role))
    async with tenant.writing() as connection:
        return await tenants.insert_user(connection, user_id, email=email, name=name, role=Role(role))


async def get_user(tenant: TenantScope, user_id: str) -> User:
    """What is known of a person. Raises UserNotFound, also for one of another tenant (S15)."""
    check_id("user_id", user_id)
    async with tenant.reading() as connection:
        user = await tenants.find_user(connection, user_id)
    if user is None:
        raise UserNotFound(user_id)
    return user
