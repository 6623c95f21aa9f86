"""No tenant sees or touches another's rows: in the database by itself, and in the code by itself."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import asyncpg
import pytest

import everyskill.database
from everyskill.database.inspection import inspect, inspect_as_member
from everyskill.database.policies import TENANT_COLUMNS, TRIGGERS
from everyskill.database.statements import Statement
from everyskill.errors import DatabaseUnreachable, EverySkillError
from everyskill.handles import Database, Tenant
from tests.support.databases import Clone, add_tenant
from tests.support.skills import folder, publish

ENTER = "SELECT set_config('app.current_tenant_id', $1, true)"
KEPT = {"tenants", "skill_versions"}
IMMUTABLE = {*KEPT, "skill_file_contents"}
LONG_AGO = datetime.now(UTC) - timedelta(days=365)

each_table = pytest.mark.parametrize("table", TENANT_COLUMNS)


@pytest.fixture
async def neighbours(database: Database, owner: asyncpg.Connection) -> tuple[Tenant, Tenant]:
    """Two tenants with a row in every table, under ids and slugs as equal as the schema allows."""
    tenants = (await add_tenant(database, "acme"), await add_tenant(database, "globex"))
    for tenant in tenants:
        published = await publish(tenant, author_id="ann")
        await tenant.visit_skill("ann", published.skill_id)
        await tenant.add_feedback(published.skill_id, user_id="ann", comment=f"from {tenant.tenant_id}")
        await owner.execute("INSERT INTO feed_checkpoints (tenant_id, user_id) VALUES ($1, 'ann')", tenant.tenant_id)
        await owner.execute("INSERT INTO skill_sources (tenant_id, address) VALUES ($1, 'skills')", tenant.tenant_id)
        await owner.execute(
            "INSERT INTO skill_redirects (tenant_id, slug, skill_id) VALUES ($1, 'old', $2)",
            tenant.tenant_id,
            published.skill_id,
        )
        await owner.execute(
            "INSERT INTO skill_file_contents SELECT $1, encode(sha256($2), 'hex'), true, $2", tenant.tenant_id, b"text"
        )
    return tenants


@pytest.fixture
async def intruder(clone: Clone, neighbours: object) -> AsyncIterator[asyncpg.Connection]:
    """Somebody with the application's login and a SQL prompt."""
    connection = await asyncpg.connect(clone.service_url, statement_cache_size=0)
    yield connection
    await connection.close()


async def rows_of(owner: asyncpg.Connection, table: str, tenant_id: str) -> list[dict[str, Any]]:
    """What is really there, seen past every policy."""
    rows = await owner.fetch(
        f"SELECT to_jsonb(t)::text AS row FROM {table} AS t WHERE {TENANT_COLUMNS[table]} = $1 ORDER BY 1", tenant_id
    )
    return [json.loads(row["row"]) for row in rows]


async def attempt(intruder: asyncpg.Connection, tenant_id: str, statement: str, *arguments: object) -> str:
    """What PostgreSQL answers to a statement in a tenant's transaction of the intruder's own."""
    async with intruder.transaction():
        await intruder.execute(ENTER, tenant_id)
        return await intruder.execute(statement, *arguments)


def insertion(table: str, conflict: str = "") -> str:
    return f"INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, $1::jsonb) {conflict}"


async def test_every_table_of_the_database_is_a_tenant_table(owner: asyncpg.Connection) -> None:
    tables = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {row["tablename"] for row in tables} - {"alembic_version"} == TENANT_COLUMNS.keys()


async def test_the_application_logs_in_without_privileges(intruder: asyncpg.Connection) -> None:
    question = "SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user"
    role = await intruder.fetchrow(question)
    assert role is not None
    assert not any(role)


@each_table
async def test_a_select_sees_the_own_tenant_and_no_other(intruder: asyncpg.Connection, table: str) -> None:
    column = TENANT_COLUMNS[table]
    seen: dict[str | None, set[str]] = {}
    for tenant_id in (None, "", "acme", "globex", "no such tenant"):
        async with intruder.transaction():
            if tenant_id is not None:
                await intruder.execute(ENTER, tenant_id)
            seen[tenant_id] = {row[0] for row in await intruder.fetch(f"SELECT {column} FROM {table}")}
    assert seen == {None: set(), "": set(), "acme": {"acme"}, "globex": {"globex"}, "no such tenant": set()}


