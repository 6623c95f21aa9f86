"""Databases for tests on a Citus cluster, migrated, and what an operator would do by hand to distribute one."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from everyskill.database.policies import TENANT_COLUMNS
from everyskill.migrations import upgrade

COORDINATOR_URL = os.environ.get("EVERYSKILL_CITUS_URL", "")
WITHOUT_CITUS = "needs a Citus coordinator: EVERYSKILL_CITUS_URL (docs/scaling.md)"

_NODES = "SELECT nodename, nodeport FROM pg_dist_node ORDER BY groupid"
_FOREIGN_KEYS = """
SELECT conrelid::regclass::text, conname FROM pg_constraint
 WHERE contype = 'f' AND connamespace = 'public'::regnamespace
"""


@dataclass(frozen=True)
class CitusDatabase:
    """A database of a test's own on all nodes: the superuser's login to the coordinator, and the service's."""

    superuser_url: str
    service_url: str


@asynccontextmanager
async def citus_database() -> AsyncIterator[CitusDatabase]:
    """A migrated database whose tables are all on the coordinator still; dropped at the end."""
    name = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(COORDINATOR_URL)
    nodes = [tuple(row) for row in await connection.fetch(_NODES)]
    await connection.close()
    try:
        for node in nodes:
            await _execute(_url(node), f"CREATE DATABASE {name}")
            await _execute(_url(node, database=name), "CREATE EXTENSION citus")
        coordinator, *workers = nodes
        url = _url(coordinator, database=name)
        await _execute(url, "SELECT citus_set_coordinator_host('{}', {})".format(*coordinator))
        for worker in workers:
            await _execute(url, "SELECT citus_add_node('{}', {})".format(*worker))
        await upgrade(url)
        await _execute(url, f"CREATE ROLE {name} LOGIN IN ROLE everyskill_app")
        yield CitusDatabase(url, _url(coordinator, user=name, database=name))
    finally:
        for node in nodes:
            await _execute(_url(node), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            await _execute(_url(node), f"DROP ROLE IF EXISTS {name}")


async def distribute(connection: asyncpg.Connection) -> None:
    """Makes tenants a reference table and distributes the others, without the references: Citus refuses some."""
    for table, key in await connection.fetch(_FOREIGN_KEYS):
        await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {key}")
    await connection.execute(
        "ALTER TABLE user_skill_views DROP CONSTRAINT user_skill_views_pkey, ADD PRIMARY KEY (tenant_id, id);"
        "SET citus.shard_count = 4"
    )
    await connection.execute("SELECT create_reference_table('tenants')")
    for table in TENANT_COLUMNS.keys() - {"tenants"}:
        await connection.execute(f"SELECT create_distributed_table('{table}', 'tenant_id')")


def _url(node: tuple[str, int], *, user: str | None = None, database: str | None = None) -> str:
    parts = urlsplit(COORDINATOR_URL)
    login = parts.netloc.rpartition("@")[0] if user is None else user
    path = parts.path if database is None else f"/{database}"
    return parts._replace(netloc=f"{login}@{node[0]}:{node[1]}", path=path).geturl()


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
