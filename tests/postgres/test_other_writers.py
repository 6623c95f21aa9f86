"""The rules hold for what other programs write by SQL, who know of no moments and no numbers of versions."""

import asyncio
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest
from msgspec.structs import replace

from everyskill.database.feed.limits import FeedLimits
from everyskill.handles import Tenant
from tests.support.databases import Clone
from tests.support.locks import together
from tests.support.skills import folder, is_badged, publish

SLUGS = ("alpha", "beta", "gamma", "delta")
ENTER = "SELECT set_config('app.current_tenant_id', $1, false)"
INSERT_VERSION = """
INSERT INTO skill_versions (tenant_id, id, skill_id, version, name, description, content, content_hash, files)
SELECT tenant_id, id || ' 2', id, 2, name, description, 'theirs', 'theirs', '[]' FROM skills WHERE slug = 'beta'
"""
PUBLISH = "UPDATE skills SET published_version_id = id || ' 2' WHERE slug = 'beta'"
ARCHIVE = "UPDATE skills SET status = 'archived' WHERE slug = 'beta'"
SHOW = "UPDATE skills SET status = 'published' WHERE slug = 'beta'"

# What another program does, and the version that is published then.
CHANGES: dict[str, tuple[list[str], int]] = {
    "a version by its id": ([INSERT_VERSION, PUBLISH], 2),
    "a version by its number": ([INSERT_VERSION, "UPDATE skills SET published_version = 2 WHERE slug = 'beta'"], 2),
    "a version by both": (
        [
            INSERT_VERSION,
            "UPDATE skills SET published_version_id = id || ' 2', published_version = 2 WHERE slug = 'beta'",
        ],
        2,
    ),
    "a name": (["UPDATE skills SET name = 'Theirs' WHERE slug = 'beta'"], 2),
    "a description": (["UPDATE skills SET description = 'Theirs.' WHERE slug = 'beta'"], 2),
    "a category": (["UPDATE skills SET category = 'theirs' WHERE slug = 'beta'"], 2),
    "a whole row from before": (
        ["UPDATE skills SET name = 'Theirs', visible_at = 'epoch', updated_at = 'epoch' WHERE slug = 'beta'"],
        2,
    ),
    "no moment at all": (
        ["UPDATE skills SET visible_at = NULL, updated_at = clock_timestamp() WHERE slug = 'beta'"],
        1,
    ),
    "no more than updated_at": (["UPDATE skills SET updated_at = clock_timestamp() WHERE slug = 'beta'"], 1),
    "a version while it is hidden": ([ARCHIVE, INSERT_VERSION, PUBLISH, SHOW], 2),
    "a name while it is hidden": ([ARCHIVE, "UPDATE skills SET name = 'Theirs' WHERE slug = 'beta'", SHOW], 2),
}


@pytest.fixture
def feed_limits() -> FeedLimits:
    """Three views are many already, so that small catalogs have checkpoints."""
    return FeedLimits(max_lookups=2)


@pytest.fixture
async def ids(acme: Tenant) -> dict[str, str]:
    """Skills by slug; ann and bob have seen the first version of each, and have a checkpoint."""
    skills = {slug: (await publish(acme, slug)).skill_id for slug in SLUGS}
    for user_id in ("ann", "bob"):
        for skill_id in skills.values():
            await acme.visit_skill(user_id, skill_id)
        for _ in range(2):
            assert await feed(acme, user_id) == []
    return skills


@pytest.fixture(params=["superuser", "application"])
async def writer(request: pytest.FixtureRequest, clone: Clone) -> AsyncIterator[asyncpg.Connection]:
    """Another program's connection: past row-level security, or as a tenant of the application."""
    url = clone.superuser_url if request.param == "superuser" else clone.service_url
    connection = await asyncpg.connect(url)
    if request.param == "application":
        await connection.execute(ENTER, "acme")
    yield connection
    await connection.close()


async def feed(tenant: Tenant, user_id: str = "ann") -> list[str]:
    return [item.skill_slug for item in await tenant.get_whats_new_for_user(user_id)]


