"""What was acknowledged is there after the process that did it, or its connections, were killed (S14)."""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Awaitable, Callable

import asyncpg
import httpx

from everyskill.handles import Tenant
from tests.support.databases import Clone
from tests.support.http_clients import bearer
from tests.support.live_service import RunService, client_at
from tests.support.service_process import Service
from tests.support.skills import publish

CALLERS = 8
BEFORE = 40
KILL = """
    SELECT pg_terminate_backend(pid)
      FROM pg_stat_activity
     WHERE datname = $1 AND application_name = 'everyskill' AND query LIKE '%user_skill_views%'
"""


async def record_until(
    client: httpx.AsyncClient, skill_id: str, acknowledged: Counter[str], is_over: asyncio.Event
) -> None:
    """Records views one after the other, and counts those that were answered."""
    while not is_over.is_set():
        with contextlib.suppress(httpx.TransportError):
            answer = await client.post(f"/v1/skills/{skill_id}/views", json={"version": 1})
            acknowledged[skill_id] += answer.status_code == 204
            assert answer.status_code in {204, 503}, answer.text


async def kill_in_the_middle(
    service: Service, skills: list[str], kill: Callable[[], Awaitable[None]], acknowledged: Counter[str]
) -> None:
    """Kills while many views are recorded, after so many were acknowledged."""
    is_over = asyncio.Event()
    async with client_at(service, bearer()) as client:
        callers = [
            asyncio.create_task(record_until(client, skills[n % len(skills)], acknowledged, is_over))
            for n in range(CALLERS)
        ]
        goal = acknowledged.total() + BEFORE
        while acknowledged.total() < goal:  # noqa: ASYNC110 - the callers count
            await asyncio.sleep(0.001)
        await kill()
        is_over.set()
        await asyncio.gather(*callers)


async def test_s14_what_was_acknowledged_before_a_kill_is_there(
    run_service: RunService, clone: Clone, acme: Tenant, owner: asyncpg.Connection
) -> None:
    skills = [(await publish(acme, slug)).skill_id for slug in ("a", "b", "c")]
    acknowledged: Counter[str] = Counter()

    async def kill_connections() -> None:
        await owner.execute(KILL, clone.name)

    service = await run_service()

    async def kill_process() -> None:
        service.process.send_signal(signal.SIGKILL)

    for kill in (kill_connections, kill_connections, kill_connections, kill_process):
        await kill_in_the_middle(service, skills, kill, acknowledged)
    views = await acme.get_user_views_for_skills("ann", skills)
    assert all(views[skill].view_count >= acknowledged[skill] for skill in skills), (views, acknowledged)
    assert acknowledged.total() >= 4 * BEFORE
