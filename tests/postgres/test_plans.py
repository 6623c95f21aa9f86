"""Promise three, asked of PostgreSQL and never timed: which index a question walks, and how many rows it touches."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from everyskill.database.catalog.feedback import COUNT_FEEDBACK_SINCE, LIST_FEEDBACK
from everyskill.database.catalog.files import FIND_MISSING
from everyskill.database.catalog.names import FIND_ARCHIVED, RENAME_SKILL
from everyskill.database.catalog.publishing import (
    FIND_SKILLS,
    LOCK_AUTHOR_VIEWS,
    LOCK_SKILLS,
    MOVE_AUTHOR,
    PUBLISH_VERSIONS,
    SET_SOURCES,
    SET_STATUS,
)
from everyskill.database.catalog.skills import FIND_SKILL, LIST_CATEGORIES, LIST_SKILLS, LIST_SKILLS_FOR_USER
from everyskill.database.catalog.versions import FIND_VERSION, LIST_VERSIONS
from everyskill.database.connection_shares import ConnectionShares
from everyskill.database.connections import open_pool
from everyskill.database.feed.checkpoint import READ_START
from everyskill.database.feed.first_page import FIND_FIRST_PAGES, FeedLookup
from everyskill.database.feed.limits import DEFAULT_LIMITS
from everyskill.database.feed.mark_seen import MARK_ALL_SEEN
from everyskill.database.feed.walk import COUNT_ITEMS, FIND_ITEMS_AFTER
from everyskill.database.statements import Statement, to_json
from everyskill.database.transactions import TenantConnection, begin
from everyskill.database.views.comparisons import FIND_FACTS, FIND_PUBLISHERS
from everyskill.database.views.lookups import FIND_UPDATED, FIND_VIEW_STATES, FIND_VIEWS, Lookup
from everyskill.database.views.record import RECORD_VIEWS
from everyskill.database.views.visits import FIND_CHANGES
from everyskill.handles import Tenant
from tests.support.databases import Clone
from tests.support.skills import publish

SKILLS = 4_000
UPDATES = 400
LIMIT = 10
MAX_LOOKUPS = DEFAULT_LIMITS.max_lookups
UNIQUE = "user_skill_views_tenant_user_skill_unique"
RECENT = "skills_recent_updates_idx"

# A tenth of the skills was updated within the window, the newest first by number. Users s1 to s200 saw 100 skills each,
# `few` saw 10, `caught-up` and `stale` saw all of them: the one now, the other long ago.
STAGE = """
SET session_replication_role = replica;
INSERT INTO skills (tenant_id, id, name, slug, description, category, status, published_version_id, published_version,
                    updated_at)
SELECT 'acme', 's' || n, 'Skill ' || n, 'skill-' || n, 'What it does.', 'general', 'published', 's' || n || 'v1', 1,
       now() - CASE WHEN n % 10 = 0 THEN interval '29 days' * n / 4000 ELSE interval '90 days' END
  FROM generate_series(0, 3999) AS n;
INSERT INTO skill_versions (tenant_id, id, skill_id, version, name, description, content, content_hash, files)
SELECT 'acme', 's' || n || 'v1', 's' || n, 1, 'Skill', 'What it does.', 'Text.', 'x', '[]'
  FROM generate_series(0, 3999) AS n;
INSERT INTO users (tenant_id, id) SELECT 'acme', 's' || n FROM generate_series(1, 200) AS n;
INSERT INTO users (tenant_id, id) VALUES ('acme', 'few'), ('acme', 'caught-up'), ('acme', 'stale');
INSERT INTO user_skill_views (tenant_id, user_id, skill_id, last_viewed_at, last_viewed_version)
SELECT 'acme', 's' || u, 's' || (u * 17 + n * 7) % 4000, now() - interval '10 days', 1
  FROM generate_series(1, 200) AS u, generate_series(0, 99) AS n
 UNION ALL SELECT 'acme', 'few', 's' || n * 10, now() - interval '10 days', 1 FROM generate_series(1, 10) AS n
 UNION ALL SELECT 'acme', 'caught-up', 's' || n, now(), 1 FROM generate_series(0, 3999) AS n
 UNION ALL SELECT 'acme', 'stale', 's' || n, now() - interval '60 days', 1 FROM generate_series(0, 3999) AS n;