@pytest.mark.parametrize("change", CHANGES)
async def test_s2_what_another_program_changes_is_badged_and_in_every_feed(
    acme: Tenant, ids: dict[str, str], writer: asyncpg.Connection, change: str
) -> None:
    statements, version = CHANGES[change]
    for statement in statements:
        await writer.execute(statement)
    await publish(acme, "delta", "two")
    assert await feed(acme) == ["delta", "beta"]
    assert await is_badged(acme, "ann", ids["beta"])
    assert (await acme.get_skill("beta")).skill.published_version == version
    page = await acme.get_whats_new_page("ann")
    assert await acme.mark_all_seen("ann", page.as_of) == 2
    assert await feed(acme) == []
    assert await feed(acme, "bob") == ["delta", "beta"]
    await acme.visit_skill("bob", ids["beta"])
    assert await feed(acme, "bob") == ["delta"]


async def test_s3_what_another_program_says_is_a_version_of_its_own(
    acme: Tenant, ids: dict[str, str], writer: asyncpg.Connection
) -> None:
    await writer.execute("UPDATE skills SET description = 'Theirs.' WHERE slug = 'beta'")
    found = await acme.get_skill("beta")
    assert found.published is not None
    assert (found.published.version, found.published.description, found.published.content) == (2, "Theirs.", "one")
    assert [item.type for item in await acme.get_changes("ann", ids["beta"])] == ["version_bump", "description_updated"]
    assert (await publish(acme, "beta", description="Theirs.")).outcome == "unchanged"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE skills SET author_id = 'bob'",
        "UPDATE skills SET name = name, updated_at = updated_at",
        "UPDATE skills SET slug = slug || '-moved'",
        "UPDATE skill_versions SET created_by = NULL",
        "INSERT INTO skill_feedback (tenant_id, skill_id, comment) SELECT tenant_id, id, 'hm' FROM skills",
    ],
)
async def test_s3_what_nobody_sees_badges_nobody(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection, change: str
) -> None:
    before = await owner.fetch("SELECT id, updated_at, visible_at, published_version FROM skills ORDER BY id")
    await owner.execute(change)
    assert await owner.fetch("SELECT id, updated_at, visible_at, published_version FROM skills ORDER BY id") == before
    assert await feed(acme) == []


async def test_s11_what_another_program_shows_again_unchanged_badges_nobody_new(
    acme: Tenant, ids: dict[str, str], writer: asyncpg.Connection
) -> None:
    await publish(acme, "beta", "two")
    await acme.visit_skill("bob", ids["beta"])
    updated_at = (await acme.get_skill("beta")).skill.updated_at
    await writer.execute(ARCHIVE)
    assert await feed(acme) == []
    await writer.execute(SHOW)
    assert (await acme.get_skill("beta")).skill.updated_at == updated_at
    assert await feed(acme) == ["beta"]
    assert await feed(acme, "bob") == []


async def test_s1_a_program_that_commits_late_badges_who_looked_meanwhile_with_or_without_a_version(
    acme: Tenant, ids: dict[str, str], writer: asyncpg.Connection
) -> None:
    async with writer.transaction():
        for statement in (INSERT_VERSION, PUBLISH):
            await writer.execute(statement)
        await acme.visit_skill("ann", ids["beta"])
        await acme.add_user("carol")
        await acme.record_skill_view("carol", ids["beta"], None)
        assert await feed(acme) == []
    for user_id in ("ann", "carol"):
        assert await is_badged(acme, user_id, ids["beta"])
        assert await feed(acme, user_id) == ["beta"]


async def test_a_program_that_does_not_commit_keeps_neither_lists_nor_publishers_of_other_skills_waiting(
    acme: Tenant, ids: dict[str, str], writer: asyncpg.Connection
) -> None:
    async with writer.transaction():
        await writer.execute("UPDATE skills SET name = 'Theirs' WHERE slug = 'beta'")
        async with asyncio.timeout(10):
            await publish(acme, "delta", "two")
            page = await acme.get_whats_new_page("ann")
            assert [item.skill_slug for item in page.items] == ["delta"]
    assert await acme.mark_all_seen("ann", page.as_of) == 1
    assert await feed(acme) == ["beta"]


