"""connect(url) gives a Database, and its tenant(id) a Tenant, whose methods are the functions of `services`."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import asyncpg

from everyskill import services
from everyskill.database.batched_calls import BatchedCalls
from everyskill.database.connection_shares import ConnectionShares
from everyskill.database.connections import (
    check_revision,
    check_serving,
    open_connection,
    open_pool,
    read_revision,
)
from everyskill.database.feed.limits import DEFAULT_LIMITS, FeedLimits
from everyskill.database.opening import Connect, restarting
from everyskill.database.people import tenant_list
from everyskill.errors import DatabaseNotMigrated, DatabaseUnreachable, EverySkillError, InvalidSetting, MissingExtra
from everyskill.extras import extra
from everyskill.model.comparisons import Comparisons
from everyskill.model.kept_files import DEFAULT_FILE_LIMITS, FileLimits
from everyskill.model.tenants import TenantInfo
from everyskill.services.tenant_scope import TenantScope
from everyskill.settings import DEFAULT_DIFF_LINES, DEFAULT_LOCK_SECONDS, Settings
from everyskill.workers import Workers

if TYPE_CHECKING:
    from everyskill.embedded import EmbeddedServer

EMBEDDED_URL = "embedded:"


class Tenant(TenantScope):
    """One tenant of a database, and the only way to its rows. Costs nothing to make; share it freely among tasks.

    Each method is a function of services/, one file per noun, and is documented there.
    """

    __slots__ = ()

    record_skill_view = services.record_skill_view
    get_user_view = services.get_user_view
    get_user_views_for_skills = services.get_user_views_for_skills
    get_whats_new_for_user = services.get_whats_new_for_user
    get_version_number = services.get_version_number
    count_feedback_since = services.count_feedback_since

    get_updated_skill_ids = services.get_updated_skill_ids
    get_view_states = services.get_view_states
    get_changes = services.get_changes
    get_changes_for_skills = services.get_changes_for_skills
    visit_skill = services.visit_skill
    get_whats_new_page = services.get_whats_new_page
    count_whats_new = services.count_whats_new
    mark_all_seen = services.mark_all_seen

    publish_skill = services.publish_skill
    publish_skills = services.publish_skills
    archive_skill = services.archive_skill
    restore_skill = services.restore_skill
    rename_skill = services.rename_skill
    find_new_slug = services.find_new_slug
    get_skill = services.get_skill
    get_skill_page = services.get_skill_page
    list_skills = services.list_skills
    list_slugs = services.list_slugs
    list_categories = services.list_categories
    list_versions = services.list_versions
    get_version = services.get_version
    compare_versions = services.compare_versions
    list_files = services.list_files
    read_file = services.read_file
    get_archive = services.get_archive
    prune_files = services.prune_files
    add_feedback = services.add_feedback
    list_feedback = services.list_feedback
    get_skill_source = services.get_skill_source
    save_skill_source = services.save_skill_source
    list_sourced_skills = services.list_sourced_skills
    mark_vanished_skills = services.mark_vanished_skills

    create = services.create_tenant
    get = services.get_tenant
    add_user = services.add_user
    admit_user = services.admit_user
    get_user = services.get_user
    get_active_user = services.get_active_user
    list_users = services.list_users
    get_session_generation = services.get_session_generation
    end_sessions = services.end_sessions


class Database:
    """A database of many tenants, open between `async with` and its end."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int,
        queue_size: int,
        keeps_prepared: bool = False,
        lock_timeout: float = DEFAULT_LOCK_SECONDS,
        diff_lines: int = DEFAULT_DIFF_LINES,
        file_limits: FileLimits = DEFAULT_FILE_LIMITS,
        feed_limits: FeedLimits = DEFAULT_LIMITS,
    ) -> None:
        self.url = url
        self._pool_size = pool_size
        self._queue_size = queue_size
        self._lock_timeout = lock_timeout
        self._diff_lines = diff_lines
        self._file_limits = file_limits
        self._keeps_prepared = keeps_prepared
        self._feed_limits = feed_limits
        self._open = AsyncExitStack()
        self._pool: asyncpg.Pool | None = None
        self._url: str
        self._connect: Connect
        self._shares: ConnectionShares
        self._batched: BatchedCalls
        self._comparisons: Comparisons
        self._workers: Workers

    async def __aenter__(self) -> Self:
        if self._pool is not None:
            raise RuntimeError("this database is open already: connect() once more for another")
        async with AsyncExitStack() as opening:
            self._url, self._connect = await opening.enter_async_context(_service(self.url))
            self._pool = await open_pool(
                self._url, size=self._pool_size, connect=self._connect, keeps_prepared=self._keeps_prepared
            )
            opening.push_async_callback(self._pool.close)
            self._shares = ConnectionShares(
                self._pool, size=self._pool_size, queue_size=self._queue_size, call_seconds=self._lock_timeout
            )
            self._comparisons = Comparisons()
            self._batched = BatchedCalls(
                self._shares,
                queue_size=self._queue_size,
                feed_limits=self._feed_limits,
                comparisons=self._comparisons,
            )
            opening.push_async_callback(self._batched.close)
            self._workers = Workers(max_waiting=self._queue_size)
            opening.callback(self._workers.close)
            self._open = opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool = None
        await self._open.aclose()

    def tenant(self, tenant_id: str) -> Tenant:
        """The handle of a tenant. Asks the database nothing. Raises InvalidIdentifier."""
        self._require_open()
        return Tenant(
            self._shares,
            self._batched,
            self._feed_limits,
            self._workers,
            tenant_id,
            comparisons=self._comparisons,
            diff_lines=self._diff_lines,
            file_limits=self._file_limits,
        )

    async def check(self) -> None:
        """Raises the DatabaseNotReady that says why tenants cannot be served just now, if there is a reason.

        On a connection of its own: calls that hold all others say nothing of the database.
        """
        self._require_open()
        async with open_connection(self._url, connect=self._connect) as connection:
            await check_serving(connection)

    def _require_open(self) -> None:
        if self._pool is None:
            raise DatabaseUnreachable("it is not open: use `async with everyskill.connect(…) as database`")


