"""Asks about tenants and their users."""

from msgspec import convert
from sqlalchemy import Integer, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from everyskill.database.scope import TenantConnection, refusing
from everyskill.database.statements import TENANT, Statement, parameter
from everyskill.errors import TenantExists, TenantNotFound, UserExists
from everyskill.model.tenants import Role, TenantInfo, User
from everyskill.schema import Tenants, Users

TENANT_FIELDS = (
    Tenants.id,
    Tenants.name,
    Tenants.slug,
    Tenants.is_active,
    Tenants.created_at,
    Tenants.updated_at,
)
_USER_FIELDS = (Users.id, Users.email, Users.name, Users.role, Users.created_at, Users.updated_at)

FIND_TENANT = Statement(select(*TENANT_FIELDS).where(Tenants.id == TENANT))
INSERT_TENANT = Statement(
    insert(Tenants).values(id=TENANT, name=parameter("name"), slug=parameter("slug")).returning(*TENANT_FIELDS)
)
FIND_USER = Statement(select(*_USER_FIELDS).where(Users.tenant_id == TENANT, Users.id == parameter("user_id")))
LIST_USERS = Statement(
    select(*_USER_FIELDS).where(Users.tenant_id == TENANT).order_by(Users.id).limit(parameter("limit", Integer))
)
HOLD_USER = Statement(
    select(Users.id)
    .where(Users.tenant_id == TENANT, Users.id == parameter("user_id"))
    .with_for_update(read=True, key_share=True)
)
_NEW_USER = {
    "tenant_id": TENANT,
    "id": parameter("user_id"),
    "email": parameter("email"),
    "name": parameter("name"),
    "role": parameter("role"),
}
INSERT_USER = Statement(insert(Users).values(_NEW_USER).returning(*_USER_FIELDS))
# Without a target: whoever has the id or the address keeps it.
INSERT_USER_IF_NEW = Statement(upsert(Users).values(_NEW_USER).on_conflict_do_nothing())


async def find_tenant(connection: TenantConnection) -> TenantInfo | None:
    """The tenant of this transaction, if it exists."""
    row = await connection.fetch_row(FIND_TENANT)
    return None if row is None else convert(dict(row), TenantInfo)


async def insert_tenant(connection: TenantConnection, *, name: str, slug: str) -> TenantInfo:
    """Adds the tenant of this transaction. Raises TenantExists."""
    with refusing(
        tenants_pkey=TenantExists("id", connection.tenant_id), tenants_slug_unique=TenantExists("slug", slug)
    ):
        row = await connection.fetch_row(INSERT_TENANT, name=name, slug=slug)
    return convert(dict(row or {}), TenantInfo)


async def find_user(connection: TenantConnection, user_id: str) -> User | None:
    """The user, if there is one of that id."""
    row = await connection.fetch_row(FIND_USER, user_id=user_id)
    return None if row is None else convert(dict(row), User)


async def list_users(connection: TenantConnection, *, limit: int) -> list[User]:
    """The first users by id."""
    return [convert(dict(row), User) for row in await connection.fetch(LIST_USERS, limit=limit)]


async def hold_user(connection: TenantConnection, user_id: str) -> bool:
    """Whether there is a user of that id, who then stays until this transaction ends."""
    return await connection.fetch_value(HOLD_USER, user_id=user_id) is not None


async def insert_user(
    connection: TenantConnection, user_id: str, *, email: str | None, name: str | None, role: Role
) -> User:
    """Adds a user. Raises UserExists or TenantNotFound."""
    with refusing(
        users_pkey=UserExists("id", user_id),
        users_tenant_id_email_unique=UserExists("email", email or ""),
        users_tenant_id_fkey=TenantNotFound(connection.tenant_id),
    ):
        row = await connection.fetch_row(INSERT_USER, user_id=user_id, email=email, name=name, role=role.value)
    return convert(dict(row or {}), User)


async def insert_user_if_new(
    connection: TenantConnection, user_id: str, *, email: str | None, name: str | None, role: Role
) -> None:
    """Adds a user unless somebody has the id or the e-mail already. Raises TenantNotFound."""
    with refusing(users_tenant_id_fkey=TenantNotFound(connection.tenant_id)):
        await connection.fetch(INSERT_USER_IF_NEW, user_id=user_id, email=email, name=name, role=role.value)
