"""What a database holds that a dump does not say: how many rows each table has, and the roles that it is about."""

import asyncpg
from msgspec import Struct

_OURS = r"""
  n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = o.tableoid AND d.objid = o.oid AND d.deptype = 'e')
"""
_TABLES = f"""
SELECT format('%I.%I', n.nspname, o.relname)
  FROM pg_class AS o JOIN pg_namespace AS n ON n.oid = o.relnamespace
 WHERE o.relkind = 'r' AND {_OURS} ORDER BY 1
"""
_ANYTHING = f"""
SELECT format('%I.%I', n.nspname, o.relname)
  FROM pg_class AS o JOIN pg_namespace AS n ON n.oid = o.relnamespace WHERE o.relkind <> 'i' AND {_OURS}
UNION ALL
SELECT format('%I.%I()', n.nspname, o.proname)
  FROM pg_proc AS o JOIN pg_namespace AS n ON n.oid = o.pronamespace WHERE {_OURS}
 LIMIT 1
"""
# Those who own something here or were granted something, and the members of those.
_INVOLVED = """
WITH RECURSIVE involved (oid) AS (
    SELECT d.datdba FROM pg_database AS d WHERE d.datname = current_database()
    UNION
    SELECT s.refobjid FROM pg_shdepend AS s JOIN pg_database AS d ON d.datname = current_database()
     WHERE s.refclassid = 'pg_authid'::regclass
       AND (s.dbid = d.oid OR (s.classid = 'pg_database'::regclass AND s.objid = d.oid))
    UNION
    SELECT m.member FROM pg_auth_members AS m JOIN involved AS i ON m.roleid = i.oid
)
"""
_ROLES = f"""
{_INVOLVED}
SELECT r.rolname, r.rolcanlogin AND NOT r.rolsuper, r.rolcreaterole AND NOT r.rolsuper
  FROM pg_roles AS r JOIN involved USING (oid) WHERE r.rolname !~ '^pg_' ORDER BY 1
"""
# Only memberships that give something: whoever makes a role is since PostgreSQL 16 a member that may only grant it.
_MEMBERSHIPS = f"""
{_INVOLVED}
SELECT r.rolname, u.rolname
  FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid = m.roleid JOIN pg_roles AS u ON u.oid = m.member
 WHERE m.roleid IN (SELECT oid FROM involved) AND NOT u.rolsuper
   AND pg_has_role(m.member, m.roleid, 'USAGE') ORDER BY 1, 2
"""


class Role(Struct, frozen=True):
    """A role as a restore makes it where it is missing: without a password, and never as a superuser."""

    name: str
    login: bool = False
    createrole: bool = False

    def ddl(self) -> str:
        """The statement that creates it."""
        options = f"{'LOGIN' if self.login else 'NOLOGIN'} {'CREATEROLE' if self.createrole else ''}"
        return f"CREATE ROLE {quoted(self.name)} {options}"


class Contents(Struct, frozen=True):
    """What goes with a dump. `counts` has the rows of each table, `memberships` pairs of a role and its member."""

    server: int
    owner: str
    roles: list[Role]
    memberships: list[tuple[str, str]]
    counts: dict[str, int]


async def read_contents(connection: asyncpg.Connection) -> Contents:
    """Counts all rows, as the connection's transaction sees them."""
    owner = "SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()"
    tables = [row[0] for row in await connection.fetch(_TABLES)]
    return Contents(
        server=connection.get_server_version().major,
        owner=await connection.fetchval(owner),
        roles=[Role(*row) for row in await connection.fetch(_ROLES)],
        memberships=[(row[0], row[1]) for row in await connection.fetch(_MEMBERSHIPS)],
        counts={table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables},
    )


async def find_anything(connection: asyncpg.Connection) -> str | None:
    """The name of a relation or a function in the database; None where it is empty."""
    found: str | None = await connection.fetchval(_ANYTHING)
    return found


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'