def connect(url: str | None = None) -> Database:
    """A database, to be opened with `async with`.

    `url` is `postgresql://…` with an unprivileged login, or `embedded:///path` for a PostgreSQL of one's own that is
    started, and migrated, on opening and stopped by the last program to leave it. None takes EVERYSKILL_DATABASE_URL,
    else the embedded server in the user's data directory.

    Opening raises a DatabaseNotReady that says why: unreachable, not migrated, too new, an unsafe role.
    Raises InvalidSetting.
    """
    settings = Settings.from_environment()
    chosen = _check_url(url or settings.database_url or EMBEDDED_URL)
    return Database(
        chosen,
        pool_size=settings.pool_size,
        queue_size=settings.queue_size,
        keeps_prepared=settings.pooler == "prepared",
        lock_timeout=settings.lock_timeout,
        diff_lines=settings.diff_lines,
        file_limits=FileLimits(
            file_bytes=settings.file_bytes, skill_files=settings.skill_files, skill_bytes=settings.skill_bytes
        ),
    )


@asynccontextmanager
async def service_url(url: str | None = None) -> AsyncIterator[str]:
    """Where the application connects; starts and migrates the embedded server where asked. None as for connect."""
    chosen = _check_url(url or Settings.from_environment().database_url or EMBEDDED_URL)
    async with _service(chosen) as (address, _):
        yield address


@asynccontextmanager
async def owner_url(url: str | None = None) -> AsyncIterator[str]:
    """Where the owner connects, for migrations and the operator's questions; starts the embedded server where asked.

    None takes EVERYSKILL_OWNER_URL, else EVERYSKILL_DATABASE_URL, else the embedded server.
    """
    async with _operators_url(url, lambda server: server.owner_url) as chosen:
        yield chosen


@asynccontextmanager
async def superuser_url(url: str | None = None) -> AsyncIterator[str]:
    """Where dumps are made and restored: as the superuser of the embedded server. Else the same as owner_url."""
    async with _operators_url(url, lambda server: server.superuser_url) as chosen:
        yield chosen


def own_programs() -> Path | None:
    """The folder of the PostgreSQL programs that come along, pg_dump among them; None where they are not installed."""
    try:
        with extra("embedded"):
            from everyskill.embedded import newest_programs  # noqa: PLC0415 - an extra
        return newest_programs()
    except MissingExtra:
        return None


async def upgrade_server(old: Path, new: Path, *, remove_old: bool, on_step: Callable[[str], None]) -> None:
    """Copies the data folder of an embedded server into a new one of the newest PostgreSQL.

    Raises what `embedded/upgrade.py` does.
    """
    with extra("embedded"):
        from everyskill.embedded.upgrade import upgrade_server as upgrade  # noqa: PLC0415 - an extra
    await asyncio.to_thread(upgrade, old, new, remove_old=remove_old, on_step=on_step)


async def list_tenants(url: str | None = None) -> list[TenantInfo]:
    """All tenants by id, for the operator: the owner, or a member of everyskill_operator.

    Raises MissingPrivilege for any other login.
    """
    async with owner_url(url) as chosen:
        return await tenant_list.list_tenants(chosen)


def _check_url(url: str) -> str:
    if not isinstance(url, str) or not url.startswith(("postgresql://", "postgres://", EMBEDDED_URL)):
        raise InvalidSetting("database URL", "must begin with postgresql:// or embedded:")
    return url


@asynccontextmanager
async def _operators_url(url: str | None, login: "Callable[[EmbeddedServer], str]") -> AsyncIterator[str]:
    settings = Settings.from_environment()
    chosen = _check_url(url or settings.owner_url or settings.database_url or EMBEDDED_URL)
    if _is_embedded(chosen):
        async with _embedded(chosen) as server:
            yield login(server)
    else:
        yield chosen


def _is_embedded(url: str) -> bool:
    return url.startswith(EMBEDDED_URL)


@asynccontextmanager
async def _service(url: str) -> AsyncIterator[tuple[str, Connect]]:
    """Where the application connects, and how: only a server of our own is ever restarted."""
    if not _is_embedded(url):
        yield url, asyncpg.connect
        return
    async with _embedded(url) as server:
        from everyskill.embedded import Restarter  # noqa: PLC0415 - an extra

        await _migrate(server.owner_url)
        yield server.service_url, restarting(Restarter(server).restart)


@asynccontextmanager
async def _embedded(url: str) -> "AsyncIterator[EmbeddedServer]":
    server = await _start(url)
    try:
        yield server
    finally:
        await asyncio.to_thread(server.stop)


async def _start(url: str) -> "EmbeddedServer":
    with extra("embedded"):
        from everyskill.embedded import EmbeddedServer, data_folder  # noqa: PLC0415 - an extra
    given_up = threading.Event()
    starting = asyncio.ensure_future(asyncio.to_thread(EmbeddedServer.start, data_folder(url), given_up=given_up))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # The thread goes on all the same, and nobody else would stop what it starts.
        given_up.set()
        with suppress(EverySkillError):
            await asyncio.to_thread((await starting).stop)
        raise


async def _migrate(url: str) -> None:
    try:
        async with open_connection(url) as connection:
            check_revision(await read_revision(connection))
    except DatabaseNotMigrated:
        # Alembic takes half a second to import, and nearly every start finds nothing to do.
        from everyskill.migrations import upgrade  # noqa: PLC0415

        await upgrade(url)
