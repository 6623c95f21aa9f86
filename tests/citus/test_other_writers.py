"""What other programs write on Citus: where the triggers keep the rules, and that `db check` says where they do not."""

from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg
import pytest

from everyskill.database.inspection import Finding, inspect
from everyskill.database.policies import TRIGGERS
from tests.support.citus import COORDINATOR_URL, WITHOUT_CITUS, CitusDatabase, citus_database, distribute

pytestmark = pytest.mark.skipif(not COORDINATOR_URL, reason=WITHOUT_CITUS)

UNSAFE = "SET citus.enable_unsafe_triggers = on"
DISTRIBUTED = [f"every one on {table}, which Citus distributes" for table in ("skill_versions", "skills")]
ALLOCATE = "SELECT everyskill_allocate_visible_at('acme')"
MOMENT = "SELECT max(visible_at) FROM skills WHERE tenant_id = 'acme'"
PUBLISH_ANOTHER = "UPDATE skills SET published_version_id = 'two' WHERE tenant_id = 'acme' AND id = 'pdf'"

# A skill with two versions, of which the first is published.
SKILL = [
    "INSERT INTO tenants (id, name, slug) VALUES ('acme', 'Acme', 'acme')",
    "INSERT INTO skills (tenant_id, id, name, slug, description, category, visible_at)"
    " VALUES ('acme', 'pdf', 'PDF', 'pdf', 'Reads.', 'files', 'epoch')",
    "INSERT INTO skill_versions (tenant_id, id, skill_id, version, name, description, content, content_hash, files)"
    " VALUES ('acme', 'one', 'pdf', 1, 'PDF', 'Reads.', '1', '1', '[]'),"
    "        ('acme', 'two', 'pdf', 2, 'PDF', 'Reads.', '2', '2', '[]')",
    "UPDATE skills SET status = 'published', published_version_id = 'one', published_version = 1,"
    " visible_at = '2026-01-01', updated_at = '2026-01-01' WHERE tenant_id = 'acme' AND id = 'pdf'",
]


@pytest.fixture
async def cluster() -> AsyncIterator[CitusDatabase]:
    """A migrated database on all nodes, with its tables on the coordinator."""
    async with citus_database() as database:
        yield database


@pytest.fixture
async def owner(cluster: CitusDatabase) -> AsyncIterator[asyncpg.Connection]:
    """The superuser's connection to the coordinator."""
    connection = await asyncpg.connect(cluster.superuser_url)
    yield connection
    await connection.close()


async def find_triggers(cluster: CitusDatabase) -> Finding:
    [finding] = [finding for finding in await inspect(cluster.service_url) if finding.name.startswith("triggers")]
    return finding


async def test_on_a_coordinator_that_distributes_nothing_all_is_well(cluster: CitusDatabase) -> None:
    assert [finding for finding in await inspect(cluster.service_url) if not finding.ok] == []


async def test_citus_refuses_to_distribute_tables_with_triggers(owner: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.PostgresError, match="because it has triggers"):
        await distribute(owner)


async def test_inspection_names_the_triggers_that_were_dropped_for_it(
    cluster: CitusDatabase, owner: asyncpg.Connection
) -> None:
    for name, table in TRIGGERS.items():
        await owner.execute(f"DROP TRIGGER {name} ON {table}")
    await distribute(owner)
    finding = await find_triggers(cluster)
    assert not finding.ok
    for wrong in [*(f"{name} on {table}" for name, table in TRIGGERS.items()), *DISTRIBUTED]:
        assert wrong in finding.detail


async def test_inspection_relies_on_no_trigger_that_citus_was_made_to_take(
    cluster: CitusDatabase, owner: asyncpg.Connection
) -> None:
    await owner.execute(UNSAFE)
    await distribute(owner)
    count = "SELECT count(*) FROM pg_trigger WHERE tgrelid = '%s'::regclass AND NOT tgisinternal"
    on_shards = await owner.fetch("SELECT result FROM run_command_on_shards('skills', $1)", count)
    assert {row["result"] for row in on_shards} == {"4"}
    finding = await find_triggers(cluster)
    assert not finding.ok
    assert finding.detail.endswith(": " + ", ".join(DISTRIBUTED))


async def test_s2_a_trigger_on_a_shard_does_not_wait_for_a_publication_on_the_coordinator(
    cluster: CitusDatabase, owner: asyncpg.Connection
) -> None:
    """The reason for the above: where this fails because it waits, inspection may trust the triggers."""
    await owner.execute(UNSAFE)
    await distribute(owner)
    for statement in SKILL:
        await owner.execute(statement)
    publisher = await asyncpg.connect(cluster.superuser_url)
    async with publisher.transaction():
        earlier: datetime = await publisher.fetchval(ALLOCATE)
        await owner.execute(PUBLISH_ANOTHER, timeout=10)
        # A list would be marked as seen up to here, and what is published at the earlier moment is not visible yet.
        assert await owner.fetchval(MOMENT) > earlier
    await publisher.close()


async def test_s2_tables_that_citus_keeps_on_the_coordinator_keep_their_triggers(
    cluster: CitusDatabase, owner: asyncpg.Connection
) -> None:
    await owner.execute("SELECT create_reference_table('tenants')")
    kinds = (
        "SELECT count(*) FROM pg_dist_partition WHERE logicalrelid IN ('skills'::regclass, 'skill_versions'::regclass)"
    )
    assert await owner.fetchval(kinds) == 2
    for statement in SKILL:
        await owner.execute(statement)
    publisher = await asyncpg.connect(cluster.superuser_url)
    async with publisher.transaction():
        earlier: datetime = await publisher.fetchval(ALLOCATE)
        with pytest.raises(TimeoutError):
            await owner.execute(PUBLISH_ANOTHER, timeout=1)
    await owner.execute(PUBLISH_ANOTHER)
    assert await owner.fetchval(MOMENT) > earlier
    assert (await find_triggers(cluster)).ok
    await publisher.close()
