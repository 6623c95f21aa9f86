"""Every statement is SQL that PostgreSQL takes and names the tenant; the rules of "changed" stand in rules.py alone."""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import product
from pathlib import Path
from pkgutil import walk_packages
from random import Random

import asyncpg
import pytest

import everyskill.database
from everyskill.database.connections import connect_once
from everyskill.database.rules import IS_UPDATED, NEW_SEVERITY
from everyskill.database.statements import NESTED_LOOP_PLAN, Statement
from everyskill.handles import Tenant
from everyskill.model import Severity, Skill, SkillStatus, compare_capabilities
from everyskill.model.capabilities import highest_severity
from everyskill.model.changes import is_updated
from everyskill.model.views import PreviousView
from tests.support.databases import Clone
from tests.support.pgbouncer import run_pgbouncer

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOON + timedelta(milliseconds=1)


def find_statements() -> dict[str, Statement]:
    """Every statement of the package, by module and name."""
    modules = [module.name for module in walk_packages(everyskill.database.__path__, "everyskill.database.")]
    found = {f"{name}.{key}": value for name in modules for key, value in vars(import_module(name)).items()}
    return {name: value for name, value in found.items() if isinstance(value, Statement)}


async def test_postgresql_prepares_every_statement_on_a_migrated_database(clone: Clone) -> None:
    connection = await asyncpg.connect(clone.service_url)
    statements = find_statements()
    assert len(statements) >= 30
    for name, statement in statements.items():
        try:
            prepared = await connection.prepare(statement.text)
        except asyncpg.PostgresError as error:
            raise AssertionError(name) from error
        assert len(prepared.get_parameters()) == len(statement.parameters), name
    await connection.close()


async def test_no_statement_has_the_driver_change_a_session_that_others_share(
    newest_server: None, clone: Clone
) -> None:
    with run_pgbouncer(clone.server, pool_mode="transaction", default_pool_size=1) as pooler:
        connection = await connect_once(pooler.url(clone.direct_url))
        for statement in find_statements().values():
            async with connection.transaction():
                await connection.execute("SET LOCAL jit = off")
                await connection.prepare(statement.text)
        assert await connection.fetchval("SELECT source FROM pg_settings WHERE name = 'jit'") == "default"
        await connection.close()


def test_a_statement_without_the_tenant_is_refused_when_it_is_made() -> None:
    with pytest.raises(AssertionError, match="no :tenant_id"):
        Statement("SELECT id FROM skills WHERE id = :skill_id")


def test_parameters_are_numbered_in_order_and_casts_and_texts_are_left_alone() -> None:
    statement = Statement("SELECT 'a:b', now()::text, :b::text, :tenant_id, :b FROM skills WHERE x = :a_b")
    assert statement.text == "SELECT 'a:b', now()::text, $1::text, $2, $1 FROM skills WHERE x = $3"
    assert statement.arguments({"a_b": 3, "b": 1, "tenant_id": "acme"}) == [1, "acme", 3]


async def test_a_statement_that_is_planned_otherwise_than_its_transaction_is_refused(acme: Tenant) -> None:
    one = Statement("SELECT 1 WHERE :tenant_id <> ''")
    other = Statement("SELECT 2 WHERE :tenant_id <> ''", plan=NESTED_LOOP_PLAN)
    async with acme._transactions.read() as connection:
        assert await connection.fetch_value(one) == 1
        with pytest.raises(AssertionError, match="other settings"):
            await connection.fetch_value(other)


async def test_a_transaction_has_the_settings_of_its_statement(acme: Tenant) -> None:
    names = ("plan_cache_mode", "enable_seqscan", "lock_timeout", "app.current_tenant_id")
    asked = ", ".join(f"current_setting('{name}')" for name in names)
    statement = Statement(f"SELECT {asked} WHERE :tenant_id <> ''")
    async with acme._transactions.write_at_once() as connection:
        [row] = await connection.fetch(statement)
    assert tuple(row) == ("force_generic_plan", "off", "1ms", "acme")


async def test_a_transaction_without_a_statement_asks_the_database_nothing(acme: Tenant, queries: list[str]) -> None:
    async with acme._transactions.write_at_once():
        pass
    assert queries == []


async def test_s2_the_rule_in_sql_is_the_rule_in_python(owner: asyncpg.Connection) -> None:
    text = f"""
        SELECT coalesce({IS_UPDATED}, false)
          FROM (SELECT $1::text AS status, $2::integer AS published_version, $6::integer AS announced_version,
                       $3::timestamptz AS updated_at) AS s,
               (SELECT $4::integer AS last_viewed_version, $5::timestamptz AS last_viewed_at) AS v
    """
    versions, moments = (None, 1, 2), (NOON, LATER)
    for status, published, quiet, updated_at, seen, viewed_at in product(
        SkillStatus, versions, (False, True), moments, versions, moments
    ):
        announced = 1 if quiet and published == 2 else None
        skill = Skill(
            "id", "Name", "slug", "", "", status, None, published, announced or published, None, NOON, updated_at
        )
        expected = is_updated(PreviousView(viewed_at, seen), skill)
        answer = await owner.fetchval(text, status, published, updated_at, seen, viewed_at, announced)
        assert answer is expected, (status, published, announced, updated_at, seen, viewed_at)


def test_s2_the_rules_stand_in_one_file() -> None:
    folder = Path(next(iter(everyskill.database.__path__)))
    spelled = ("status = 'published'", "published_version) >", "hours'", "> v.last_viewed_at")
    found = {
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*.py")
        for words in spelled
        if words in file.read_text()
    }
    # A count of feedback since the view is no rule of "updated".
    assert found - {"views/visits.py"} == {"rules.py"}


async def test_the_severity_of_a_badge_in_sql_is_the_one_in_python(owner: asyncpg.Connection) -> None:
    """The query of NEW_SEVERITY, its two versions replaced by values."""
    asked = NEW_SEVERITY
    for number, place in ((1, "versions.id = s.published_version_id"), (2, "versions.version = v.last_viewed_version")):
        assert place in asked
        asked = asked.replace(place, f"versions.version = {number}")
    asked = asked.replace("versions.skill_id = s.id", "true").replace(":tenant_id", "'acme'")
    text = f"""
        WITH skill_versions (tenant_id, version, capabilities) AS (VALUES ('acme', 1, $1::text[]), ('acme', 2, $2))
        SELECT {asked}
    """
    hash_of = [f"#{digit * 32}" for digit in "01"]
    pool = ["1:tool:Read", "2:host:a.io", "3:tool:Bash", "3:tool:Bash(git:*)", "1:tool:Read(a(b))", "tool:odd", "9:x:y"]
    pool += [f"3:script:a(1).sh{end}" for end in hash_of] + ["", "2:Odd:x", "2:unread:2 files" + hash_of[0]]
    choose = Random(7)
    kinds = set()
    for _ in range(400):
        new, old = (choose.sample([*pool, None], choose.randrange(len(pool))) for _ in range(2))
        expected = highest_severity(compare_capabilities(old, new))
        kinds.add(expected)
        assert await owner.fetchval(text, new, old) == expected, (new, old)
    assert kinds == {None, *Severity}
    assert await owner.fetchval(text, ["3:tool:Bash"], None) is None
    assert await owner.fetchval(text, None, ["3:tool:Bash"]) is None