SET session_replication_role = origin;
"""


# One tenant, three users and one skill have a thousand rows; all other tenants, users and skills have one.
SKEWED_STAGE = """
SET session_replication_role = replica;
INSERT INTO tenants (id, name, slug) SELECT 't' || n, 'Small', 't' || n FROM generate_series(1, 5000) AS n;
INSERT INTO users (tenant_id, id)
SELECT 't' || n, 'u' || n FROM generate_series(1, 5000) AS n
 UNION ALL SELECT 'acme', 'h' || n FROM generate_series(1, 1000) AS n
 UNION ALL SELECT 'acme', unnest('{few,caught-up,stale}'::text[]);
INSERT INTO skills (tenant_id, id, name, slug, description, category, status, published_version_id, published_version,
                    updated_at)
SELECT 't' || n, 't' || n, 'Skill', 'skill', 'What it does.', 'general', 'published', 't' || n || 'v1', 1,
       now() - interval '1 minute' * n
  FROM generate_series(1, 5000) AS n
 UNION ALL
SELECT 'acme', 's' || n, 'Skill ' || n, 'skill-' || n, 'What it does.', 'general', 'published', 's' || n || 'v1', 1,
       now() - CASE WHEN n % 10 = 0 THEN interval '29 days' * n / 1000 ELSE interval '90 days' END
  FROM generate_series(0, 999) AS n;
INSERT INTO skill_versions (tenant_id, id, skill_id, version, name, description, content, content_hash, files)
SELECT tenant_id, published_version_id, id, 1, 'Skill', 'What it does.', 'Text.', 'x', '[]' FROM skills;
INSERT INTO skill_feedback (tenant_id, skill_id, comment)
SELECT tenant_id, id, 'Good.' FROM skills WHERE id NOT IN ('s1', 's2');
INSERT INTO user_skill_views (tenant_id, user_id, skill_id, last_viewed_at, last_viewed_version)
SELECT 't' || n, 'u' || n, 't' || n, now(), 1 FROM generate_series(1, 5000) AS n
 UNION ALL SELECT 'acme', 'h' || n, 's1', now(), 1 FROM generate_series(1, 1000) AS n
 UNION ALL SELECT 'acme', 'few', 's' || n * 10, now() - interval '10 days', 1 FROM generate_series(1, 10) AS n
 UNION ALL SELECT 'acme', 'caught-up', 's' || n, now(), 1 FROM generate_series(0, 999) AS n
 UNION ALL SELECT 'acme', 'stale', 's' || n, now() - interval '60 days', 1 FROM generate_series(0, 999) AS n;
SET session_replication_role = origin;
"""


@pytest.fixture
async def staged(acme: Tenant, owner: asyncpg.Connection) -> Tenant:
    """A catalog in which nobody's rows are more than a small part of the table."""
    await owner.execute(STAGE)
    await owner.execute("VACUUM ANALYZE")
    return acme


@pytest.fixture
async def probing(staged: Tenant, clone: Clone) -> AsyncIterator[TenantConnection]:
    """A transaction as batches have it."""
    pool = await open_pool(clone.service_url, size=1)
    async with begin(
        ConnectionShares(pool, size=1, queue_size=1).read_connection("acme"), readonly=False
    ) as transaction:
        yield transaction.enter("acme")
    await pool.close()


