"""Asks about the users of a tenant, adds them, and ends their sessions."""

from everyskill.database.statements import Statement, read_row, read_rows
from everyskill.database.transactions import TenantConnection, translate_constraint_errors
from everyskill.errors import TenantNotFound, UserExists
from everyskill.model.tenants import Role, User

_COLUMNS = "u.id, u.email, u.name, u.role, u.created_at, u.updated_at"

# A user, by users_pkey.
FIND_USER = Statement(f"SELECT {_COLUMNS} FROM users AS u WHERE u.tenant_id = :tenant_id AND u.id = :user_id")

# The first users by id, along users_pkey.
LIST_USERS = Statement(f"SELECT {_COLUMNS} FROM users AS u WHERE u.tenant_id = :tenant_id ORDER BY u.id LIMIT :limit")

# Keeps a user from being deleted until the transaction ends, by users_pkey.
LOCK_USER = Statement("""
    SELECT u.id FROM users AS u WHERE u.tenant_id = :tenant_id AND u.id = :user_id FOR KEY SHARE
""")

_INSERT = """
    INSERT INTO users AS u (tenant_id, id, email, name, role) VALUES (:tenant_id, :user_id, :email, :name, :role)
"""

# Adds a user; users_pkey and users_tenant_id_email_unique refuse a second one.
INSERT_USER = Statement(f"{_INSERT} RETURNING {_COLUMNS}")

# The same, or nothing: whoever has the id or the e-mail address keeps it.
INSERT_USER_IF_NEW = Statement(f"{_INSERT} ON CONFLICT DO NOTHING")

# The generation that the sessions of a user must have, by users_pkey.
FIND_SESSION_GENERATION = Statement("""
    SELECT u.session_generation FROM users AS u WHERE u.tenant_id = :tenant_id AND u.id = :user_id
""")

# Ends the sessions of a user by giving those to come the next generation, by users_pkey.
END_SESSIONS = Statement("""
    UPDATE users AS u SET session_generation = u.session_generation + 1
     WHERE u.tenant_id = :tenant_id AND u.id = :user_id
    RETURNING u.session_generation
""")


async def find_user(connection: TenantConnection, user_id: str) -> User | None:
    """The user, if there is one of that id."""
    return read_row(await connection.fetch_row(FIND_USER, user_id=user_id), User)


async def list_users(connection: TenantConnection, *, limit: int) -> list[User]:
    """The first users by id."""
    return read_rows(await connection.fetch(LIST_USERS, limit=limit), User)


async def lock_user(connection: TenantConnection, user_id: str) -> bool:
    """Whether there is a user of that id, who then stays until this transaction ends."""
    return await connection.fetch_value(LOCK_USER, user_id=user_id) is not None


async def insert_user(
    connection: TenantConnection, user_id: str, *, email: str | None, name: str | None, role: Role
) -> User:
    """Adds a user. Raises UserExists or TenantNotFound."""
    with translate_constraint_errors(
        users_pkey=UserExists("id", user_id),
        users_tenant_id_email_unique=UserExists("email", email or ""),
        users_tenant_id_fkey=TenantNotFound(connection.tenant_id),
    ):
        rows = await connection.fetch(INSERT_USER, user_id=user_id, email=email, name=name, role=role.value)
    [user] = read_rows(rows, User)
    return user


async def insert_user_if_new(
    connection: TenantConnection, user_id: str, *, email: str | None, name: str | None, role: Role
) -> None:
    """Adds a user unless somebody has the id or the e-mail already. Raises TenantNotFound."""
    with translate_constraint_errors(users_tenant_id_fkey=TenantNotFound(connection.tenant_id)):
        await connection.execute(INSERT_USER_IF_NEW, user_id=user_id, email=email, name=name, role=role.value)


async def find_session_generation(connection: TenantConnection, user_id: str) -> int | None:
    """The generation of sessions opened now; None where there is no such user."""
    generation: int | None = await connection.fetch_value(FIND_SESSION_GENERATION, user_id=user_id)
    return generation


async def end_sessions(connection: TenantConnection, user_id: str) -> int | None:
    """Ends all sessions of the user, and gives the generation of those to come; None where there is no such user."""
    generation: int | None = await connection.fetch_value(END_SESSIONS, user_id=user_id)
    return generation