async def test_a_new_skill_of_another_program_comes_after_what_was_published_before_its_commit(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection
) -> None:
    question = "SELECT array_agg(slug ORDER BY visible_at) FROM skills WHERE slug IN ('new', 'draft', 'delta')"
    columns = ["tenant_id", "id", "slug", "name", "description", "category", "status"]
    async with owner.transaction():
        rows = [
            ("acme", slug, slug, slug, "", "x", status) for slug, status in (("new", "published"), ("draft", "draft"))
        ]
        await owner.copy_records_to_table("skills", records=rows, columns=columns)
        await publish(acme, "delta", "two")
    assert await owner.fetchval(question) == ["draft", "delta", "new"]


async def test_a_bulk_update_takes_one_moment(acme: Tenant, owner: asyncpg.Connection) -> None:
    await owner.execute("""
        INSERT INTO skills (tenant_id, slug, name, description, category, status)
        SELECT 'acme', 'skill-' || n, 'x', 'x', 'x', 'published' FROM generate_series(1, 2000) AS n
    """)
    await owner.execute("UPDATE skills SET name = 'changed' WHERE tenant_id = 'acme'")
    found = await owner.fetchrow("SELECT count(DISTINCT visible_at), count(DISTINCT updated_at) FROM skills")
    assert tuple(found or ()) == (1, 1)


async def test_a_bulk_update_of_several_tenants_takes_one_moment_of_each(
    acme: Tenant, globex: Tenant, owner: asyncpg.Connection
) -> None:
    for tenant in (acme, globex):
        for slug in SLUGS:
            await publish(tenant, slug)
    async with owner.transaction():
        for slug in SLUGS:
            await owner.execute("UPDATE skills SET name = 'changed' WHERE slug = $1", slug)
    assert await owner.fetchval("SELECT count(DISTINCT (tenant_id, visible_at)) FROM skills") == 2


async def test_a_session_that_writes_for_many_tenants_keeps_no_setting_of_each(
    newest_server: None, clone: Clone
) -> None:
    writer = await asyncpg.connect(clone.superuser_url)

    async def write_for(tenants: int) -> int:
        await writer.execute(
            f"SELECT everyskill_allocate_visible_at('tenant ' || n) FROM generate_series(1, {tenants}) AS n"
        )
        found: int = await writer.fetchval("SELECT sum(used_bytes) FROM pg_backend_memory_contexts WHERE name ^@ 'GUC'")
        return found

    used = await write_for(1)
    assert await write_for(50) - used < 50 * 10
    await writer.close()


async def test_one_transaction_of_the_application_for_several_tenants_keeps_the_moments_of_each(
    acme: Tenant, globex: Tenant, clone: Clone
) -> None:
    for tenant in (acme, globex):
        for slug in SLUGS:
            await tenant.visit_skill("ann", (await publish(tenant, slug)).skill_id)
        for _ in range(2):
            assert await feed(tenant) == []
    writer = await asyncpg.connect(clone.service_url)
    async with writer.transaction():
        for name in ("acme", "globex"):
            await writer.execute("SELECT set_config('app.current_tenant_id', $1, true)", name)
            await writer.execute("UPDATE skills SET name = 'Theirs' WHERE slug = 'beta'")
        await writer.execute("SELECT set_config('app.current_tenant_id', '', true)")
    await writer.close()
    assert [await feed(tenant) for tenant in (acme, globex)] == [["beta"], ["beta"]]


