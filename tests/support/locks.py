"""Locks that somebody else holds, and calls that wait for them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg

from everyskill.handles import Tenant
from everyskill.model import Publication
from tests.support.databases import Clone
from tests.support.skills import publish


@asynccontextmanager
async def locked_view(clone: Clone, user_id: str, tenants: str = "%") -> AsyncIterator[None]:
    """Somebody holds the user's rows in all tenants, or those that are like this, and does not let go."""
    holder = await asyncpg.connect(clone.superuser_url)
    try:
        async with holder.transaction():
            rows = "SELECT FROM user_skill_views WHERE user_id = $1 AND tenant_id LIKE $2 FOR UPDATE"
            await holder.execute(rows, user_id, tenants)
            yield
    finally:
        await holder.close()


NEXT_VERSION = """
INSERT INTO skill_versions (tenant_id, skill_id, version, name, description, content, content_hash, files)
SELECT v.tenant_id, v.skill_id, max(v.version) + 1, 'held', 'held', 'held', 'held', '[]'
  FROM skill_versions AS v JOIN skills AS s ON s.tenant_id = v.tenant_id AND s.id = v.skill_id
 WHERE s.tenant_id = $1 AND s.slug = $2
 GROUP BY v.tenant_id, v.skill_id
"""


@asynccontextmanager
async def publishing_held_open(acme: Tenant, clone: Clone, slug: str) -> AsyncIterator["asyncio.Task[Publication]"]:
    """A publication that has taken its moment and cannot commit until the block ends.

    Somebody else is just adding a version of the same number.
    """
    holder = await asyncpg.connect(clone.superuser_url)
    holding = holder.transaction()
    await holding.start()
    await holder.execute(NEXT_VERSION, acme.tenant_id, slug)
    publication = asyncio.create_task(publish(acme, slug, "changed", author_id="bob"))
    await until_somebody_waits(clone)
    yield publication
    await holding.rollback()
    await publication
    await holder.close()


async def until_somebody_waits(clone: Clone) -> None:
    """Returns once a session of the database waits for a lock, and longer than a batch would."""
    watcher = await asyncpg.connect(clone.superuser_url)
    question = """
        SELECT count(*)
          FROM pg_stat_activity
         WHERE datname = $1 AND wait_event_type = 'Lock' AND clock_timestamp() - xact_start > interval '150 ms'
    """
    try:
        async with asyncio.timeout(30):
            while not await watcher.fetchval(question, clone.name):  # noqa: ASYNC110 - it happens in PostgreSQL
                await asyncio.sleep(0.01)
    finally:
        await watcher.close()


async def together(*acts: Callable[[], Awaitable[None]], rounds: int) -> None:
    """Repeats each act so many times, all acts at once."""

    async def repeat(act: Callable[[], Awaitable[None]]) -> None:
        for _ in range(rounds):
            await act()

    await asyncio.gather(*(repeat(act) for act in acts))