async def plan_of(connection: TenantConnection, statement: Statement, **values: Any) -> list[dict[str, Any]]:
    """The nodes of the plan that was run: the one that is kept for all values, as the driver's statements have it.

    An EXPLAIN with values of its own would be planned for these.
    """
    driver = await connection._transaction.prepare_for(connection, statement)
    given = statement.arguments({**values, "tenant_id": connection.tenant_id})
    await driver.execute(f"PREPARE asked AS {statement.text}")
    asked = f"EXECUTE asked({', '.join(map(literal, given))})"
    plan = await driver.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {asked}")
    await driver.execute("DEALLOCATE asked")
    return list(nodes(json.loads(plan)[0]["Plan"]))


def literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return "'{" + ",".join("NULL" if each is None else f'"{each}"' for each in value) + "}'"
    return f"'{value}'"


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def touched(plan: list[dict[str, Any]], table: str) -> float:
    """How many rows of a table were looked at, those that a filter threw away included."""
    scans = [node for node in plan if node.get("Relation Name") == table and "Scan" in node["Node Type"]]
    return float(
        sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in scans)
    )


def indexes(plan: list[dict[str, Any]]) -> set[str]:
    return {node["Index Name"] for node in plan if "Index Name" in node}


def reads_whole_tables(plan: list[dict[str, Any]]) -> bool:
    return any(node["Node Type"] == "Seq Scan" for node in plan)


async def walk_plan(tenant: Tenant, user_id: str) -> list[dict[str, Any]]:
    async with tenant._transactions.read() as connection:
        return await plan_of(connection, FIND_ITEMS_AFTER, **(ASKED | {"user_id": user_id}))


async def first_page_plan(tenant: Tenant, user_id: str) -> list[dict[str, Any]]:
    async with tenant._transactions.read() as connection:
        lookups = to_json([FeedLookup(user_id, LIMIT)])
        return await plan_of(connection, FIND_FIRST_PAGES, lookups=lookups, max_lookups=MAX_LOOKUPS)


async def test_the_feed_of_who_saw_little_looks_their_skills_up(staged: Tenant) -> None:
    plan = await first_page_plan(staged, "few")
    assert not reads_whole_tables(plan)
    assert UNIQUE in indexes(plan)
    assert RECENT not in indexes(plan)
    # Counted, listed, looked up.
    assert touched(plan, "user_skill_views") <= 3 * 10
    assert touched(plan, "skills") <= 10


async def test_the_feed_of_who_is_caught_up_walks_the_recent_updates_and_not_their_rows(staged: Tenant) -> None:
    plan = await walk_plan(staged, "caught-up")
    assert not reads_whole_tables(plan)
    assert RECENT in indexes(plan)
    for table in ("skills", "user_skill_views"):
        assert touched(plan, table) <= UPDATES


async def test_the_feed_of_who_saw_nothing_since_stops_at_its_limit(staged: Tenant) -> None:
    plan = await walk_plan(staged, "stale")
    assert RECENT in indexes(plan)
    for table in ("skills", "user_skill_views"):
        assert touched(plan, table) <= 2 * LIMIT


async def test_no_statement_is_compiled(probing: TenantConnection) -> None:
    driver = await probing._transaction.prepare_for(probing, FIND_UPDATED)
    assert await driver.fetchval("SHOW jit") == "off"


async def test_one_users_plan_is_not_kept_for_another(staged: Tenant) -> None:
    for _ in range(8):
        await staged.get_whats_new_for_user("few")
    assert RECENT in indexes(await walk_plan(staged, "stale"))


@pytest.mark.parametrize("users", [1, 20])
async def test_badges_touch_only_the_keys_that_are_asked_about(probing: TenantConnection, users: int) -> None:
    asked = [{"user_id": f"s{u + 1}", "skill_ids": [f"s{n}" for n in range(50)]} for u in range(users)]
    for statement in (FIND_UPDATED, FIND_VIEWS, FIND_VIEW_STATES):
        plan = await plan_of(probing, statement, lookups=json.dumps(asked))
        assert not reads_whole_tables(plan)
        assert UNIQUE in indexes(plan)
        for table in ("user_skill_views", "skills"):
            assert touched(plan, table) <= 50 * users
        assert touched(plan, "skill_versions") == 0