async def test_the_application_stays_in_the_tenant_that_it_entered_when_the_moments_of_another_are_kept(
    acme: Tenant, globex: Tenant, clone: Clone
) -> None:
    for tenant in (acme, globex):
        for slug in SLUGS:
            await tenant.visit_skill("ann", (await publish(tenant, slug)).skill_id)
    enter = "SELECT set_config('app.current_tenant_id', $1, true)"
    writer = await asyncpg.connect(clone.service_url)
    async with writer.transaction():
        await writer.execute(enter, "acme")
        await writer.execute("UPDATE skills SET name = 'Theirs' WHERE slug = 'alpha'")
        await writer.execute(enter, "globex")
        await writer.execute("SET CONSTRAINTS ALL IMMEDIATE")
        await writer.execute("UPDATE skills SET name = 'Theirs' WHERE slug = 'beta'")
    await writer.close()
    assert [await feed(tenant) for tenant in (acme, globex)] == [["alpha"], ["beta"]]


async def test_a_version_cannot_be_changed_and_one_that_is_not_there_cannot_be_published(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection
) -> None:
    with pytest.raises(asyncpg.RestrictViolationError, match=r"version 1 of skill .* cannot be changed"):
        await owner.execute("UPDATE skill_versions SET content = 'theirs'")
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="no such version"):
        await owner.execute("UPDATE skills SET published_version = 7")
    other = await owner.fetchval("SELECT published_version_id FROM skills WHERE slug = 'alpha'")
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="no such version"):
        await owner.execute("UPDATE skills SET published_version_id = $1 WHERE slug = 'beta'", other)
    assert await feed(acme) == []


async def test_what_this_package_writes_meets_no_trigger(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection
) -> None:
    for name in ("keep_version", "keep_moments", "refuse_change"):
        await owner.execute(
            f"CREATE OR REPLACE FUNCTION everyskill_{name}() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE EXCEPTION 'fired'; END $$"
        )
    await publish(acme, "new", author_id="bob")
    await publish(acme, "beta", "two", author_id="bob", category="other")
    await acme.archive_skill("beta")
    await publish(acme, "beta", "three")
    await acme.publish_skill(folder("beta", "four"), quiet=True)
    await acme.restore_skill("beta")
    await acme.publish_skill(folder("beta", "five"), quiet=True, source="skills", source_path="beta")
    await acme.archive_skill("delta")
    await acme.restore_skill("delta")
    await acme.visit_skill("ann", ids["beta"])
    await acme.mark_all_seen("ann", (await acme.get_whats_new_page("ann")).as_of)
    await owner.execute("DELETE FROM users WHERE id = 'bob'")
    await owner.execute("DELETE FROM skills WHERE slug = 'beta'")


async def test_s17_what_another_program_publishes_over_a_quiet_version_badges(
    acme: Tenant, ids: dict[str, str], writer: asyncpg.Connection
) -> None:
    await acme.publish_skill(folder("beta", "two"), quiet=True)
    assert await feed(acme) == []
    await writer.execute(INSERT_VERSION.replace("' 2'", "' 3'").replace("2, name", "3, name"))
    await writer.execute("UPDATE skills SET published_version_id = id || ' 3' WHERE slug = 'beta'")
    assert await feed(acme) == ["beta"]
    assert (await acme.get_skill("beta")).skill.announced_version == 3


async def test_s17_what_another_program_says_over_a_quiet_version_badges(
    acme: Tenant, ids: dict[str, str], writer: asyncpg.Connection
) -> None:
    await acme.publish_skill(folder("beta", "two"), quiet=True)
    await writer.execute("UPDATE skills SET author_id = 'bob' WHERE slug = 'beta'")
    assert await feed(acme) == []
    await writer.execute("UPDATE skills SET name = 'Theirs' WHERE slug = 'beta'")
    assert await feed(acme) == ["beta"]


async def test_s17_with_s11_what_another_program_shows_is_new_only_if_it_was_announced(
    acme: Tenant, ids: dict[str, str], writer: asyncpg.Connection
) -> None:
    for slug in ("beta", "delta"):
        await acme.archive_skill(slug)
    await acme.publish_skill(folder("beta", "two"), quiet=True)
    await publish(acme, "delta", "two")
    await acme.publish_skill(folder("delta", "three"), quiet=True)
    await writer.execute("UPDATE skills SET status = 'published' WHERE slug IN ('beta', 'delta')")
    assert await feed(acme) == ["delta"]


