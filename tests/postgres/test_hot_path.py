"""What a page view costs: index entries made, asked of PostgreSQL and never timed."""

import asyncpg
import pytest

from everyskill.handles import Tenant
from tests.support.databases import Clone
from tests.support.skills import publish


async def test_a_re_view_touches_no_index(acme: Tenant, owner: asyncpg.Connection, clone: Clone) -> None:
    if clone.version < 16:
        pytest.skip("PostgreSQL 16 was the first to keep HOT with a BRIN index")
    ids = [(await publish(acme, f"skill-{number}")).skill_id for number in range(40)]
    # One after another: views at the same time keep each other's old rows from being pruned on a busy machine.
    for skill_id in ids * 31:
        await acme.record_skill_view("ann", skill_id, 1)
    updated, hot = await settled_statistics(owner, at_least=len(ids) * 30)
    assert hot >= 0.99 * updated


async def settled_statistics(owner: asyncpg.Connection, *, at_least: int) -> tuple[int, int]:
    """Updates, and HOT ones among them. What other sessions did arrives late: waits until all of it has."""
    question = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'user_skill_views'"
    for _ in range(300):
        [(updated, hot)] = await owner.fetch(question)
        if updated >= at_least:
            return updated, hot
        await owner.execute("SELECT pg_sleep(0.1)")
    raise AssertionError("the statistics never arrived")