@pytest.mark.parametrize("users", [1, 20])
async def test_visits_touch_only_the_keys_that_are_visited(probing: TenantConnection, users: int) -> None:
    asked = [{"user_id": f"s{u + 1}", "skill_ids": [f"s{u}"]} for u in range(users)]
    plan = await plan_of(probing, FIND_CHANGES, lookups=json.dumps(asked))
    assert not reads_whole_tables(plan)
    for table in ("user_skill_views", "skills", "skill_feedback"):
        assert touched(plan, table) <= users
    # Who has seen the published version has nothing to compare.
    assert touched(plan, "skill_versions") == 0


@pytest.mark.parametrize("rows", [1, 100])
async def test_recording_touches_only_its_own_keys(probing: TenantConnection, rows: int) -> None:
    plan = await plan_of(
        probing,
        RECORD_VIEWS,
        user_ids=["stale"] * rows,
        skill_ids=[f"s{n}" for n in range(rows)],
        viewed_ats=[None] * rows,
        versions=[1] * rows,
        view_counts=[1] * rows,
    )
    assert not reads_whole_tables(plan)
    assert [node["Conflicting Tuples"] for node in plan if "Conflicting Tuples" in node] == [rows]
    for table in ("users", "skills"):
        assert touched(plan, table) == rows
    assert touched(plan, "skill_versions") == 0


async def test_a_feed_that_was_read_before_looks_only_at_what_changed_since_and_what_waited(
    staged: Tenant, owner: asyncpg.Connection
) -> None:
    changed = 20
    assert await staged.get_whats_new_for_user("caught-up") == []
    await owner.execute(
        "UPDATE skills SET updated_at = clock_timestamp(), visible_at = clock_timestamp()"
        f" WHERE id IN (SELECT 's' || n FROM generate_series(1, {changed}) AS n)"
    )
    plan = await first_page_plan(staged, "caught-up")
    assert not reads_whole_tables(plan)
    # Its views are counted no further than this, and each skill is counted, listed, and looked up.
    assert touched(plan, "user_skill_views") <= MAX_LOOKUPS + 1 + changed
    assert touched(plan, "skills") <= 3 * changed


async def test_skills_that_were_shown_and_hidden_again_are_counted_no_further_than_others(
    staged: Tenant, owner: asyncpg.Connection
) -> None:
    for _ in range(2):
        assert await staged.get_whats_new_for_user("caught-up") == []
    await owner.execute("UPDATE skills SET visible_at = clock_timestamp(), status = 'archived' WHERE id LIKE '%5'")
    assert touched(await first_page_plan(staged, "caught-up"), "skills") <= MAX_LOOKUPS + 1
    # Walked once, and looked up from there on.
    assert await staged.get_whats_new_for_user("caught-up") == []
    assert touched(await first_page_plan(staged, "caught-up"), "skills") == 0


@pytest.mark.parametrize("user_id", ["caught-up", "stale"])
async def test_a_feed_that_was_not_read_before_is_given_up_when_there_is_much_to_look_at(
    staged: Tenant, user_id: str
) -> None:
    plan = await first_page_plan(staged, user_id)
    assert touched(plan, "user_skill_views") <= MAX_LOOKUPS + 1
    assert touched(plan, "skills") == 0


