"""A pooler between application and PostgreSQL: calls go through it, and nothing outlives its transaction there."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import asyncpg
import httpx
import pytest

import everyskill
from everyskill import errors
from everyskill.database.connections import open_pool
from everyskill.database.inspection import inspect
from everyskill.database.revisions import REVISIONS
from everyskill.embedded import EmbeddedServer
from everyskill.handles import Tenant, list_tenants
from everyskill.migrations import upgrade
from everyskill.skill_folders import import_skill_folders
from tests.support.databases import Clone, add_tenant
from tests.support.locks import locked_view
from tests.support.pgbouncer import PgBouncer, run_pgbouncer
from tests.support.service_process import start, started
from tests.support.skill_folders import write_skill
from tests.support.skills import is_badged, publish

Bounce = Callable[..., AbstractContextManager[PgBouncer]]
PREPARED = "SELECT count(*) FROM pg_prepared_statements"
HELD = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'"
# What a session may have set: what the pooler sets for its client by itself, and nothing else.
CHANGED = """
SELECT name, setting FROM pg_settings
 WHERE source = 'session'
   AND name NOT IN ('DateStyle', 'TimeZone', 'application_name', 'client_encoding', 'standard_conforming_strings')
"""


@pytest.fixture
def bounce(newest_server: None, server: EmbeddedServer) -> Bounce:
    """Runs a PgBouncer in front of the server, with the settings that it is given."""
    return partial(run_pgbouncer, server)


@pytest.fixture
def narrow(bounce: Bounce) -> Iterator[PgBouncer]:
    """A PgBouncer with a single connection to the server, which all transactions share."""
    with bounce(pool_mode="transaction", default_pool_size=1) as pooler:
        yield pooler


async def visit_in_turns(tenants: list[Tenant]) -> list[str]:
    """Publishes, visits and reads as several tenants at once: which of them saw the badge that they must see."""

    async def visit(tenant: Tenant) -> str | None:
        skill_id = (await publish(tenant)).skill_id
        await asyncio.gather(*(tenant.visit_skill("ann", skill_id) for _ in range(5)))
        await publish(tenant, content="two")
        feed = await tenant.get_whats_new_for_user("ann")
        view = await tenant.get_user_view("ann", skill_id)
        is_right = await is_badged(tenant, "ann", skill_id) and [item.skill_id for item in feed] == [skill_id]
        return tenant.tenant_id if is_right and view and view.view_count == 5 else None

    return [name for name in await asyncio.gather(*map(visit, tenants)) if name]


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_calls_go_through_a_pooler(bounce: Bounce, clone: Clone, mode: str) -> None:
    names = [f"tenant-{number}" for number in range(6)]
    with bounce(pool_mode=mode, server_round_robin=1) as pooler:
        url = pooler.url(clone.direct_url)
        async with everyskill.connect(url) as one, everyskill.connect(url) as other:
            tenants = [await add_tenant((one, other)[number % 2], name) for number, name in enumerate(names)]
            assert await visit_in_turns(tenants) == names


async def test_no_setting_of_a_tenant_outlives_its_transaction(narrow: PgBouncer, clone: Clone) -> None:
    url = narrow.url(clone.direct_url)
    async with everyskill.connect(url) as database:
        acme, globex = await add_tenant(database, "acme"), await add_tenant(database, "globex")
        assert await visit_in_turns([acme, globex]) == ["acme", "globex"]
        with pytest.raises(errors.SkillNotFound):
            await acme.visit_skill("ann", "nothing")
        async with locked_view(clone, "ann"):
            cut_off = asyncio.ensure_future(globex.mark_all_seen("ann", datetime.now(UTC)))
            await asyncio.wait([cut_off], timeout=0.2)
            cut_off.cancel()
            await asyncio.wait([cut_off])
        stranger = await asyncpg.connect(url, statement_cache_size=0)
        for tenant in (acme, globex, acme):
            await tenant.get_whats_new_page("ann")
            assert await stranger.fetchval("SELECT current_setting('app.current_tenant_id', true)") in {None, ""}
            assert await stranger.fetch("SELECT * FROM skills") == []
            assert await stranger.fetch(CHANGED) == []
            assert await stranger.fetchval(HELD) == 0
            assert await stranger.fetchval(PREPARED) == 0
        servers = "SELECT count(*) FROM pg_stat_activity WHERE usename = current_user AND datname = current_database()"
        assert await stranger.fetchval(servers) == 1, "the pooler kept its clients apart"
        await stranger.close()


async def test_statements_are_prepared_by_name_where_no_pooler_is_in_between(narrow: PgBouncer, clone: Clone) -> None:
    for url, is_pooled in ((clone.direct_url, False), (narrow.url(clone.direct_url), True)):
        pool = await open_pool(url, size=3)
        found = await asyncio.gather(*(pool.fetchval(PREPARED) for _ in range(3)))
        assert [count == 0 for count in found] == [is_pooled] * 3
        await pool.close()


async def test_a_pooler_that_keeps_prepared_statements_is_asked_to(
    narrow: PgBouncer, clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERYSKILL_POOLER", "prepared")
    monkeypatch.setenv("EVERYSKILL_POOL_SIZE", "1")
    async with everyskill.connect(narrow.url(clone.direct_url)) as database:
        assert await visit_in_turns([await add_tenant(database, "acme")]) == ["acme"]
    stranger = await asyncpg.connect(narrow.url(clone.direct_url), statement_cache_size=0)
    assert await stranger.fetchval(PREPARED) > 0
    await stranger.close()
    monkeypatch.setenv("EVERYSKILL_POOLER", "maybe")
    with pytest.raises(errors.InvalidSetting, match="EVERYSKILL_POOLER"):
        everyskill.connect("postgresql:///x")


async def test_a_database_is_made_checked_and_filled_through_a_pooler(
    narrow: PgBouncer, empty_clone: Clone, skills_folder: Path
) -> None:
    owner_url, url = narrow.url(empty_clone.owner_url), narrow.url(empty_clone.direct_url)
    assert await upgrade(owner_url) == list(REVISIONS)
    assert await upgrade(owner_url) == []
    assert [finding for finding in await inspect(url) if not finding.ok] == []
    for name in ("a", "b", "c"):
        write_skill(skills_folder, name)
    async with everyskill.connect(url) as database:
        acme = await add_tenant(database, "acme")
        await import_skill_folders(acme, skills_folder)
        assert len((await acme.list_skills()).items) == 3
        await database.check()
    assert [tenant.id for tenant in await list_tenants(owner_url)] == ["acme"]


async def test_the_service_is_ready_behind_a_pooler(narrow: PgBouncer, clone: Clone) -> None:
    process = await start(EVERYSKILL_DATABASE_URL=narrow.url(clone.direct_url), EVERYSKILL_DEMO_SIGN_IN="true")
    service = await started(process)
    async with httpx.AsyncClient(base_url=service.url) as client:
        answers = await asyncio.gather(*(client.get("/health/ready") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await service.stop())[0] == 0
    assert service.errors == []


@pytest.mark.parametrize("settings", [{"pool_mode": "statement"}, {"pool_mode": "transaction", "disable_pqexec": 1}])
async def test_a_pooler_that_keeps_no_transaction_is_refused(
    bounce: Bounce, clone: Clone, settings: dict[str, object]
) -> None:
    with bounce(**settings) as pooler:
        url = pooler.url(clone.direct_url)
        for act in (everyskill.connect(url).__aenter__, partial(inspect, url), partial(upgrade, url)):
            with pytest.raises(errors.DatabaseUnreachable, match="pooler in between refuses transactions"):
                await act()


async def test_a_setting_of_the_session_that_a_pooler_refuses_is_named(narrow: PgBouncer, clone: Clone) -> None:
    with pytest.raises(errors.InvalidSetting, match="statement_timeout"):
        await everyskill.connect(f"{narrow.url(clone.direct_url)}&statement_timeout=9").__aenter__()
