"""Real servers: the embedded PostgreSQL in each version the wheel carries, and a fresh clone of a database a test."""

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from fasteners import InterProcessLock
from litestar import Litestar

import everyskill
from everyskill.database.embedded import EmbeddedServer
from everyskill.handles import Database, Tenant
from everyskill.migrations import upgrade
from everyskill.web.app import create_app
from tests.callers import SETTINGS, bearer, client_of

VERSIONS = [18, 16]
TEMPLATE = "everyskill_template"

# Safety against power cuts is not what these tests are about, and it is most of what a commit costs.
FAST = ["fsync = off", "full_page_writes = off", "max_connections = 300"]

_numbers = itertools.count()

# A shell that runs the tests in the background has SIGINT ignored, and every program under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Clone:
    """A database of a test's own, and the logins to it."""

    name: str
    server: EmbeddedServer
    version: int

    @property
    def service_url(self) -> str:
        return self._at(self.server.service_url)

    @property
    def owner_url(self) -> str:
        return self._at(self.server.owner_url)

    @property
    def superuser_url(self) -> str:
        return self._at(self.server.superuser_url)

    def _at(self, url: str) -> str:
        return url.replace("/everyskill?", f"/{self.name}?")


@pytest.fixture(scope="session")
def servers_folder(testrun_uid: str) -> Iterator[Path]:
    """Shared by all workers. Not pytest's own folder: as root the server is another user, whom that one shuts out."""
    memory = Path("/dev/shm")
    spacious = memory.is_dir() and shutil.disk_usage(memory).free > 2 * 1024**3
    folder = (memory if spacious else Path(tempfile.gettempdir())) / f"everyskill-tests-{testrun_uid}"
    folder.mkdir(exist_ok=True)
    yield folder
    if not any(folder.glob("*/postmaster.pid")):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", params=VERSIONS, ids=lambda version: f"pg{version}")
def server(request: pytest.FixtureRequest, servers_folder: Path) -> Iterator[EmbeddedServer]:
    """One server a version, shared by all workers; the last one to leave stops it."""
    with InterProcessLock(servers_folder / f"pg{request.param}.lock"):
        server = EmbeddedServer.start(servers_folder / f"pg{request.param}", postgres_version=request.param)
        asyncio.run(_prepare(server))
    yield server
    server.stop()


async def _prepare(server: EmbeddedServer) -> None:
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


@pytest.fixture
def newest_server(request: pytest.FixtureRequest) -> None:
    """What speaks to no server itself is tested on one version."""
    if request.node.callspec.params["server"] != VERSIONS[0]:
        pytest.skip("tested on the newest server")


@contextlib.asynccontextmanager
async def cloned(server: EmbeddedServer, template: str = TEMPLATE) -> AsyncIterator[Clone]:
    """A copy of the migrated database, dropped at the end."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(server.superuser_url)
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER everyskill_owner")
        yield Clone(name, server, admin.get_server_version().major)
    finally:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.close()


@pytest.fixture
async def clone(server: EmbeddedServer) -> AsyncIterator[Clone]:
    """A migrated database of this test's own."""
    async with cloned(server) as clone:
        yield clone


@pytest.fixture
async def empty_clone(server: EmbeddedServer) -> AsyncIterator[Clone]:
    """A database in which nothing has been made yet."""
    async with cloned(server, template="template0") as clone:
        yield clone


@pytest.fixture
async def owner(clone: Clone) -> AsyncIterator[asyncpg.Connection]:
    """The superuser's connection, to stage what no application could and to look at what is really there."""
    connection = await asyncpg.connect(clone.superuser_url)
    yield connection
    await connection.close()


@pytest.fixture
async def database(clone: Clone) -> AsyncIterator[Database]:
    """The database as an application opens it: as the unprivileged login."""
    async with everyskill.connect(clone.service_url) as database:
        yield database


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that the database was asked, in order; the driver keeps the list."""
    asked: list[str] = []
    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        original = getattr(asyncpg.Connection, name)

        def noting(self: Any, query: str, *rest: Any, _original: Any = original, **more: Any) -> Any:
            asked.append(query)
            return _original(self, query, *rest, **more)

        monkeypatch.setattr(asyncpg.Connection, name, noting)
    return asked


@pytest.fixture
async def acme(database: Database) -> Tenant:
    """A tenant with two users, ann and bob."""
    return await settle(database, "acme")


@pytest.fixture
async def globex(database: Database) -> Tenant:
    """The tenant next door, with users of the same ids."""
    return await settle(database, "globex")


async def settle(database: Database, tenant_id: str) -> Tenant:
    """Adds a tenant with its users ann and bob."""
    tenant = database.tenant(tenant_id)
    await tenant.create(tenant_id.title())
    for user_id in ("ann", "bob"):
        await tenant.add_user(user_id)
    return tenant


@pytest.fixture
def app(newest_server: None, database: Database, acme: Tenant) -> Litestar:
    """The HTTP service on a database with the tenant acme."""
    return create_app(database, SETTINGS)


@pytest.fixture
async def ann(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sends the token of ann of acme."""
    async with client_of(app, bearer()) as client:
        yield client


@pytest.fixture
async def admin(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sends the token of bob of acme, an admin."""
    async with client_of(app, bearer("bob", role="admin")) as client:
        yield client


@pytest.fixture
def skills_folder(tmp_path: Path) -> Path:
    """An empty folder for SKILL.md folders."""
    folder = tmp_path / "skills"
    folder.mkdir()
    return folder