ASKED: dict[str, Any] = {
    "user_id": "few",
    "limit": LIMIT,
    "after_updated_at": "infinity",
    "after_skill_id": "",
    "max_lookups": MAX_LOOKUPS,
    "lookups": json.dumps([{"user_id": "stale", "skill_ids": ["s1", "s2"]}]),
    "user_ids": ["stale", "few"],
    "skill_ids": ["s1", "s10"],
    "viewed_ats": [None, None],
    "versions": [1, 1],
    "view_counts": [1, 1],
    "as_of": "now",
    "after_created_at": "infinity",
    "after_id": "",
    "recording_lock": 1,
    "skill_id": "s1",
    "slugs": ["skill-1", "skill-10"],
    "rows": to_json(
        [
            {"skill_id": skill_id, "name": "Skill", "description": "What it does.", "category": "general"}
            | {"content": "Text.", "content_hash": "x", "files": [], "is_quiet": False}
            for skill_id in ("s1", "s10")
        ]
    ),
    "hashes": ["0" * 64],
    "author_id": None,
    "author_name": None,
    "note": None,
    "authored_at": None,
    "source_paths": ["a", "b"],
    "slug_or_id": "skill-1",
    "new_slug": "renamed",
    "successor_id": None,
    "include_hidden": False,
    "status": "published",
    "category": None,
    "text": None,
    "after_slug": None,
    "version": 1,
    "version_id": "s1v1",
    "since": "now",
    "excluding_user_id": "stale",
    "asked": json.dumps([{"skill_id": "s1", "version": 1}, {"skill_id": "s10", "version": 1}]),
    "seen": 0,
    "published": 1,
    "updated_at": "now",
    "visible_at": "now",
    "moment": "now",
}
FEW = {"lookups": to_json([FeedLookup("few", LIMIT)])}
CAUGHT_UP = {"user_id": "caught-up", "lookups": to_json([FeedLookup("caught-up", LIMIT)])}
STALE = {"user_id": "stale"}
# One by its id, which may be a slug too, two by their slugs, and one that is not there; rounded up.
BY_SLUG = {"lookups": to_json([Lookup.of("stale", ["s1", "skill-1", "skill-2", "nowhere"])])}

# Every statement that runs on a page view, in a list or in a publication, with how many rows it may look at.
MAX_TOUCHED: list[tuple[Statement, dict[str, Any], dict[str, int]]] = [
    (FIND_VIEWS, {}, {"user_skill_views": 2}),
    (FIND_UPDATED, {}, {"user_skill_views": 2, "skills": 2}),
    # Of two skills that are updated, two versions each.
    (FIND_VIEW_STATES, {}, {"user_skill_views": 2, "skills": 2, "skill_versions": 4}),
    (FIND_VIEWS, BY_SLUG, {"user_skill_views": 3, "skills": 4}),
    (FIND_UPDATED, BY_SLUG, {"user_skill_views": 3, "skills": 4 + 3}),
    (FIND_VIEW_STATES, BY_SLUG, {"user_skill_views": 3, "skills": 4 + 3, "skill_versions": 6}),
    (FIND_CHANGES, BY_SLUG, {"user_skill_views": 3, "skills": 4 + 3, "skill_versions": 3}),
    (FIND_CHANGES, {}, {"user_skill_views": 2, "skills": 2, "skill_versions": 2}),
    (FIND_FACTS, {}, {"skill_versions": 2}),
    (FIND_PUBLISHERS, {}, {"skill_versions": 1}),
    (RECORD_VIEWS, {}, {"users": 2, "skills": 2}),
    # Counted, listed, looked up.
    (FIND_FIRST_PAGES, FEW, {"user_skill_views": 3 * 10, "skills": 10}),
    (FIND_FIRST_PAGES, CAUGHT_UP, {"user_skill_views": MAX_LOOKUPS + 1, "feed_checkpoints": 1}),
    (FIND_ITEMS_AFTER, CAUGHT_UP, {"user_skill_views": UPDATES, "skills": UPDATES}),
    (COUNT_ITEMS, CAUGHT_UP, {"user_skill_views": UPDATES, "skills": UPDATES}),
    (READ_START, STALE, {"skills": 1}),
    # Found, and written.
    (MARK_ALL_SEEN, {}, {"user_skill_views": 2 * 10, "skills": 10, "users": 1}),
    (LIST_SKILLS, {}, {"skills": LIMIT}),
    (LIST_SKILLS_FOR_USER, STALE, {"skills": LIMIT, "user_skill_views": LIMIT, "skill_versions": 2 * LIMIT}),
    (LIST_CATEGORIES, {}, {"skills": SKILLS}),
    # By its slug, and by the id of that.
    (FIND_SKILL, {}, {"skills": 2}),
    (FIND_SKILL, {"slug_or_id": "s1"}, {"skills": 2}),
    (FIND_ARCHIVED, {"name": "skill-1"}, {"skills": 2, "user_skill_views": 1}),
    (RENAME_SKILL, {}, {"skills": 2}),
    (FIND_VERSION, {}, {"skill_versions": 1}),
    (LIST_VERSIONS, {"up_to": 9}, {"skill_versions": 1}),
    (COUNT_FEEDBACK_SINCE, {"at_most": None}, {}),
    (LIST_FEEDBACK, {}, {}),
    (LOCK_SKILLS, {}, {"skills": 2}),
    (FIND_SKILLS, {}, {"skills": 2, "skill_versions": 2}),
    (FIND_MISSING, {}, {}),
    (PUBLISH_VERSIONS, {"author_id": "stale"}, {"skills": 2, "skill_versions": 2, "user_skill_views": 2}),
    (SET_SOURCES, {"source": None}, {"skills": 2}),
    # Itself, and the newest of all.
    (SET_STATUS, {}, {"skills": 2}),
    (LOCK_AUTHOR_VIEWS, STALE, {"user_skill_views": 2}),
    (MOVE_AUTHOR, STALE, {"user_skill_views": 1}),
]
TABLES = (
    "users",
    "skills",
    "skill_versions",
    "skill_feedback",
    "user_skill_views",
    "feed_checkpoints",
    "skill_file_contents",
)