@each_table
async def test_the_tenant_ends_with_its_transaction(intruder: asyncpg.Connection, table: str) -> None:
    async with intruder.transaction():
        await intruder.execute(ENTER, "acme")
    assert await intruder.fetch(f"SELECT * FROM {table}") == []


@each_table
@pytest.mark.parametrize("scope", ["", "globex"])
async def test_an_insert_into_another_tenant_is_refused(
    intruder: asyncpg.Connection, owner: asyncpg.Connection, table: str, scope: str
) -> None:
    [row, *_] = await rows_of(owner, table, "acme")
    row |= {"id": "new", "slug": "new", "user_id": "bob", "email": "new@example.org", "version": 99}
    if table == "tenants":
        row["id"] = "initech"
    before = await rows_of(owner, table, row[TENANT_COLUMNS[table]])
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await attempt(intruder, scope, insertion(table), json.dumps(row))
    assert await rows_of(owner, table, row[TENANT_COLUMNS[table]]) == before


@each_table
async def test_an_update_reaches_no_other_tenant(
    intruder: asyncpg.Connection, owner: asyncpg.Connection, table: str
) -> None:
    column = TENANT_COLUMNS[table]
    await expect_nothing_done(intruder, owner, table, f"UPDATE {table} SET {column} = {column} WHERE {column} = 'acme'")


@each_table
async def test_a_delete_reaches_no_other_tenant(
    intruder: asyncpg.Connection, owner: asyncpg.Connection, table: str
) -> None:
    column = TENANT_COLUMNS[table]
    await expect_nothing_done(intruder, owner, table, f"DELETE FROM {table} WHERE {column} = 'acme'")


async def expect_nothing_done(
    intruder: asyncpg.Connection, owner: asyncpg.Connection, table: str, statement: str
) -> None:
    before = await rows_of(owner, table, "acme")
    if table in (KEPT if statement.startswith("DELETE") else IMMUTABLE):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await attempt(intruder, "globex", statement)
    else:
        assert (await attempt(intruder, "globex", statement)).endswith(" 0")
    assert await rows_of(owner, table, "acme") == before


@each_table
async def test_a_row_cannot_be_moved_to_another_tenant(
    intruder: asyncpg.Connection, owner: asyncpg.Connection, table: str
) -> None:
    before = await rows_of(owner, table, "acme")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await attempt(intruder, "acme", f"UPDATE {table} SET {TENANT_COLUMNS[table]} = 'globex'")
    assert await rows_of(owner, table, "acme") == before


@each_table
async def test_an_upsert_onto_another_tenants_row_is_refused(
    intruder: asyncpg.Connection, owner: asyncpg.Connection, table: str
) -> None:
    [row, *_] = before = await rows_of(owner, table, "acme")
    column = TENANT_COLUMNS[table]
    keys = {"tenants": "id", "user_skill_views": "id", "feed_checkpoints": "tenant_id, user_id"}
    keys |= {"skill_file_contents": "tenant_id, hash", "skill_redirects": "tenant_id, slug"}
    keys |= {"skill_sources": "tenant_id, address"}
    key = keys.get(table, "tenant_id, id")
    conflict = f"ON CONFLICT ({key}) DO UPDATE SET {column} = excluded.{column}"
    for stolen in (row, row | {"tenant_id": "globex"} if table == "user_skill_views" else row):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await attempt(intruder, "globex", insertion(table, conflict), json.dumps(stolen))
    assert await rows_of(owner, table, "acme") == before


@pytest.mark.parametrize(
    ("table", "column", "target"),
    [
        ("user_skill_views", "skill_id", "skills"),
        ("skill_feedback", "skill_id", "skills"),
        ("skill_feedback", "skill_version_id", "skill_versions"),
        ("skill_versions", "skill_id", "skills"),
        ("skills", "published_version_id", "skill_versions"),
        ("skills", "successor_id", "skills"),
        ("skill_redirects", "skill_id", "skills"),
    ],
)
async def test_a_reference_to_another_tenants_row_is_like_one_to_nothing(
    intruder: asyncpg.Connection, owner: asyncpg.Connection, table: str, column: str, target: str
) -> None:
    [foreign, *_] = await rows_of(owner, target, "acme")
    [own, *_] = await rows_of(owner, table, "globex")
    own |= {"id": "new", "slug": "new", "version": 99}
    for missing in (foreign["id"], "there is no such thing"):
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await attempt(intruder, "globex", insertion(table), json.dumps(own | {column: missing}))


