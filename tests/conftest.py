"""Real servers: the embedded PostgreSQL in each version the wheel carries, and a fresh clone of a database a test."""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from fasteners import InterProcessLock
from litestar import Litestar

from everyskill.database.connections import ANALYZE_NEW_TABLES
from everyskill.database.feed.limits import DEFAULT_LIMITS, FeedLimits
from everyskill.database.opening import PROBE
from everyskill.embedded import EmbeddedServer
from everyskill.handles import Database, Tenant
from everyskill.web.app import create_app
from tests.support.citus import WITHOUT_CITUS
from tests.support.databases import POSTGRES_VERSIONS, Clone, add_tenant, cloned, make_template, open_database
from tests.support.http_clients import AUDIENCE, ISSUER, SECRET, SETTINGS, bearer, client_of
from tests.support.live_service import RunService
from tests.support.moved_clock import MovedClock, server_with_moved_clock
from tests.support.pgbouncer import WITHOUT_PGBOUNCER, PgBouncer, run_pgbouncer
from tests.support.service_process import Service, start, started
from tests.support.skill_folders import WITHOUT_REPOSITORIES

# A shell that runs the tests in the background has SIGINT ignored, and every program under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What a machine may lack, and nothing else is a reason to skip: a test that never runs notices nothing.
KNOWN_SKIPS = frozenset(
    f"Skipped: {reason}"
    for reason in (
        "needs Chromium: apt-get install chromium",
        "needs another PostgreSQL: apt-get install postgresql-15",
        "needs libfaketime: apt-get install libfaketime",
        WITHOUT_CITUS,
        WITHOUT_PGBOUNCER,
        WITHOUT_REPOSITORIES,
        "only root can become another user; the other tests ran as an ordinary one",
        "only root can give a folder to another user",
        "only root needs another user to run the server",
        "the full disk is Linux's /dev/full",
        "this file system takes only UTF-8 names",
        "this system has no useradd",
    )
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option of nox's session `pooler`."""
    parser.addoption("--pooler", action="store_true", help="on the newest PostgreSQL, through a PgBouncer")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails a run in which a test was skipped for a reason that is not on the list."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    for reason in sorted({report.longrepr[2] for report in skipped} - KNOWN_SKIPS):
        assert reporter is not None
        reporter.write_line(f"\nnot in KNOWN_SKIPS of tests/conftest.py: {reason}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def servers_folder(testrun_uid: str) -> Iterator[Path]:
    """Shared by all workers. Not pytest's own folder: as root the server is another user, whom that one shuts out."""
    memory = Path("/dev/shm")
    spacious = memory.is_dir() and shutil.disk_usage(memory).free > 2 * 1024**3
    folder = (memory if spacious else Path(tempfile.gettempdir())) / f"everyskill-tests-{testrun_uid}"
    folder.mkdir(exist_ok=True)
    yield folder
    if not any(folder.glob("**/postmaster.pid")):
        shutil.rmtree(folder, ignore_errors=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests run on each version, those of what speaks to no server itself on the newest alone."""
    if "server" in metafunc.fixturenames:
        only_newest = "newest_server" in metafunc.fixturenames or metafunc.config.getoption("pooler")
        versions = POSTGRES_VERSIONS[:1] if only_newest else POSTGRES_VERSIONS
        metafunc.parametrize("server", versions, ids=lambda version: f"pg{version}", indirect=True, scope="session")


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, servers_folder: Path) -> Iterator[EmbeddedServer]:
    """One server a version, shared by all workers; the last one to leave stops it."""
    with InterProcessLock(servers_folder / f"pg{request.param}.lock"):
        server = EmbeddedServer.start(servers_folder / f"pg{request.param}", postgres_version=request.param)
        asyncio.run(make_template(server))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def pooler(request: pytest.FixtureRequest, server: EmbeddedServer) -> Iterator[PgBouncer | None]:
    """What stands between application and server, with --pooler: each transaction is on another of its connections."""
    if not request.config.getoption("pooler"):
        yield None
        return
    with run_pgbouncer(server, pool_mode="transaction", server_round_robin=1, max_client_conn=1000) as pooler:
        yield pooler


@pytest.fixture
def newest_server() -> None:
    """What speaks to no server itself is tested on one version: `pytest_generate_tests` makes no others."""


@pytest.fixture(scope="session")
def server_of_moved_clock(servers_folder: Path, worker_id: str) -> Iterator[MovedClock]:
    """A server of this worker's own."""
    with server_with_moved_clock(servers_folder / f"clock-{worker_id}") as clock:
        asyncio.run(make_template(clock.server))
        yield clock


@pytest.fixture
def moved_clock(server_of_moved_clock: MovedClock) -> Iterator[MovedClock]:
    """A server whose clock is right at first, and which the test moves."""
    yield server_of_moved_clock
    server_of_moved_clock.set(0)


@pytest.fixture
async def clone(server: EmbeddedServer, pooler: PgBouncer | None) -> AsyncIterator[Clone]:
    """A migrated database of this test's own."""
    async with cloned(server, pooler) as clone:
        yield clone


@pytest.fixture
async def empty_clone(server: EmbeddedServer, pooler: PgBouncer | None) -> AsyncIterator[Clone]:
    """A database in which nothing has been made yet."""
    async with cloned(server, pooler, template="template0") as clone:
        yield clone


@pytest.fixture
async def owner(clone: Clone) -> AsyncIterator[asyncpg.Connection]:
    """The superuser's connection, to stage what no application could and to look at what is really there."""
    connection = await asyncpg.connect(clone.superuser_url)
    yield connection
    await connection.close()


@pytest.fixture
def feed_limits() -> FeedLimits:
    """How much of a feed is looked up and known beforehand; tests of small catalogs take smaller limits."""
    return DEFAULT_LIMITS


@pytest.fixture
async def database(clone: Clone, feed_limits: FeedLimits) -> AsyncIterator[Database]:
    """The database as an application opens it: as the unprivileged login."""
    async with open_database(clone.service_url, feed_limits) as database:
        yield database


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that the database was asked, in order; the driver keeps the list."""
    asked: list[str] = []
    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        original = getattr(asyncpg.Connection, name)

        def noting(self: Any, query: str, *rest: Any, _original: Any = original, **more: Any) -> Any:
            # Sent once a second or once a connection, and not by what is under test.
            if query != ANALYZE_NEW_TABLES and not query.startswith(PROBE):
                asked.append(query)
            return _original(self, query, *rest, **more)

        monkeypatch.setattr(asyncpg.Connection, name, noting)
    return asked


@pytest.fixture
async def acme(database: Database) -> Tenant:
    """A tenant with two users, ann and bob."""
    return await add_tenant(database, "acme")


@pytest.fixture
async def globex(database: Database) -> Tenant:
    """The tenant next door, with users of the same ids."""
    return await add_tenant(database, "globex")


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
async def run_service(newest_server: None, clone: Clone) -> AsyncIterator[RunService]:
    """Starts a service with settings by their names in lower case: `await run_service(busy_limit=4)`."""
    running: list[Service] = []

    async def run(*, max_files: int | None = None, **settings: object) -> Service:
        if "jwks_url" not in settings:
            settings["jwt_secret"] = SECRET
        named = {f"EVERYSKILL_{name.upper()}": str(value) for name, value in settings.items()}
        process = await start(
            max_files=max_files,
            EVERYSKILL_DATABASE_URL=clone.service_url,
            EVERYSKILL_JWT_ISSUER=ISSUER,
            EVERYSKILL_JWT_AUDIENCE=AUDIENCE,
            **named,
        )
        running.append(await started(process))
        return running[-1]

    yield run
    for service in running:
        await service.kill()


@pytest.fixture
async def service(run_service: RunService) -> Service:
    """The HTTP service as a process of its own."""
    return await run_service()


@pytest.fixture
def skills_folder(tmp_path: Path) -> Path:
    """An empty folder for SKILL.md folders."""
    folder = tmp_path / "skills"
    folder.mkdir()
    return folder
