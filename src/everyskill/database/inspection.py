"""Inspects a database that is to serve: are policies, grants and triggers there as wanted, and are tenants isolated?"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
from msgspec import Struct

from everyskill.database.connections import check_revision, check_serving, open_connection, read_revision
from everyskill.database.policies import (
    APP_ROLE,
    DEFINER_FUNCTIONS,
    FOREIGN_KEYS,
    GRANTS,
    OPERATOR_ROLE,
    POLICIES,
    TENANT_COLUMNS,
    TENANT_SETTING,
    TRIGGERS,
    Grant,
    Policy,
)
from everyskill.errors import DatabaseNotReady

_TABLES = """
SELECT relname FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relname = ANY($1) AND relrowsecurity AND relforcerowsecurity
"""
_POLICIES = """
SELECT tablename, policyname, permissive = 'PERMISSIVE', array_to_string(roles, ','), cmd, qual, with_check
  FROM pg_policies WHERE schemaname = 'public'
"""
_GRANTS = """
SELECT c.relname, a.grantee::regrole::text, a.privilege_type
  FROM pg_class AS c, aclexplode(c.relacl) AS a
 WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = ANY($1::regrole[])
"""
# Those that fire for a session as it is by default.
_TRIGGERS = """
SELECT t.tgname, c.relname
  FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
 WHERE c.relnamespace = 'public'::regnamespace AND t.tgenabled IN ('O', 'A')
"""
# Tables with rows on other nodes, whose triggers lock there. Those that Citus keeps on the coordinator are of method n
# and have no colocation. The catalog comes with the extension.
_DISTRIBUTED = """
SELECT c.relname FROM pg_catalog.pg_dist_partition AS p JOIN pg_class AS c ON c.oid = p.logicalrelid
 WHERE c.relnamespace = 'public'::regnamespace AND (p.partmethod <> 'n' OR p.colocationid <> 0)
"""
# What the login may do itself, or as any role that it may become, with our tables, views of them and views of those: by
# PUBLIC, by columns, by PostgreSQL's own roles too. `aclexplode(acldefault)` lists the privileges that this server has.
_PRIVILEGES = """
WITH RECURSIVE roles AS (SELECT oid FROM pg_roles WHERE pg_has_role(session_user, oid, 'MEMBER')),
ours (oid) AS (
    SELECT to_regclass(name)::oid FROM unnest($1::text[]) AS name
    UNION
    SELECT v.oid
      FROM ours AS o
      JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = o.oid
      JOIN pg_rewrite AS w ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
      JOIN pg_class AS v ON v.oid = w.ev_class AND v.relkind IN ('v', 'm')
)
SELECT c.relname, session_user::text, p.privilege_type
  FROM pg_class AS c JOIN ours USING (oid), aclexplode(acldefault('r', c.relowner)) AS p
 WHERE EXISTS (SELECT FROM roles AS r
              WHERE CASE WHEN p.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
                         THEN has_any_column_privilege(r.oid, c.oid, p.privilege_type)
                         ELSE has_table_privilege(r.oid, c.oid, p.privilege_type) END)
UNION ALL
SELECT 'schema public', session_user::text, 'CREATE'
 WHERE EXISTS (SELECT FROM roles AS r WHERE has_schema_privilege(r.oid, 'public', 'CREATE'))
"""
_FOREIGN_KEYS = """
SELECT conrelid::regclass::text, replace(pg_get_constraintdef(oid), 'FOREIGN KEY ', '')
  FROM pg_constraint WHERE contype = 'f' AND conrelid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name)