async def test_what_another_program_says_keeps_front_matter_and_capabilities_and_takes_the_new_category(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection, writer: asyncpg.Connection
) -> None:
    front_matter = {"name": "Beta", "license": "MIT", "description": "x"}
    await acme.publish_skill(replace(folder("beta", "two"), front_matter=front_matter))
    # Versions never change, but for a test.
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("UPDATE skill_versions SET capabilities = '{network:example.org}' WHERE version = 2")
    await owner.execute("RESET session_replication_role")
    await writer.execute("UPDATE skills SET description = 'Theirs.', category = 'theirs' WHERE slug = 'beta'")
    published = (await acme.get_skill("beta")).published
    assert published is not None
    assert (published.version, published.description, published.category) == (3, "Theirs.", "theirs")
    assert list((published.front_matter or {}).items()) == list(front_matter.items())
    assert published.capabilities == ("network:example.org",)


async def test_programs_that_write_at_once_lose_nothing(
    acme: Tenant, ids: dict[str, str], clone: Clone, owner: asyncpg.Connection
) -> None:
    chance = random.Random(11)
    writers = [await asyncpg.connect(clone.superuser_url) for _ in range(2)]
    numbers = iter(range(10_000))

    async def change(writer: asyncpg.Connection) -> None:
        async with writer.transaction():
            await writer.execute(
                "UPDATE skills SET description = $1 WHERE slug = $2", f"{next(numbers)}", chance.choice(SLUGS)
            )
            await asyncio.sleep(chance.random() / 100)

    async def read() -> None:
        await feed(acme)
        await acme.visit_skill("ann", ids[chance.choice(SLUGS)])

    async def publish_one() -> None:
        await publish(acme, chance.choice(SLUGS), f"text {next(numbers)}")

    await together(lambda: change(writers[0]), lambda: change(writers[1]), read, read, publish_one, rounds=25)
    for writer in writers:
        await writer.close()
    badged = await acme.get_updated_skill_ids("ann", ids.values())
    assert {item.skill_id for item in await acme.get_whats_new_for_user("ann")} == badged
    versions = await owner.fetch("SELECT slug, published_version FROM skills")
    assert sum(row["published_version"] for row in versions) == await owner.fetchval(
        "SELECT count(*) FROM skill_versions"
    )


# -- views that other programs write --------------------------------------------------------------------------------


async def test_s1_a_view_of_another_program_is_believed_and_its_version_badges_though_its_time_is_ahead(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection
) -> None:
    await owner.execute("UPDATE user_skill_views SET last_viewed_at = now() + interval '1 year' WHERE user_id = 'ann'")
    await publish(acme, "beta", "two")
    assert await is_badged(acme, "ann", ids["beta"])
    assert await feed(acme) == ["beta"]
    await acme.visit_skill("ann", ids["beta"])
    assert await feed(acme) == []


async def test_s1_a_view_whose_version_is_too_great_badges_by_its_time(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection
) -> None:
    await owner.execute("UPDATE user_skill_views SET last_viewed_version = 99 WHERE user_id = 'ann'")
    await publish(acme, "beta", "two")
    assert await is_badged(acme, "ann", ids["beta"])
    assert await feed(acme) == ["beta"]


async def test_views_that_another_program_set_back_are_in_the_feed_once_the_checkpoints_are_emptied(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection
) -> None:
    await publish(acme, "beta", "two")
    await acme.visit_skill("ann", ids["beta"])
    assert await feed(acme) == []
    await owner.execute("UPDATE user_skill_views SET last_viewed_version = 1 WHERE user_id = 'ann'")
    assert await is_badged(acme, "ann", ids["beta"])
    await owner.execute("DELETE FROM feed_checkpoints WHERE user_id = 'ann'")
    assert await feed(acme) == ["beta"]
