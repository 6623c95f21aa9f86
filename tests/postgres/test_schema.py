"""The database that the migrations make is the one that models and policies describe."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import class_mapper

import everyskill.migrations.versions
from everyskill.database.inspection import inspect
from everyskill.database.policies import APP_ROLE, GRANTS, OPERATOR_ROLE, POLICIES, TENANT_COLUMNS
from everyskill.database.revisions import REVISIONS
from everyskill.errors import DatabaseTooNew, MigrationBlocked, MigrationFailed, MissingPrivilege, PostgresTooOld
from everyskill.migrations import downgrade, upgrade, upgrade_sql
from everyskill.schema import Base, Skills, Tenants, Users, UserSkillViews
from tests.support.databases import Clone
from tests.support.old_server import old_server
from tests.support.schema_description import describe


async def make_from_models(clone: Clone) -> None:
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(clone.owner_url))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()
    owner = await asyncpg.connect(clone.owner_url)
    for table in TENANT_COLUMNS:
        await owner.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        await owner.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for wanted in [policy.ddl() for policy in POLICIES] + [g.ddl() for g in GRANTS if g.table in TENANT_COLUMNS]:
        await owner.execute(wanted)
    await owner.close()


async def described(clone: Clone) -> dict[str, set[tuple[object, ...]]]:
    connection = await asyncpg.connect(clone.superuser_url)
    try:
        result = await describe(connection)
    finally:
        await connection.close()
    result["grants"] = {grant for grant in result["grants"] if grant[0] != "alembic_version"}
    return result


async def test_the_migrations_make_what_models_and_policies_describe(clone: Clone, empty_clone: Clone) -> None:
    await make_from_models(empty_clone)
    migrated, modelled = await described(clone), await described(empty_clone)
    for kind, found in migrated.items():
        assert found == modelled[kind], kind
        assert found, kind


async def test_user_skill_views_has_its_seven_columns_and_its_indexes(owner: asyncpg.Connection) -> None:
    found = await describe(owner)
    columns = {row[1:5] for row in found["columns"] if row[0] == "user_skill_views"}
    assert columns == {
        ("id", "text", True, "gen_random_uuid()"),
        ("tenant_id", "text", True, None),
        ("user_id", "text", True, None),
        ("skill_id", "text", True, None),
        ("last_viewed_at", "timestamp(3) with time zone", True, "now()"),
        ("last_viewed_version", "integer", False, None),
        ("view_count", "integer", True, "1"),
    }
    indexes = {name: text.partition(" USING ")[2] for name, text in found["indexes"] if "user_skill_views" in name}
    assert indexes == {
        "user_skill_views_pkey": "btree (id)",
        "user_skill_views_tenant_user_skill_unique": "btree (tenant_id, user_id, skill_id)",
        "user_skill_views_user_id_idx": "btree (user_id)",
        "user_skill_views_skill_id_idx": "btree (skill_id)",
        "user_skill_views_tenant_id_idx": "btree (tenant_id)",
        "user_skill_views_user_viewed_idx": "brin (user_id, last_viewed_at)",
    }


async def test_every_reference_between_tenant_tables_carries_the_tenant(owner: asyncpg.Connection) -> None:
    constraints = (await describe(owner))["constraints"]
    references = [text for _, _, text in constraints if text.startswith("FOREIGN KEY") and "tenants(id)" not in text]
    assert len(references) >= 8
    assert all(text.startswith("FOREIGN KEY (tenant_id, ") for text in references)


async def test_primary_keys_lead_with_the_tenant_except_where_said(owner: asyncpg.Connection) -> None:
    keys = {row[0]: row[2] for row in (await describe(owner))["constraints"] if row[2].startswith("PRIMARY KEY")}
    assert keys.pop("tenants") == keys.pop("user_skill_views") == "PRIMARY KEY (id)"
    assert keys.pop("feed_checkpoints") == "PRIMARY KEY (tenant_id, user_id)"
    assert keys.pop("skill_file_contents") == "PRIMARY KEY (tenant_id, hash)"
    assert keys.pop("skill_redirects") == "PRIMARY KEY (tenant_id, slug)"
    assert keys.pop("skill_sources") == "PRIMARY KEY (tenant_id, address)"
    assert set(keys.values()) == {"PRIMARY KEY (tenant_id, id)"}


async def test_an_empty_tenant_id_is_refused_by_the_database(owner: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await owner.execute("INSERT INTO tenants (id, name, slug) VALUES ('', 'Nobody', 'nobody')")


async def test_up_down_up_ends_where_it_began(clone: Clone) -> None:
    before = await described(clone)
    await downgrade(clone.owner_url, "base")
    assert not any((await described(clone)).values())
    assert await upgrade(clone.owner_url) == list(REVISIONS)
    assert await described(clone) == before


async def test_all_steps_down_leave_our_roles_no_right(clone: Clone, owner: asyncpg.Connection) -> None:
    # What PostgreSQL would not drop a role for: grants, policies, and what it owns.
    question = """
        SELECT count(*)
          FROM pg_shdepend AS d JOIN pg_roles AS r ON r.oid = d.refobjid
         WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND r.rolname = ANY($1)
    """
    roles = [APP_ROLE, OPERATOR_ROLE]
    assert await owner.fetchval(question, roles) > 0
    await downgrade(clone.owner_url, "base")
    assert await owner.fetchval(question, roles) == 0


async def test_each_step_down_removes_only_its_own_tables(clone: Clone) -> None:
    tables = (await described(clone))["tables"]
    for revision, *removed in (
        (REVISIONS[6], "skill_file_contents", "skill_redirects", "skill_sources"),
        (REVISIONS[1], "feed_checkpoints"),
        (REVISIONS[0], "user_skill_views"),
    ):
        await downgrade(clone.owner_url, revision)
        before, tables = tables, (await described(clone))["tables"]
        assert {row[0] for row in before - tables} == set(removed)


async def test_users_keep_everything_when_sessions_get_a_generation_and_lose_it_again(
    clone: Clone, owner: asyncpg.Connection
) -> None:
    await downgrade(clone.owner_url, "0040_create_feed_checkpoints")
    await owner.execute("INSERT INTO tenants (id, name, slug) VALUES ('acme', 'Acme', 'acme')")
    await owner.execute("INSERT INTO users (tenant_id, id, name) VALUES ('acme', 'ann', 'Ann')")
    before = await owner.fetch("SELECT * FROM users")
    await upgrade(clone.owner_url)
    assert await owner.fetchval("SELECT session_generation FROM users") == 0
    await owner.execute("UPDATE users SET session_generation = 7")
    await downgrade(clone.owner_url, "0040_create_feed_checkpoints")
    assert await owner.fetch("SELECT * FROM users") == before


async def test_a_filled_database_is_planned_for_its_largest_tenant_from_the_upgrade_on(
    clone: Clone, owner: asyncpg.Connection
) -> None:
    planned = "SELECT stadistinct FROM pg_statistic WHERE starelid = 'users'::regclass AND staattnum = 1"
    await downgrade(clone.owner_url, "0042_analyze_new_tables")
    await owner.execute("INSERT INTO tenants (id, name, slug) VALUES ('a', 'A', 'a'), ('b', 'B', 'b')")
    await owner.execute("INSERT INTO users (tenant_id, id) VALUES ('a', 'ann'), ('b', 'bob')")
    await upgrade(clone.owner_url)
    assert await owner.fetchval(planned) == 1
    await downgrade(clone.owner_url, "0042_analyze_new_tables")
    assert await owner.fetchval(planned) == -1


async def test_upgrading_again_changes_nothing(clone: Clone) -> None:
    before = await described(clone)
    assert await upgrade(clone.owner_url) == []
    assert await described(clone) == before


async def test_two_upgrades_at_once_are_safe(empty_clone: Clone) -> None:
    applied = await asyncio.gather(*(upgrade(empty_clone.owner_url) for _ in range(4)))
    assert sorted(applied) == [[], [], [], list(REVISIONS)]


async def test_the_sql_that_db_sql_prints_makes_the_same_database(clone: Clone, empty_clone: Clone) -> None:
    owner = await asyncpg.connect(empty_clone.owner_url)
    await owner.execute(upgrade_sql())
    await owner.close()
    assert await described(empty_clone) == await described(clone)


def test_the_sql_that_db_sql_prints_is_as_it_was_written() -> None:
    assert "%" not in upgrade_sql()


async def test_a_migration_gives_up_rather_than_wait_for_a_lock(clone: Clone) -> None:
    await downgrade(clone.owner_url, REVISIONS[0])
    holder = await asyncpg.connect(clone.superuser_url)
    async with holder.transaction():
        await holder.execute("LOCK TABLE skills IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(MigrationBlocked, match="lock timeout"):
            await upgrade(clone.owner_url)
    await holder.close()
    assert await upgrade(clone.owner_url) == list(REVISIONS[1:])


async def test_tables_of_unknown_origin_are_not_migrated_over(empty_clone: Clone) -> None:
    owner = await asyncpg.connect(empty_clone.owner_url)
    await owner.execute("CREATE TABLE skills (id text)")
    with pytest.raises(MigrationFailed, match='relation "skills" already exists'):
        await upgrade(empty_clone.owner_url)
    assert await owner.fetchval("SELECT to_regclass('tenants')") is None
    await owner.close()


async def test_migrating_as_the_application_is_refused_by_name(empty_clone: Clone) -> None:
    with pytest.raises(MissingPrivilege):
        await upgrade(empty_clone.service_url)


async def test_a_database_from_the_future_is_left_alone(clone: Clone, owner: asyncpg.Connection) -> None:
    await owner.execute("UPDATE alembic_version SET version_num = '9999_from_the_future'")
    with pytest.raises(DatabaseTooNew):
        await upgrade(clone.owner_url)


@pytest.mark.parametrize("act", [inspect, upgrade])
async def test_an_old_postgresql_is_told_by_its_version_and_not_migrated(
    empty_clone: Clone, tmp_path: Path, act: Callable[[str], Awaitable[object]]
) -> None:
    async with old_server(empty_clone.owner_url, tmp_path) as url:
        try:
            said = str(await act(url))
        except PostgresTooOld as error:
            said = str(error)
    assert "This server is PostgreSQL 14; EverySkill needs 15 or newer." in said
    assert (await described(empty_clone))["grants"] == set()


def test_every_migration_file_is_a_known_revision_and_sets_a_lock_timeout() -> None:
    folder = Path(next(iter(everyskill.migrations.versions.__path__)))
    files = sorted(folder.glob("[0-9]*.py"))
    assert tuple(file.stem for file in files) == REVISIONS
    for file in files:
        text = file.read_text()
        assert text.count("SET LOCAL lock_timeout") == 2
        assert "everyskill" not in "".join(line for line in text.splitlines() if line.startswith(("import", "from")))


def test_views_relate_both_ways_to_user_skill_and_tenant() -> None:
    relations = {relation.key: relation.back_populates for relation in class_mapper(UserSkillViews).relationships}
    assert relations == {"tenant": "skill_views", "user": "skill_views", "skill": "views"}
    for model, name in ((Tenants, "skill_views"), (Users, "skill_views"), (Skills, "views")):
        assert class_mapper(model).relationships[name].mapper.class_ is UserSkillViews
