"""One tenant never waits for another: not for its locks, not for its connections (S18)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

import everyskill
from everyskill import services
from everyskill.database.connection_shares import ConnectionShares
from everyskill.database.feed.mark_seen import mark_all_seen
from everyskill.database.people.users import find_user
from everyskill.database.places import Patience
from everyskill.database.statements import Statement
from everyskill.database.transactions import TenantConnection, TenantTransactions
from everyskill.database.views.record import RECORD_VIEWS
from everyskill.errors import LockTimeout, TenantExists
from everyskill.handles import Database, Tenant
from everyskill.model import Publication
from tests.support.databases import Clone, add_tenant
from tests.support.locks import locked_view, until_somebody_waits
from tests.support.skills import publish, with_script

NOW = datetime.now(UTC)

# Every call of a tenant that asks or changes something, of globex and while everything of acme is locked.
CALLS: dict[str, Callable[[Tenant, str], Awaitable[Any]]] = {
    "record_skill_view": lambda t, s: t.record_skill_view("ann", s, 1),
    "visit_skill": lambda t, s: t.visit_skill("ann", s),
    "get_user_view": lambda t, s: t.get_user_view("ann", s),
    "get_user_views_for_skills": lambda t, s: t.get_user_views_for_skills("ann", [s]),
    "get_updated_skill_ids": lambda t, s: t.get_updated_skill_ids("ann", [s]),
    "get_view_states": lambda t, s: t.get_view_states("ann", [s]),
    "get_changes": lambda t, s: t.get_changes("ann", s),
    "get_changes_for_skills": lambda t, s: t.get_changes_for_skills("ann", [s]),
    "get_whats_new_for_user": lambda t, s: t.get_whats_new_for_user("ann"),
    "get_whats_new_page": lambda t, s: t.get_whats_new_page("ann"),
    "count_whats_new": lambda t, s: t.count_whats_new("ann"),
    "mark_all_seen": lambda t, s: t.mark_all_seen("ann", datetime.now(UTC)),
    "get_version_number": lambda t, s: t.get_version_number("x"),
    "count_feedback_since": lambda t, s: t.count_feedback_since(s, NOW),
    "add_feedback": lambda t, s: t.add_feedback(s, comment="x", user_id="ann"),
    "publish_skill": lambda t, s: publish(t, content=str(datetime.now(UTC)), author_id="bob"),
    "publish_skills": lambda t, s: t.publish_skills([with_script(f"echo {datetime.now(UTC)}\n", slug="new")]),
    "get_version": lambda t, s: t.get_version("pdf", 1),
    "list_files": lambda t, s: t.list_files("pdf"),
    "read_file": lambda t, s: t.read_file("pdf", "SKILL.md"),
    "get_archive": lambda t, s: t.get_archive("pdf"),
    "prune_files": lambda t, s: t.prune_files(),
    "list_slugs": lambda t, s: t.list_slugs(),
    "get_skill_source": lambda t, s: t.get_skill_source("here"),
    "save_skill_source": lambda t, s: t.save_skill_source("here"),
    "list_sourced_skills": lambda t, s: t.list_sourced_skills(),
    "mark_vanished_skills": lambda t, s: t.mark_vanished_skills("here", ["pdf"]),
    "archive and restore": lambda t, s: archive_and_restore(t),
    "rename_skill": lambda t, s: rename_another(t),
    "find_new_slug": lambda t, s: t.find_new_slug("pdf"),
    "list_feedback": lambda t, s: t.list_feedback("pdf"),
    "get_skill": lambda t, s: t.get_skill("pdf"),
    "get_skill_page": lambda t, s: t.get_skill_page("ann", "pdf"),
    "list_skills": lambda t, s: t.list_skills("ann"),
    "list_categories": lambda t, s: t.list_categories(),
    "list_versions": lambda t, s: t.list_versions("pdf"),
    "compare_versions": lambda t, s: t.compare_versions("pdf", 1, 1),
    "create_tenant": lambda t, s: create_again(t),
    "get_tenant": lambda t, s: t.get(),
    "add_user": lambda t, s: t.add_user(str(uuid4())),
    "get_user": lambda t, s: t.get_user("ann"),
    "get_active_user": lambda t, s: t.get_active_user("ann"),
    "admit_user": lambda t, s: t.admit_user("ann"),
    "list_users": lambda t, s: t.list_users(),
    "get_session_generation": lambda t, s: t.get_session_generation("ann"),
    "end_sessions": lambda t, s: t.end_sessions("ann"),
}
# What waits for a lock of acme's rows.
WAITING = ("record_skill_view", "visit_skill", "mark_all_seen", "publish_skill", "archive and restore")


async def rename_another(tenant: Tenant) -> None:
    published = await publish(tenant, f"skill-{uuid4()}")
    await tenant.rename_skill(published.slug, f"renamed-{uuid4()}")


async def create_again(tenant: Tenant) -> None:
    with pytest.raises(TenantExists):
        await tenant.create("Again")


async def archive_and_restore(tenant: Tenant) -> None:
    await publish(tenant, "other")
    await tenant.archive_skill("other")
    await tenant.restore_skill("other")


def test_s18_is_held_for_every_call() -> None:
    assert set(services.__all__) == CALLS.keys() - {"archive and restore"} | {"archive_skill", "restore_skill"}


@pytest.fixture
async def skills(acme: Tenant, globex: Tenant) -> dict[str, Publication]:
    """A skill of each tenant that ann and bob have seen."""
    found = {}
    for tenant in (acme, globex):
        found[tenant.tenant_id] = await publish(tenant)
        await publish(tenant, "other")
        for user_id in ("ann", "bob"):
            await tenant.visit_skill(user_id, found[tenant.tenant_id].skill_id)
        await publish(tenant, content="two")
    return found


@pytest.fixture
async def stuck(acme: Tenant, skills: dict[str, Publication], clone: Clone) -> AsyncIterator[list["asyncio.Task[Any]"]]:
    """All rows of acme are locked, and more of its calls wait for them than there are connections."""
    holder = await asyncpg.connect(clone.superuser_url)
    transaction = holder.transaction()
    await transaction.start()
    for table in ("user_skill_views", "skills", "feed_checkpoints"):
        await holder.execute(f"SELECT FROM {table} WHERE tenant_id = 'acme' FOR UPDATE")
    skill_id = skills["acme"].skill_id
    tasks = [asyncio.ensure_future(CALLS[name](acme, skill_id)) for _ in range(8) for name in WAITING]
    await until_somebody_waits(clone)
    yield tasks
    await transaction.rollback()
    await holder.close()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("name", CALLS)
async def test_s18_no_call_waits_for_the_locks_of_another_tenant(
    globex: Tenant, skills: dict[str, Publication], stuck: list["asyncio.Task[Any]"], name: str
) -> None:
    async with asyncio.timeout(15):
        for _ in range(5):
            await CALLS[name](globex, skills["globex"].skill_id)
        await asyncio.gather(*(CALLS[name](globex, skills["globex"].skill_id) for _ in range(5)))
    assert not any(task.done() for task in stuck), "the lock was released too early"


@pytest.fixture
async def many_stuck(database: Database, clone: Clone) -> AsyncIterator[list["asyncio.Task[Any]"]]:
    """All rows of six tenants and the order of their moments are locked, and their callers ask on and on."""
    tenants = []
    for number in range(6):
        tenant = await add_tenant(database, f"stuck-{number}")
        tenants.append((tenant, (await publish(tenant)).skill_id))
        for user_id in ("ann", "bob"):
            await tenant.visit_skill(user_id, tenants[-1][1])
        await publish(tenant, content="two")
    holder = await asyncpg.connect(clone.superuser_url)
    transaction = holder.transaction()
    await transaction.start()
    for table in ("user_skill_views", "skills", "feed_checkpoints"):
        await holder.execute(f"SELECT FROM {table} WHERE tenant_id LIKE 'stuck-%' FOR UPDATE")
    for tenant, _ in tenants:
        name = f"everyskill:visible_at:{tenant.tenant_id}"
        await holder.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name)
    tasks: list[asyncio.Task[Any]] = []

    async def ask_on() -> None:
        for _ in range(50):
            for name in WAITING:
                tasks.extend(asyncio.ensure_future(CALLS[name](tenant, skill_id)) for tenant, skill_id in tenants)
                await asyncio.sleep(0.02)

    asking = asyncio.ensure_future(ask_on())
    await until_somebody_waits(clone)
    yield tasks
    asking.cancel()
    await transaction.rollback()
    await holder.close()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_s18_however_many_tenants_are_stuck_every_call_of_another_goes_on(
    globex: Tenant, skills: dict[str, Publication], many_stuck: list["asyncio.Task[Any]"]
) -> None:
    async with asyncio.timeout(25):
        for call in CALLS.values():
            await call(globex, skills["globex"].skill_id)
            await asyncio.gather(*(call(globex, skills["globex"].skill_id) for _ in range(5)))
    assert not any(task.done() for task in many_stuck), "the locks were released too early"


async def test_s18_where_sixty_tenants_get_stuck_at_once_another_waits_for_none_of_their_tries(
    database: Database, acme: Tenant, clone: Clone, queries: list[str]
) -> None:
    skill_id = (await publish(acme)).skill_id
    await acme.visit_skill("ann", skill_id)
    tenants = [await add_tenant(database, f"stuck-{number:02}") for number in range(60)]
    skills = [(await publish(tenant)).skill_id for tenant in tenants]
    await asyncio.gather(*(tenant.visit_skill("ann", skill) for tenant, skill in zip(tenants, skills, strict=True)))
    async with locked_view(clone, "ann", "stuck-%"):
        queries.clear()
        asked = zip(tenants, skills, strict=True)
        theirs = [asyncio.ensure_future(tenant.record_skill_view("ann", skill, 1)) for tenant, skill in asked]
        await asyncio.sleep(0)
        await acme.record_skill_view("ann", skill_id, 1)
        assert queries.count(RECORD_VIEWS.text) < 60, "each of them was tried before"
        assert not any(task.done() for task in theirs)
    async with asyncio.timeout(20):
        await asyncio.gather(*theirs)


async def test_a_question_behind_a_locked_table_ends_at_its_deadline(
    database: Database, acme: Tenant, owner: asyncpg.Connection
) -> None:
    assert database._pool is not None
    shares = ConnectionShares(database._pool, size=10, queue_size=10, call_seconds=0.2)
    async with owner.transaction():
        await owner.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(LockTimeout):
            async with asyncio.timeout(20), TenantTransactions(shares, "acme").read() as connection:
                await find_user(connection, "ann")


async def test_a_question_that_meets_no_lock_takes_as_long_as_it_takes(database: Database, acme: Tenant) -> None:
    assert database._pool is not None
    shares = ConnectionShares(database._pool, size=10, queue_size=10, call_seconds=0.1)
    slow = Statement("SELECT :tenant_id::text FROM pg_sleep(0.3)")
    async with TenantTransactions(shares, "acme").read() as connection:
        assert await connection.fetch_value(slow) == "acme"


async def test_s18_a_tenant_whose_lock_is_released_goes_on_while_others_are_stuck(
    globex: Tenant, skills: dict[str, Publication], many_stuck: list["asyncio.Task[Any]"], clone: Clone
) -> None:
    holder = await asyncpg.connect(clone.superuser_url)
    async with holder.transaction():
        for table in ("user_skill_views", "skills"):
            await holder.execute(f"SELECT FROM {table} WHERE tenant_id = 'globex' FOR UPDATE")
        ours = [asyncio.ensure_future(CALLS[name](globex, skills["globex"].skill_id)) for name in WAITING]
        await asyncio.wait(ours, timeout=0.5)
        assert not any(task.done() for task in ours)
    async with asyncio.timeout(20):
        await asyncio.gather(*ours)
    assert not any(task.done() for task in many_stuck), "the locks were released too early"
    await holder.close()


async def test_s18_no_call_waits_for_all_that_another_tenant_asks_at_once(acme: Tenant, globex: Tenant) -> None:
    asked = [asyncio.ensure_future(acme.list_skills("ann")) for _ in range(1_000)]
    await asyncio.sleep(0)
    await globex.get_user("ann")
    assert sum(task.done() for task in asked) < 500
    await asyncio.gather(*asked)


async def test_s18_the_calls_of_one_tenant_wait_in_a_quarter_of_the_connections(
    database: Database, acme: Tenant, globex: Tenant
) -> None:
    assert database._pool is not None
    shares = ConnectionShares(database._pool, size=10, queue_size=10)
    patience = Patience(1_000, "wait", asyncio.get_running_loop().time() + 0.5)
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(shares.connection("acme", patience))
        await held.enter_async_context(shares.connection("globex", patience))
        with pytest.raises(LockTimeout):
            await held.enter_async_context(shares.connection("acme", patience))


async def test_s18_readiness_does_not_wait_for_the_calls_of_a_tenant(
    database: Database, stuck: list["asyncio.Task[Any]"]
) -> None:
    async with asyncio.timeout(10):
        await database.check()
    assert not any(task.done() for task in stuck)


async def test_what_waited_for_locks_is_done_once_they_are_released(
    acme: Tenant, skills: dict[str, Publication], clone: Clone
) -> None:
    skill_id = skills["acme"].skill_id
    async with locked_view(clone, "ann"):
        tasks = [asyncio.ensure_future(acme.record_skill_view("ann", skill_id, 1)) for _ in range(30)]
        await until_somebody_waits(clone)
        await acme.record_skill_view("bob", skill_id, 1)
        assert not any(task.done() for task in tasks)
    await asyncio.gather(*tasks)
    view = await acme.get_user_view("ann", skill_id)
    assert view is not None
    assert view.view_count == 1 + 30


async def test_s18_a_publication_that_waits_for_its_author_holds_up_no_list(acme: Tenant, clone: Clone) -> None:
    skill = await publish(acme)
    for user_id in ("ann", "bob"):
        await acme.visit_skill(user_id, skill.skill_id)
    async with locked_view(clone, "bob"):
        publication = asyncio.create_task(publish(acme, content="changed", author_id="bob"))
        await until_somebody_waits(clone)
        async with asyncio.timeout(10):
            assert (await acme.get_whats_new_page("ann")).items == []
            await publish(acme, "another")
        assert not publication.done()
    await publication
    # It was tried, undone and run once more.
    assert len(await acme.list_versions("pdf")) == 2


async def test_s18_a_call_has_one_deadline_for_all_locks_that_it_meets_and_then_has_changed_nothing(
    database: Database, acme: Tenant, skills: dict[str, Publication], clone: Clone
) -> None:
    assert database._pool is not None
    shares = ConnectionShares(database._pool, size=10, queue_size=10, call_seconds=1)

    async def mark_both(connection: TenantConnection) -> None:
        for user_id in ("ann", "bob"):
            await mark_all_seen(connection, user_id, datetime.now(UTC))

    async with locked_view(clone, "bob"):
        async with locked_view(clone, "ann"):
            marking = asyncio.ensure_future(TenantTransactions(shares, "acme").run(mark_both))
            await until_somebody_waits(clone)
        with pytest.raises(LockTimeout):
            async with asyncio.timeout(20):
                await marking
    skill_id = skills["acme"].skill_id
    assert await acme.get_updated_skill_ids("ann", [skill_id]) == {skill_id}
    assert await acme.mark_all_seen("ann", datetime.now(UTC)) == 1


@pytest.mark.parametrize("call", ["batched", "alone", "question"])
async def test_a_call_waits_for_locks_as_long_as_the_operator_lets_it(
    skills: dict[str, Publication],
    clone: Clone,
    owner: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
) -> None:
    monkeypatch.setenv("EVERYSKILL_LOCK_TIMEOUT", "0.2")
    async with everyskill.connect(clone.service_url) as database:
        acme, skill_id = database.tenant("acme"), skills["acme"].skill_id
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "batched": lambda: acme.record_skill_view("ann", skill_id, 1),
            "alone": lambda: acme.mark_all_seen("ann", datetime.now(UTC)),
            "question": lambda: acme.list_skills("ann"),
        }
        async with owner.transaction(), asyncio.timeout(20):
            await owner.execute("LOCK TABLE user_skill_views")
            with pytest.raises(LockTimeout):
                await calls[call]()


async def test_a_call_that_lost_in_a_deadlock_with_somebody_else_is_done_after_it(
    acme: Tenant, skills: dict[str, Publication], owner: asyncpg.Connection, clone: Clone
) -> None:
    await owner.execute(f"ALTER DATABASE {clone.name} SET deadlock_timeout = '10ms'")
    holder = await asyncpg.connect(clone.superuser_url, server_settings={"deadlock_timeout": "1h"})
    holding = holder.transaction()
    await holding.start()
    lock = "SELECT FROM user_skill_views WHERE tenant_id = 'acme' AND user_id = $1 FOR UPDATE"
    await holder.execute(lock, "ann")
    theirs: list[asyncio.Task[Any]] = []
    runs = 0

    async def mark_both(connection: TenantConnection) -> None:
        nonlocal runs
        runs += 1
        await mark_all_seen(connection, "bob", datetime.now(UTC))
        if runs == 2:
            theirs.append(asyncio.ensure_future(holder.execute(lock, "bob")))
            await until_somebody_waits(clone)
        await mark_all_seen(connection, "ann", datetime.now(UTC))

    async with everyskill.connect(clone.service_url) as database, asyncio.timeout(20):
        marking = asyncio.ensure_future(database.tenant("acme")._transactions.run(mark_both))
        while not theirs:  # noqa: ASYNC110 - it happens in PostgreSQL
            await asyncio.sleep(0.01)
        await theirs[0]
        assert not marking.done()
        await holding.rollback()
        await marking
    await holder.close()


async def test_a_lock_that_is_not_released_is_told_by_its_own_error(
    acme: Tenant, skills: dict[str, Publication], clone: Clone
) -> None:
    async with locked_view(clone, "ann"):
        with pytest.raises(LockTimeout) as refused:
            async with acme._transactions.write_at_once() as connection:
                await mark_all_seen(connection, "ann", datetime.now(UTC))
    assert refused.value.code == "lock_timeout"


async def test_a_pool_of_one_connection_serves_all_the_same(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERYSKILL_POOL_SIZE", "1")
    async with everyskill.connect(clone.service_url) as database:
        acme = database.tenant("acme")
        await acme.create("Acme")
        await acme.add_user("ann")
        skill = await publish(acme)
        async with asyncio.timeout(20):
            await asyncio.gather(*(acme.visit_skill("ann", skill.skill_id) for _ in range(10)), acme.list_skills("ann"))
