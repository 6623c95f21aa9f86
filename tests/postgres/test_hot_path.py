"""What a page view costs: index entries made, asked of PostgreSQL and never timed."""

import asyncio

import asyncpg

import everyskill
from everyskill.handles import Tenant
from tests.support.databases import Clone
from tests.support.skills import publish

# So few versions of one row fit on its page. Whether more do depends on when old ones are pruned, which any snapshot
# of the same database delays, autovacuum's ANALYZE for one: that is no property of a view.
RE_VIEWS = 20


async def test_a_re_view_touches_no_index(acme: Tenant, owner: asyncpg.Connection, clone: Clone) -> None:
    skill_id = (await publish(acme)).skill_id
    # A session tells what it did when it ends.
    async with everyskill.connect(clone.service_url) as database:
        for _ in range(1 + RE_VIEWS):
            await database.tenant("acme").record_skill_view("ann", skill_id, 1)
    assert await settled_statistics(owner) == {"inserted": 1, "updated": RE_VIEWS, "hot": RE_VIEWS}


async def settled_statistics(owner: asyncpg.Connection) -> dict[str, int]:
    """What happened to the table of views, once all of it has been told."""
    question = """
        SELECT n_tup_ins AS inserted, n_tup_upd AS updated, n_tup_hot_upd AS hot
          FROM pg_stat_user_tables WHERE relname = 'user_skill_views'
    """
    async with asyncio.timeout(30):
        while True:
            [row] = await owner.fetch(question)
            if row["inserted"] + row["updated"] > RE_VIEWS:
                return dict(row)
            await asyncio.sleep(0.05)
