"""Users of a tenant."""

from everyskill.database.people import users
from everyskill.database.people.tenants import find_tenant
from everyskill.database.transactions import TenantConnection
from everyskill.errors import TenantInactive, TenantNotFound, UserNotFound
from everyskill.model.inputs import MAX_LIMIT, MAX_NAME_LENGTH, check_choice, check_id, check_limit, check_text
from everyskill.model.tenants import Role, User
from everyskill.services.tenant_scope import TenantScope


async def add_user(
    tenant: TenantScope,
    user_id: str,
    *,
    email: str | None = None,
    name: str | None = None,
    role: Role | str = Role.MEMBER,
) -> User:
    """Adds a user. Raises UserExists where the id or the e-mail address is taken in this tenant, TenantNotFound,
    InvalidIdentifier, InvalidText and InvalidChoice.
    """
    user_id, email, name, plain_role = _check_user(user_id, email, name, role)
    return await tenant._transactions.run(
        lambda connection: users.insert_user(connection, user_id, email=email, name=name, role=plain_role)
    )


async def get_user(tenant: TenantScope, user_id: str) -> User:
    """A user by id. Raises UserNotFound, also for one of another tenant (S15), and InvalidIdentifier."""
    user_id = check_id("user_id", user_id)
    async with tenant._transactions.read() as connection:
        return await _require_user(connection, user_id)


async def list_users(tenant: TenantScope, limit: int = MAX_LIMIT) -> list[User]:
    """The first users of the tenant by id; `limit` is 1 to 100. Raises InvalidLimit."""
    limit = check_limit(limit)
    async with tenant._transactions.read() as connection:
        return await users.list_users(connection, limit=limit)


async def admit_user(
    tenant: TenantScope,
    user_id: str,
    *,
    email: str | None = None,
    name: str | None = None,
    role: Role | str = Role.MEMBER,
) -> User:
    """The user as this tenant knows them, added where it does not: for those whom an identity provider authenticated.

    A known user stays as they are, and an e-mail address that another user has is left out. Raises TenantNotFound,
    TenantInactive, InvalidIdentifier, InvalidText and InvalidChoice.
    """
    user_id, email, name, plain_role = _check_user(user_id, email, name, role)
    async with tenant._transactions.read() as connection:
        await _require_active(connection)
        known = await users.find_user(connection, user_id)
    if known is not None:
        return known

    async def add(connection: TenantConnection) -> User:
        # Once more without the e-mail, in case that is what was taken.
        for address in (email, None):
            await users.insert_user_if_new(connection, user_id, email=address, name=name, role=plain_role)
        return await _require_user(connection, user_id)

    return await tenant._transactions.run(add)


async def get_active_user(tenant: TenantScope, user_id: str) -> User:
    """A user by id, of an active tenant. Raises TenantNotFound, TenantInactive, UserNotFound, InvalidIdentifier."""
    user_id = check_id("user_id", user_id)
    async with tenant._transactions.read() as connection:
        await _require_active(connection)
        return await _require_user(connection, user_id)


async def get_session_generation(tenant: TenantScope, user_id: str) -> int:
    """How often the sessions of a user were ended: one that was opened with less is over.

    Raises UserNotFound and InvalidIdentifier.
    """
    user_id = check_id("user_id", user_id)
    async with tenant._transactions.read() as connection:
        generation = await users.find_session_generation(connection, user_id)
    if generation is None:
        raise UserNotFound(user_id)
    return generation


async def end_sessions(tenant: TenantScope, user_id: str) -> int:
    """Ends all sessions of a user, wherever they were opened, and gives the generation of those to come.

    Raises UserNotFound and InvalidIdentifier.
    """
    user_id = check_id("user_id", user_id)
    generation = await tenant._transactions.run(lambda connection: users.end_sessions(connection, user_id))
    if generation is None:
        raise UserNotFound(user_id)
    return generation


async def _require_user(connection: TenantConnection, user_id: str) -> User:
    user = await users.find_user(connection, user_id)
    if user is None:
        raise UserNotFound(user_id)
    return user


async def _require_active(connection: TenantConnection) -> None:
    found = await find_tenant(connection)
    if found is None:
        raise TenantNotFound(connection.tenant_id)
    if not found.is_active:
        raise TenantInactive(found.id)


def _check_user(
    user_id: str, email: str | None, name: str | None, role: Role | str
) -> tuple[str, str | None, str | None, Role]:
    return (
        check_id("user_id", user_id),
        None if email is None else check_text("email", email, longest=MAX_NAME_LENGTH),
        None if name is None else check_text("name", name, longest=MAX_NAME_LENGTH),
        check_choice("role", role, Role),
    )