async def test_a_reference_to_another_tenants_user_is_like_one_to_nobody(
    intruder: asyncpg.Connection, owner: asyncpg.Connection, neighbours: tuple[Tenant, Tenant]
) -> None:
    await neighbours[0].add_user("only-at-acme")
    for table, column in (("user_skill_views", "user_id"), ("skill_feedback", "user_id"), ("skills", "author_id")):
        [own, *_] = await rows_of(owner, table, "globex")
        row = own | {"id": "new", "slug": "new", column: "only-at-acme"}
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await attempt(intruder, "globex", insertion(table), json.dumps(row))


@pytest.mark.parametrize("role", ["everyskill_owner", "postgres"])
async def test_only_the_forced_policies_hold_back_the_owner(clone: Clone, neighbours: object, role: str) -> None:
    connection = await asyncpg.connect(clone.service_url.replace("everyskill_service", role))
    visible = await connection.fetchval("SELECT count(*) FROM user_skill_views")
    await connection.close()
    assert visible == (0 if role == "everyskill_owner" else 2)


# -- the library, with either defence switched off ----------------------------------------------------------------


def statements() -> list[Statement]:
    names = [module.name for module in walk_packages(everyskill.database.__path__, "everyskill.database.")]
    values = [value for name in names for value in vars(import_module(name)).values()]
    return list({id(value): value for value in values if isinstance(value, Statement)}.values())


def without_tenant(text: str) -> str:
    return re.sub(r"\b(?:\w+\.tenant_id|tenants\.id) = (\$\d+)", r"\1::text IS NOT NULL", text)


@pytest.fixture(params=["both", "row-level security alone", "predicates alone"])
async def defence(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, owner: asyncpg.Connection, neighbours: object
) -> str:
    """What still stands between two tenants."""
    if request.param == "row-level security alone":
        stripped = [statement for statement in statements() if without_tenant(statement.text) != statement.text]
        assert len(stripped) >= 20
        for statement in stripped:
            monkeypatch.setattr(statement, "text", without_tenant(statement.text))
    if request.param == "predicates alone":
        for table in TENANT_COLUMNS:
            await owner.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    return str(request.param)


Ask = Callable[[Tenant, dict[str, str]], Awaitable[Any]]


async def admitted(tenant: Tenant, ids: dict[str, str]) -> tuple[Any, ...]:
    """Who is added on first sight, but for the moment of it."""
    user = await tenant.admit_user(ids["user"])
    return user.id, user.email, user.name, user.role


QUESTIONS: dict[str, Ask] = {
    "record_skill_view": lambda t, x: t.record_skill_view("ann", x["skill"], 1),
    "record_skill_view as": lambda t, x: t.record_skill_view(x["user"], x["skill"], 1),
    "get_user_view": lambda t, x: t.get_user_view("ann", x["skill"]),
    "get_user_views_for_skills": lambda t, x: t.get_user_views_for_skills("ann", [x["skill"]]),
    "get_updated_skill_ids": lambda t, x: t.get_updated_skill_ids("ann", [x["skill"]]),
    "get_view_states": lambda t, x: t.get_view_states("ann", [x["skill"]]),
    "get_version_number": lambda t, x: t.get_version_number(x["version"]),
    "count_feedback_since": lambda t, x: t.count_feedback_since(x["skill"], LONG_AGO),
    "get_changes": lambda t, x: t.get_changes("ann", x["skill"]),
    "get_changes_for_skills": lambda t, x: t.get_changes_for_skills("ann", [x["skill"]]),
    "visit_skill": lambda t, x: t.visit_skill("ann", x["skill"]),
    "add_feedback": lambda t, x: t.add_feedback(x["skill"], comment="hello"),
    "get_user": lambda t, x: t.get_user(x["user"]),
    "get_active_user": lambda t, x: t.get_active_user(x["user"]),
    "get_session_generation": lambda t, x: t.get_session_generation(x["user"]),
    "end_sessions": lambda t, x: t.end_sessions(x["user"]),
    "mark_all_seen": lambda t, x: t.mark_all_seen(x["user"], datetime.now(UTC)),
    "get_whats_new_for_user": lambda t, x: t.get_whats_new_for_user(x["user"]),
    "count_whats_new": lambda t, x: t.count_whats_new(x["user"]),
    "get_skill": lambda t, x: t.get_skill(x["slug"]),
    "get_skill by id": lambda t, x: t.get_skill(x["skill"]),
    "get_skill hidden": lambda t, x: t.get_skill(x["slug"], include_hidden=True),
    "get_skill_page": lambda t, x: t.get_skill_page("ann", x["slug"]),
    "list_versions": lambda t, x: t.list_versions(x["skill"]),
    "compare_versions": lambda t, x: t.compare_versions(x["skill"], 1, 1),
    "archive_skill": lambda t, x: t.archive_skill(x["slug"]),
    "restore_skill": lambda t, x: t.restore_skill(x["slug"]),
    "get_version": lambda t, x: t.get_version(x["slug"], 1),
    "list_files": lambda t, x: t.list_files(x["slug"]),
    "read_file": lambda t, x: t.read_file(x["skill"], "SKILL.md"),
    "get_archive": lambda t, x: t.get_archive(x["slug"]),
    "list_slugs": lambda t, x: t.list_slugs(source=x["slug"]),
    "prune_files": lambda t, x: t.prune_files(dry_run=True),
    "publish_skills by": lambda t, x: t.publish_skills([folder("fresh")], author_id=x["user"], dry_run=True),
    "publish_skill by": lambda t, x: publish(t, "fresh", author_id=x["user"]),
    "list_skills": lambda t, x: t.list_skills(x["user"], text=x["slug"]),
    # Last, as from then on the tenant has a user of that id.
    "admit_user": admitted,
}


