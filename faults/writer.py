"""`python -m faults.writer URL LOG SEED`: acts at random until it is told to stop, whatever happens to the database."""

import asyncio
import random
import signal
import sys
from pathlib import Path
from uuid import uuid4

import everyskill
from everyskill.errors import DatabaseNotReady, EverySkillError
from everyskill.handles import Tenant
from faults.acts import SLUGS, TENANTS, USERS, Act, ActLog, Kind
from faults.stage import skill

TASKS = 8
PAUSE_SECONDS = 0.002
KINDS: dict[Kind, int] = {"record": 60, "visit": 35, "publish": 3, "mark_all": 2}


async def act_at_random(tenant: Tenant, log: ActLog, chance: random.Random) -> None:
    """One act of one user."""
    (kind,) = chance.choices(list(KINDS), list(KINDS.values()))
    user, slug = chance.choice(USERS), chance.choice(SLUGS)
    if kind == "publish":
        await log.run(
            Act(kind, tenant.tenant_id, user, slug),
            lambda: tenant.publish_skill(skill(slug, uuid4()), author_id=user),
        )
    elif kind == "mark_all":
        page = await tenant.get_whats_new_page(user)
        await log.run(Act(kind, tenant.tenant_id, user), lambda: tenant.mark_all_seen(user, page.as_of))
    else:
        shown = (await tenant.get_skill(slug)).skill
        await look(tenant, log, Act(kind, tenant.tenant_id, user, slug, shown.published_version), shown.id)


async def look(tenant: Tenant, log: ActLog, act: Act, skill_id: str) -> None:
    """A user looks at a skill, in either way."""
    if act.kind == "visit":
        await log.run(act, lambda: tenant.visit_skill(act.user, skill_id))
    else:
        await log.run(act, lambda: tenant.record_skill_view(act.user, skill_id, act.version))


async def act_until(stopped: asyncio.Event, database: everyskill.Database, log: ActLog, chance: random.Random) -> None:
    """One act after the other. A question that fails is asked again with the next act."""
    while not stopped.is_set():
        try:
            await act_at_random(database.tenant(chance.choice(TENANTS)), log, chance)
        except EverySkillError:
            await asyncio.sleep(0.05)
        await asyncio.sleep(PAUSE_SECONDS)


async def main(url: str, log: ActLog, chance: random.Random) -> None:
    """Opens the database, however often that takes, and acts."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    while not stopped.is_set():
        try:
            async with everyskill.connect(url) as database, asyncio.TaskGroup() as tasks:
                for _ in range(TASKS):
                    tasks.create_task(act_until(stopped, database, log, chance))
        except DatabaseNotReady:
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], ActLog(Path(sys.argv[2])), random.Random(sys.argv[3])))
