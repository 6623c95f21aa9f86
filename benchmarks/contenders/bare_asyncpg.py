"""The same transactions by hand, with the same SQL and nothing around them: what a single caller could have at best."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from benchmarks.dataset import LARGE
from benchmarks.driver import Ask

_ENTER = "SELECT set_config('app.current_tenant_id', $1, true)"
_RECORD = """
INSERT INTO user_skill_views AS v (tenant_id, user_id, skill_id, last_viewed_at, last_viewed_version)
SELECT $1, u.id, s.id, clock_timestamp(), least($4, s.published_version)
  FROM users AS u, skills AS s
 WHERE u.tenant_id = $1 AND u.id = $2 AND s.tenant_id = $1 AND s.id = $3 AND s.status = 'published'
ON CONFLICT (tenant_id, user_id, skill_id) DO UPDATE SET
  last_viewed_at = greatest(v.last_viewed_at, excluded.last_viewed_at),
  last_viewed_version = greatest(v.last_viewed_version, excluded.last_viewed_version),
  view_count = v.view_count + 1
"""
_BADGES = """
SELECT v.skill_id FROM user_skill_views AS v
  JOIN skills AS s ON s.tenant_id = v.tenant_id AND s.id = v.skill_id
 WHERE v.tenant_id = $1 AND v.user_id = $2 AND v.skill_id = ANY($3::text[]) AND s.tenant_id = $1
   AND s.status = 'published' AND (s.published_version > v.last_viewed_version OR s.updated_at > v.last_viewed_at)
"""


@asynccontextmanager
async def open_contender(url: str) -> AsyncIterator[dict[str, Ask]]:
    """Record and badges."""
    async with asyncpg.create_pool(url, min_size=1, max_size=10, reset=_keep) as pool:

        async def record(user: str, skill: str, version: int) -> None:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(_ENTER, LARGE)
                await connection.execute(_RECORD, LARGE, user, skill, version)

        async def badges(user: str, skills: Sequence[str]) -> set[str]:
            async with pool.acquire() as connection, connection.transaction(readonly=True):
                await connection.execute(_ENTER, LARGE)
                return {row[0] for row in await connection.fetch(_BADGES, LARGE, user, skills)}

        yield {"record": record, "badges": badges}


async def _keep(_: Any) -> None:
    """Nothing to reset, as in EverySkill's own pool."""