async def answer(ask: Ask, tenant: Tenant, ids: dict[str, str]) -> str:
    """What a caller learns, with the ids that the caller named taken out."""
    try:
        told = repr(await ask(tenant, ids))
    except EverySkillError as error:
        told = f"{type(error).__name__}: {error}"
    for name, value in ids.items():
        told = told.replace(value, f"<{name}>")
    return told


async def test_s15_what_is_anothers_and_what_is_not_there_give_the_same_answer(
    defence: str, neighbours: tuple[Tenant, Tenant], owner: asyncpg.Connection
) -> None:
    acme, globex = neighbours
    await acme.add_user("only-at-acme")
    published = await publish(acme, "theirs", author_id="only-at-acme")
    [version] = await acme.list_versions("theirs")
    foreign = {
        "user": "only-at-acme",
        "skill": published.skill_id,
        "version": version.id,
        "slug": "theirs",
    }
    missing = {"user": "nobody-at-all", "skill": "nothing", "version": "none", "slug": "not-there-either"}
    before = {table: await rows_of(owner, table, "acme") for table in TENANT_COLUMNS}
    for name, ask in QUESTIONS.items():
        assert await answer(ask, globex, foreign) == await answer(ask, globex, missing), name
    assert {table: await rows_of(owner, table, "acme") for table in TENANT_COLUMNS} == before