"""
# Those of owners whom the policies do not hold, or who may change them.
_DEFINER_FUNCTIONS = """
SELECT p.oid::regprocedure || ' ' || coalesce(array_to_string(p.proconfig, ' '), 'without settings')
  FROM pg_proc AS p
 WHERE p.prosecdef AND p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
   AND NOT EXISTS (SELECT FROM pg_depend AS d
                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
   AND EXISTS (SELECT FROM pg_roles AS o JOIN pg_class AS t ON t.oid = 'public.skills'::regclass
                WHERE o.oid = p.proowner AND (o.rolsuper OR o.rolbypassrls OR pg_has_role(o.oid, t.relowner, 'MEMBER')))
   AND EXISTS (SELECT FROM pg_roles AS r
                WHERE pg_has_role(session_user, r.oid, 'MEMBER') AND has_function_privilege(r.oid, p.oid, 'EXECUTE'))
"""
_OUR_TABLES = [f"public.{name}" for name in (*TENANT_COLUMNS, "alembic_version")]
_ENTER = f"SELECT set_config('{TENANT_SETTING}', $1, true)"


class Finding(Struct, frozen=True):
    """One thing that was looked at: what it is, whether it is as it should be, and if not, what is wrong."""

    name: str
    ok: bool
    detail: str = ""


async def inspect(url: str) -> list[Finding]:
    """Checks revision, role, row-level security, policies, privileges, foreign keys, functions and triggers, and tries
    to reach another tenant's rows.

    `url` is that of the login that serves. Nothing is left behind: the canary lives in a transaction that is undone.
    Raises DatabaseUnreachable.
    """
    async with open_connection(url) as connection:
        return await _inspect(connection)


async def inspect_as_member(url: str) -> list[Finding]:
    """The same where `url` is a superuser's: as a role that is only a member of everyskill_app, and never committed."""
    member = f"everyskill_check_{uuid4().hex}"
    async with open_connection(url) as connection, _undone(connection):
        await connection.execute(f"CREATE ROLE {member} IN ROLE {APP_ROLE}; SET SESSION AUTHORIZATION {member}")
        return await _inspect(connection)


async def _inspect(connection: asyncpg.Connection) -> list[Finding]:
    findings = [await _revision(connection), await _role(connection)]
    if all(finding.ok for finding in findings):
        findings += [await _forced(connection), await _policies(connection), await _grants(connection)]
        findings += [await _foreign_keys(connection), await _functions(connection)]
        findings += [await _triggers(connection), await _canary_finding(connection)]
    return findings


async def find_policies(connection: asyncpg.Connection) -> set[Policy]:
    """The policies that stand on the tables of the schema."""
    return {Policy(*row) for row in await connection.fetch(_POLICIES)}


async def find_grants(connection: asyncpg.Connection) -> set[Grant]:
    """What our roles may do with the tables of the schema."""
    return {Grant(*row) for row in await connection.fetch(_GRANTS, [APP_ROLE, OPERATOR_ROLE])}


async def _revision(connection: asyncpg.Connection) -> Finding:
    try:
        async with _undone(connection):
            found = await read_revision(connection)
        check_revision(found)
    except (DatabaseNotReady, asyncpg.InsufficientPrivilegeError) as error:
        return Finding("schema revision", False, str(error))
    return Finding("schema revision", True, found or "")


async def _role(connection: asyncpg.Connection) -> Finding:
    try:
        async with _undone(connection):
            await check_serving(connection)
    except (DatabaseNotReady, asyncpg.InsufficientPrivilegeError) as error:
        return Finding("unprivileged role", False, str(error))
    return Finding("unprivileged role", True, await connection.fetchval("SELECT current_user"))


async def _forced(connection: asyncpg.Connection) -> Finding:
    forced = {row["relname"] for row in await connection.fetch(_TABLES, list(TENANT_COLUMNS))}
    missing = sorted(TENANT_COLUMNS.keys() - forced)
    return Finding("row-level security enabled and forced", not missing, _list("not on", missing))


async def _policies(connection: asyncpg.Connection) -> Finding:
    found = await find_policies(connection)
    wrong = sorted({f"{policy.name} on {policy.table}" for policy in found ^ set(POLICIES)})
    return Finding("policies", not wrong, _list("missing, changed or unknown:", wrong))


async def _grants(connection: asyncpg.Connection) -> Finding:
    held = {Grant(*row) for row in await connection.fetch(_PRIVILEGES, _OUR_TABLES)}
    given = {(grant.table, grant.privilege) for grant in GRANTS if grant.role == APP_ROLE}
    too_many = {grant for grant in held if (grant.table, grant.privilege) not in given}
    differing = (await find_grants(connection) ^ set(GRANTS)) | too_many
    wrong = sorted({f"{grant.privilege} on {grant.table} to {grant.role}" for grant in differing})
    return Finding("grants", not wrong, _list("missing or too many:", wrong))


async def _foreign_keys(connection: asyncpg.Connection) -> Finding:
    found = {f"{table} {key}" for table, key in await connection.fetch(_FOREIGN_KEYS, _OUR_TABLES)}
    wanted = {f"{table} {key}" for table, keys in FOREIGN_KEYS.items() for key in keys}
    return Finding("foreign keys", found == wanted, _list("missing, changed or unknown:", sorted(found ^ wanted)))


async def _functions(connection: asyncpg.Connection) -> Finding:
    found = {row[0] for row in await connection.fetch(_DEFINER_FUNCTIONS)}
    wrong = sorted(found ^ DEFINER_FUNCTIONS)
    return Finding("functions with the owner's privileges", not wrong, _list("missing, changed or unknown:", wrong))


async def _triggers(connection: asyncpg.Connection) -> Finding:
    found = {(name, table) for name, table in await connection.fetch(_TRIGGERS)}
    wrong = sorted(f"{name} on {table}" for name, table in TRIGGERS.items() - found)
    distributed = await _distributed(connection) & set(TRIGGERS.values())
    wrong += [f"every one on {table}, which Citus distributes" for table in sorted(distributed)]
    detail = _list("missing, disabled or not to be relied on:", wrong)
    return Finding("triggers: other programs' changes are noticed", not wrong, detail)


async def _distributed(connection: asyncpg.Connection) -> set[str]:
    if await connection.fetchval("SELECT to_regclass('pg_catalog.pg_dist_partition')") is None:
        return set()
    return {row["relname"] for row in await connection.fetch(_DISTRIBUTED)}


async def _canary_finding(connection: asyncpg.Connection) -> Finding:
    try:
        crossed = ", ".join(await _crossings(connection))
    except asyncpg.PostgresError as error:
        crossed = str(error)
    return Finding("canary: rows of another tenant are out of reach", not crossed, crossed)


async def _crossings(connection: asyncpg.Connection) -> list[str]:
    """Puts a user into one tenant and looks for it from another, from none, and by writing across."""
    ours, theirs = f"canary-{uuid4()}", f"canary-{uuid4()}"
    async with _undone(connection):
        for tenant_id in (ours, theirs):
            await connection.execute(_ENTER, tenant_id)
            await connection.execute("INSERT INTO tenants (id, name, slug) VALUES ($1, 'Canary', $1)", tenant_id)
            await connection.execute("INSERT INTO users (tenant_id, id) VALUES ($1, 'canary')", tenant_id)
        crossed = [
            *([] if await _count(connection, theirs) == 1 else ["own rows cannot be read"]),
            *([] if await _sees_only(connection, theirs) else ["another tenant's rows can be read"]),
            *([] if await _cannot_write(connection, ours) else ["another tenant's rows can be written"]),
        ]
        await connection.execute(_ENTER, "")
        if await connection.fetchval("SELECT count(*) FROM users"):
            crossed.append("rows can be read without a tenant")
    return crossed


async def _count(connection: asyncpg.Connection, tenant_id: str) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM users WHERE tenant_id = $1", tenant_id))


async def _sees_only(connection: asyncpg.Connection, tenant_id: str) -> bool:
    return not await connection.fetchval("SELECT count(*) FROM users WHERE tenant_id <> $1", tenant_id)


async def _cannot_write(connection: asyncpg.Connection, tenant_id: str) -> bool:
    changed = await connection.execute("UPDATE users SET name = 'crossed' WHERE tenant_id = $1", tenant_id)
    try:
        async with _undone(connection):
            await connection.execute("INSERT INTO users (tenant_id, id) VALUES ($1, 'intruder')", tenant_id)
    except asyncpg.InsufficientPrivilegeError:
        return changed == "UPDATE 0"
    return False


@asynccontextmanager
async def _undone(connection: asyncpg.Connection) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        # A connection that is lost has nothing to undo, and the first error says more.
        if not connection.is_closed():
            await transaction.rollback()


def _list(lead: str, names: list[str]) -> str:
    return f"{lead} {', '.join(names)}" if names else ""
