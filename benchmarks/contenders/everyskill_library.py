"""EverySkill as installed: the unprivileged login, row-level security in force."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import everyskill
from benchmarks.dataset import EXTREME, LARGE
from benchmarks.driver import Ask


@asynccontextmanager
async def open_contender(url: str) -> AsyncIterator[dict[str, Ask]]:
    """The library's own calls."""
    async with everyskill.connect(url) as database:
        tenant, extreme = database.tenant(LARGE), database.tenant(EXTREME)
        yield {
            "record": tenant.record_skill_view,
            "badges": tenant.get_updated_skill_ids,
            "visit": tenant.visit_skill,
            "whats_new": tenant.get_whats_new_for_user,
            "whats_new_extreme": extreme.get_whats_new_for_user,
        }