async def test_with_both_defences_off_the_same_questions_do_tell_the_difference(
    neighbours: tuple[Tenant, Tenant], owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, globex = neighbours
    published = await publish(acme, "theirs")
    for table in TENANT_COLUMNS:
        await owner.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    for statement in statements():
        monkeypatch.setattr(statement, "text", without_tenant(statement.text))
    assert (await globex.get_skill("theirs")).skill.id == published.skill_id


async def test_equal_ids_and_slugs_in_two_tenants_never_mix(
    defence: str, neighbours: tuple[Tenant, Tenant], owner: asyncpg.Connection
) -> None:
    acme, globex = neighbours
    [view] = await rows_of(owner, "user_skill_views", "globex")
    twin = view | {"id": "twin", "tenant_id": "acme"}
    skill = (await rows_of(owner, "skills", "globex"))[0] | {"tenant_id": "acme", "slug": "twin", "author_id": None}
    version = (await acme.list_versions("pdf"))[0]
    skill |= {"published_version_id": version.id, "published_version": version.version}
    await owner.execute(insertion("skills"), json.dumps(skill))
    await owner.execute(insertion("user_skill_views"), json.dumps(twin))
    before = {table: await rows_of(owner, table, "globex") for table in TENANT_COLUMNS}

    await acme.visit_skill("ann", skill["id"])
    await publish(acme, "twin", "changed", author_id="ann")
    await acme.add_feedback(skill["id"], user_id="ann", comment="about the twin")
    await acme.end_sessions("ann")
    await acme.mark_all_seen("ann", datetime.now(UTC))
    await acme.archive_skill("twin")

    assert {table: await rows_of(owner, table, "globex") for table in TENANT_COLUMNS} == before
    assert await globex.count_feedback_since(skill["id"], LONG_AGO) == 1
    assert (await globex.get_user_view("ann", skill["id"])).view_count == 1  # type: ignore[union-attr]
    assert {item.slug for item in (await globex.list_skills("ann", status=None)).items} == {"pdf"}


# -- the checks notice when a defence is taken away ---------------------------------------------------------------

WEAKENINGS = {
    "a policy is dropped": "DROP POLICY tenant_isolation ON {table}",
    "the other policy is dropped": "DROP POLICY tenant_access ON {table}",
    "force is lifted": "ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
    "row-level security is disabled": "ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    "USING (true) is written": "ALTER POLICY tenant_access ON {table} USING (true)",
    "WITH CHECK (true) is written": "ALTER POLICY tenant_isolation ON {table} WITH CHECK (true)",
    "a policy lets everybody in": "CREATE POLICY open ON {table} USING (true)",
    "a privilege too many is granted": "GRANT TRUNCATE ON {table} TO everyskill_app",
    "it is granted to the login itself": "GRANT TRUNCATE ON {table} TO everyskill_service",
    "it is granted to everybody": "GRANT TRUNCATE ON {table} TO PUBLIC",
}

# What concerns no one table of ours, and what inspection names.
OTHER_WEAKENINGS = {
    "GRANT UPDATE (content) ON skill_versions TO everyskill_app": "UPDATE on skill_versions",
    "GRANT UPDATE, DELETE ON tenants TO everyskill_service": "DELETE on tenants",
    "CREATE VIEW peek AS TABLE users; GRANT SELECT (id) ON peek TO everyskill_service": "SELECT on peek",
    "CREATE VIEW inner_view AS TABLE users; CREATE VIEW peek AS TABLE inner_view; GRANT SELECT ON peek TO PUBLIC": (
        "SELECT on peek"
    ),
    "GRANT CREATE ON SCHEMA public TO PUBLIC": "CREATE on schema public",
    "CREATE FUNCTION peek() RETURNS SETOF users LANGUAGE sql SECURITY DEFINER AS 'TABLE users'": "peek()",
    "ALTER FUNCTION everyskill_analyze_new_tables() RESET ALL": "everyskill_analyze_new_tables() without settings",
    "ALTER FUNCTION everyskill_analyze_new_tables() SECURITY INVOKER": "everyskill_analyze_new_tables()",
    "ALTER TABLE skills ADD FOREIGN KEY (id) REFERENCES user_skill_views (id)": "skills (id)",
}


async def test_an_untouched_database_passes_inspection(clone: Clone) -> None:
    findings = await inspect(clone.service_url)
    assert len(findings) == 9
    assert [finding for finding in findings if not finding.ok] == []


async def test_what_others_keep_beside_our_tables_is_not_our_concern(clone: Clone, owner: asyncpg.Connection) -> None:
    await owner.execute("""
        CREATE TABLE orders (id text PRIMARY KEY, tenant_id text, user_id text REFERENCES orders (id),
                             FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id));
        GRANT ALL ON orders TO everyskill_service;
        CREATE VIEW newest_orders AS TABLE orders;
        GRANT SELECT ON newest_orders TO PUBLIC;
        CREATE ROLE shop; GRANT CREATE ON SCHEMA public TO shop;
        CREATE FUNCTION count_orders() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM orders';
        ALTER FUNCTION count_orders() OWNER TO shop;
    """)
    try:
        assert [finding for finding in await inspect(clone.service_url) if not finding.ok] == []
    finally:
        await owner.execute("DROP OWNED BY shop; DROP ROLE shop")


@pytest.mark.parametrize(
    "weakening",
    [
        "DROP TRIGGER {name} ON {table}",
        "ALTER TABLE {table} DISABLE TRIGGER {name}",
        "ALTER TABLE {table} ENABLE REPLICA TRIGGER {name}",
        "DROP TRIGGER {name} ON {table}; CREATE TRIGGER {name} BEFORE UPDATE ON feed_checkpoints"
        " EXECUTE FUNCTION everyskill_refuse_change()",
    ],
)
async def test_inspection_finds_each_trigger_that_does_not_fire(
    clone: Clone, owner: asyncpg.Connection, weakening: str
) -> None:
    for name, table in TRIGGERS.items():
        await owner.execute(weakening.format(name=name, table=table))
        [wrong] = [finding for finding in await inspect(clone.service_url) if not finding.ok]
        assert f"{name} on {table}" in wrong.detail


@pytest.mark.parametrize("weakening", WEAKENINGS)
async def test_inspection_finds_each_weakening_of_each_table(
    clone: Clone, owner: asyncpg.Connection, weakening: str
) -> None:
    for table in TENANT_COLUMNS:
        await owner.execute(WEAKENINGS[weakening].format(table=table))
        wrong = [finding for finding in await inspect(clone.service_url) if not finding.ok]
        assert any(re.search(rf"\b{table}\b", finding.detail) for finding in wrong), table


@pytest.mark.parametrize("weakening", OTHER_WEAKENINGS)
async def test_inspection_finds_what_a_login_could_do_past_the_policies(
    clone: Clone, owner: asyncpg.Connection, weakening: str
) -> None:
    await owner.execute(weakening)
    [wrong] = [finding for finding in await inspect(clone.service_url) if not finding.ok]
    assert OTHER_WEAKENINGS[weakening] in wrong.detail


async def test_inspection_finds_each_reference_that_is_missing_or_not_enforced(
    clone: Clone, owner: asyncpg.Connection
) -> None:
    keys = "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f'"
    for table, name, definition in await owner.fetch(keys):
        for weakening in (f"DROP CONSTRAINT {name}", f"ADD CONSTRAINT {name} {definition} NOT VALID"):
            await owner.execute(f"ALTER TABLE {table} {weakening}")
            [wrong] = [finding for finding in await inspect(clone.service_url) if not finding.ok]
            assert wrong.name == "foreign keys"
            assert f"{table} {definition.removeprefix('FOREIGN KEY ')}" in wrong.detail
        await owner.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


async def test_inspection_finds_a_function_of_a_role_that_no_policy_holds(
    clone: Clone, owner: asyncpg.Connection
) -> None:
    await owner.execute("""
        CREATE ROLE auditor BYPASSRLS; GRANT SELECT ON users TO auditor; GRANT CREATE ON SCHEMA public TO auditor;
        CREATE FUNCTION peek() RETURNS SETOF users LANGUAGE sql SECURITY DEFINER AS 'TABLE users';
        ALTER FUNCTION peek() OWNER TO auditor
    """)
    try:
        [wrong] = [finding for finding in await inspect(clone.service_url) if not finding.ok]
        assert "peek()" in wrong.detail
    finally:
        await owner.execute("DROP OWNED BY auditor; DROP ROLE auditor")


async def test_what_an_extension_brings_along_is_no_weakening(clone: Clone, owner: asyncpg.Connection) -> None:
    await owner.execute(
        "CREATE VIEW statistics AS SELECT 1; GRANT SELECT ON statistics TO PUBLIC;"
        "CREATE FUNCTION reset() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';"
        "ALTER EXTENSION plpgsql ADD VIEW statistics; ALTER EXTENSION plpgsql ADD FUNCTION reset()"
    )
    assert all(finding.ok for finding in await inspect(clone.service_url))


async def test_the_canary_itself_crosses_when_the_border_is_open(clone: Clone, owner: asyncpg.Connection) -> None:
    await owner.execute("ALTER TABLE users DISABLE ROW LEVEL SECURITY")
    [canary] = [finding for finding in await inspect(clone.service_url) if "canary" in finding.name]
    assert "can be read" in canary.detail
    assert "can be written" in canary.detail
    assert "without a tenant" in canary.detail


async def test_an_inspection_that_is_cut_off_leaves_no_role_behind(clone: Clone, owner: asyncpg.Connection) -> None:
    await owner.execute(
        "ALTER TABLE alembic_version RENAME TO kept;"
        "CREATE VIEW alembic_version AS SELECT pg_sleep(60)::text AS version_num;"
        "GRANT SELECT ON alembic_version TO PUBLIC"
    )
    inspecting = asyncio.create_task(inspect_as_member(clone.superuser_url))
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'PgSleep'"
    while not await owner.fetch(end, clone.name):  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.01)
    with pytest.raises(DatabaseUnreachable):
        await inspecting
    assert not await owner.fetch("SELECT FROM pg_roles WHERE rolname ^@ 'everyskill_check_'")


async def test_inspection_leaves_nothing_behind(clone: Clone, owner: asyncpg.Connection) -> None:
    await inspect(clone.service_url)
    assert await owner.fetchval("SELECT count(*) FROM tenants") == 0