async def test_without_statistics_every_statement_looks_at_no_more_rows_than_it_is_about(
    acme: Tenant, owner: asyncpg.Connection, clone: Clone
) -> None:
    for table in TABLES:
        await owner.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    pool = await open_pool(clone.service_url, size=1)
    await owner.execute(STAGE + CHECKPOINT)
    plans = await explain_all(pool, "ANALYZE, ")
    await pool.close()
    # docs/decisions/0007: these read a tenant once, until it is analyzed.
    once = {statement.sql for statement in (PUBLISH_VERSIONS, SET_SOURCES)}
    assert [found for found in too_much(plans) if found[2] not in once] == []
    assert all(rows <= SKILLS for _, rows, _ in too_much(plans))


async def test_where_nearly_all_tenants_have_one_row_the_large_one_is_looked_up_by_its_keys(
    acme: Tenant, owner: asyncpg.Connection, clone: Clone
) -> None:
    await owner.execute(SKEWED_STAGE + CHECKPOINT)
    await owner.execute("VACUUM ANALYZE")
    pool = await open_pool(clone.service_url, size=1)
    plans = await explain_all(pool, "ANALYZE, ")
    await pool.close()
    assert too_much(plans) == []


async def test_plans_that_were_made_on_an_empty_database_are_made_anew_when_it_fills(
    acme: Tenant, owner: asyncpg.Connection, clone: Clone
) -> None:
    for table in TABLES:
        await owner.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    pool = await open_pool(clone.service_url, size=1, statistics_seconds=0)
    await explain_all(pool, "")
    await owner.execute(FIRST_ROWS)
    await explain_all(pool, "")
    assert await owner.fetchval("SELECT count(*) FROM pg_class WHERE relname = ANY ($1) AND reltuples > 0", TABLES) == 2
    await owner.execute(STAGE + CHECKPOINT)
    plans = await explain_all(pool, "ANALYZE, ")
    await pool.close()
    for plan, (statement, _, most) in zip(plans, MAX_TOUCHED, strict=True):
        for table in TABLES:
            assert touched(plan, table) <= 2 * most.get(table, 0), (table, statement.sql)


