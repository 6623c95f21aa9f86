"""Databases for tests: a migrated template on each embedded server, clones of it, and tenants with users."""

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from everyskill.database.feed.limits import DEFAULT_LIMITS, FeedLimits
from everyskill.embedded import EmbeddedServer
from everyskill.handles import Database, Tenant
from everyskill.migrations import upgrade
from everyskill.model.kept_files import DEFAULT_FILE_LIMITS, FileLimits
from tests.support.pgbouncer import PgBouncer

POSTGRES_VERSIONS = [18, 16]
TEMPLATE = "everyskill_template"

# Safety against power cuts is not what these tests are about, and it is most of what a commit costs.
FAST = ["fsync = off", "full_page_writes = off", "max_connections = 300"]

# Whoever reads the revision from here on is disconnected in the midst of it.
DISCONNECTING = """
ALTER TABLE alembic_version RENAME TO kept;
CREATE VIEW alembic_version AS SELECT pg_terminate_backend(pg_backend_pid())::text AS version_num;
GRANT SELECT ON alembic_version TO everyskill_app, everyskill_operator
"""

_numbers = itertools.count()


@dataclass(frozen=True)
class Clone:
    """A database of a test's own, and the logins to it."""

    name: str
    server: EmbeddedServer
    version: int
    pooler: PgBouncer | None

    @property
    def service_url(self) -> str:
        return self._through(self.direct_url)

    @property
    def direct_url(self) -> str:
        """The service's login for settings of the session, which poolers refuse."""
        return self._at(self.server.service_url)

    @property
    def owner_url(self) -> str:
        return self._through(self._at(self.server.owner_url))

    @property
    def superuser_url(self) -> str:
        return self._at(self.server.superuser_url)

    def _at(self, url: str) -> str:
        return url.replace("/everyskill?", f"/{self.name}?")

    def _through(self, url: str) -> str:
        return url if self.pooler is None else self.pooler.url(url)


async def make_template(server: EmbeddedServer) -> None:
    """Makes the migrated database that all clones are copies of, unless another worker did."""
    admin = await asyncpg.connect(server.superuser_url)
    try:
        if await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", TEMPLATE):
            return
        for setting in FAST:
            await admin.execute(f"ALTER SYSTEM SET {setting}")
        await admin.execute("SELECT pg_reload_conf()")
        await admin.execute(f"CREATE DATABASE {TEMPLATE}_making OWNER everyskill_owner")
        await upgrade(server.owner_url.replace("/everyskill?", f"/{TEMPLATE}_making?"))
        await admin.execute(f"ALTER DATABASE {TEMPLATE}_making RENAME TO {TEMPLATE}")
    finally:
        await admin.close()


@asynccontextmanager
async def cloned(
    server: EmbeddedServer, pooler: PgBouncer | None = None, *, template: str = TEMPLATE
) -> AsyncIterator[Clone]:
    """A copy of the migrated database, dropped at the end. The application and the owner come through the pooler."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(server.superuser_url)
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER everyskill_owner")
        yield Clone(name, server, admin.get_server_version().major, pooler)
    finally:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.close()


def open_database(
    url: str, feed_limits: FeedLimits = DEFAULT_LIMITS, file_limits: FileLimits = DEFAULT_FILE_LIMITS
) -> Database:
    """A database as everyskill.connect makes it, with other limits of feeds and files."""
    return Database(url, pool_size=10, queue_size=10_000, feed_limits=feed_limits, file_limits=file_limits)


async def add_tenant(database: Database, tenant_id: str) -> Tenant:
    """Adds a tenant with its users ann and bob."""
    tenant = database.tenant(tenant_id)
    await tenant.create(tenant_id.title())
    for user_id in ("ann", "bob"):
        await tenant.add_user(user_id)
    return tenant
