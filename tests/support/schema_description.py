"""Reads a schema back from PostgreSQL's catalogs, as plain values that compare."""

from typing import Any

import asyncpg

# Triggers and functions are the migrations' alone.
QUESTIONS = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated
          FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
          LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
           AND c.relname <> 'alembic_version'
    """,
    "indexes": """
        SELECT indexname, indexdef FROM pg_indexes
         WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
         WHERE connamespace = 'public'::regnamespace AND contype NOT IN ('n', 't')
           AND conrelid::regclass::text <> 'alembic_version'
    """,
    "policies": """
        SELECT tablename, policyname, permissive, roles::text, cmd, qual, with_check FROM pg_policies
    """,
    "tables": """
        SELECT relname, relrowsecurity, relforcerowsecurity, reloptions FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
    """,
    "grants": """
        SELECT c.relname, a.grantee::regrole::text, a.privilege_type
          FROM pg_class AS c, aclexplode(c.relacl) AS a
         WHERE c.relnamespace = 'public'::regnamespace AND a.grantee <> c.relowner
    """,
}


async def describe(connection: asyncpg.Connection) -> dict[str, set[tuple[Any, ...]]]:
    """Everything a schema consists of, by kind."""
    described = {}
    for kind, question in QUESTIONS.items():
        rows = await connection.fetch(question)
        described[kind] = {tuple(tuple(x) if isinstance(x, list) else x for x in row.values()) for row in rows}
    return described