async def test_a_locked_table_has_nobody_wait_for_statistics(acme: Tenant, clone: Clone) -> None:
    skill = await publish(acme)
    await acme.add_feedback(skill.skill_id, comment="Good.")
    pool = await open_pool(clone.service_url, size=1, statistics_seconds=0)
    holder = await asyncpg.connect(clone.superuser_url)
    async with holder.transaction():
        await holder.execute("LOCK TABLE skill_feedback")
        async with asyncio.timeout(10):
            assert await pool.fetchval("SELECT current_setting('lock_timeout')") == "0"
    await holder.close()
    await pool.close()


async def test_a_connection_that_is_lost_over_statistics_costs_the_pool_no_place(
    clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = await open_pool(clone.service_url, size=1, statistics_seconds=0)

    async def lose(connection: asyncpg.Connection, query: str) -> None:
        connection.terminate()
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    with monkeypatch.context() as patched:
        patched.setattr(asyncpg.Connection, "execute", lose)
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await pool.fetchval("SELECT 1")
    async with asyncio.timeout(10):
        assert await pool.fetchval("SELECT 1") == 1
        await pool.close()


async def test_only_the_application_may_have_new_tables_analyzed(owner: asyncpg.Connection) -> None:
    granted = "SELECT has_function_privilege($1, 'everyskill_analyze_new_tables()', 'EXECUTE')"
    roles = ("everyskill_app", "everyskill_operator")
    assert [await owner.fetchval(granted, role) for role in roles] == [True, False]


# The first skills and views: two pages of each, which is when tables are analyzed for the first time.
FIRST_ROWS = """
SET session_replication_role = replica;
INSERT INTO users (tenant_id, id) VALUES ('acme', 'first');
INSERT INTO skills (tenant_id, id, name, slug, description, category, status, published_version_id, published_version,
                    updated_at)
SELECT 'acme', 'f' || n, 'Skill ' || n, 'first-' || n, 'What it does.', 'general', 'published', 'f' || n || 'v1', 1,
       now() - interval '80 days'
  FROM generate_series(1, 100) AS n;
INSERT INTO user_skill_views (tenant_id, user_id, skill_id, last_viewed_at, last_viewed_version)
SELECT 'acme', 'first', 'f' || n, now(), 1 FROM generate_series(1, 100) AS n;
SET session_replication_role = origin;
"""
CHECKPOINT = "INSERT INTO feed_checkpoints (tenant_id, user_id, visible_at) VALUES ('acme', 'caught-up', now())"


def too_much(plans: list[list[dict[str, Any]]]) -> list[tuple[str, float, str]]:
    """Where one of these statements looks at more rows than it is about: the table, how many, and the statement."""
    return [
        (table, touched(plan, table), statement.sql)
        for plan, (statement, _, most) in zip(plans, MAX_TOUCHED, strict=True)
        for table in TABLES
        if touched(plan, table) > most.get(table, 0)
    ]


async def explain_all(pool: asyncpg.Pool, options: str) -> list[list[dict[str, Any]]]:
    """The plans of all these statements, which the connection keeps from the first time on."""
    asked = enumerate(MAX_TOUCHED)
    return [await explain(pool, f"asked_{n}", statement, values, options) for n, (statement, values, _) in asked]


async def explain(
    pool: asyncpg.Pool, name: str, statement: Statement, values: dict[str, Any], options: str
) -> list[dict[str, Any]]:
    async with begin(
        ConnectionShares(pool, size=1, queue_size=1).read_connection("acme"), readonly=False
    ) as transaction:
        driver = await transaction.prepare_for(transaction.enter("acme"), statement)
        if not await driver.fetchval("SELECT 1 FROM pg_prepared_statements WHERE name = $1", name):
            await driver.execute(f"PREPARE {name} AS {statement.text}")
        given = ", ".join(map(literal, statement.arguments(ASKED | values | {"tenant_id": "acme"})))
        plan = await driver.fetchval(f"EXPLAIN ({options}FORMAT JSON) EXECUTE {name}({given})")
    return list(nodes(json.loads(plan)[0]["Plan"]))
