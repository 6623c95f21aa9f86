"""Many callers of many tenants, of whom many leave: whoever stays is told of the own tenant and user alone."""

import asyncio
import random
from collections.abc import Awaitable
from typing import Any

from everyskill.errors import SkillNotFound
from everyskill.handles import Database, Tenant
from everyskill.model import UserSkillView, ViewState, Visit, WhatsNewItem
from tests.support.databases import add_tenant
from tests.support.skills import publish

TENANTS = 12
ROUNDS = 8
CALLS = 160
USERS = ("ann", "bob")


def calls(tenant: Tenant, user: str, skill_id: str, foreign_id: str) -> list[Awaitable[Any]]:
    """Every batched call, about the tenant's own skill and about another's."""
    return [
        tenant.record_skill_view(user, skill_id, 1),
        tenant.visit_skill(user, skill_id),
        tenant.visit_skill(user, foreign_id),
        tenant.get_user_views_for_skills(user, [skill_id, foreign_id]),
        tenant.get_view_states(user, [skill_id, foreign_id]),
        tenant.get_updated_skill_ids(user, [skill_id, foreign_id]),
        tenant.get_whats_new_for_user(user),
    ]


def is_own(told: object, tenant_id: str, user: str, skill_id: str) -> bool:
    """Whether an answer is of this tenant, user and skill, as far as it names them."""
    if isinstance(told, dict | list | set):
        values = list(told.values()) if isinstance(told, dict) else list(told)
        return (
            set(told) <= {skill_id}
            if isinstance(told, set)
            else all(is_own(x, tenant_id, user, skill_id) for x in values)
        )
    if isinstance(told, UserSkillView):
        return (told.tenant_id, told.user_id, told.skill_id) == (tenant_id, user, skill_id)
    if isinstance(told, Visit):
        return told.previous is None or is_own(told.previous, tenant_id, user, skill_id)
    if isinstance(told, ViewState | WhatsNewItem):
        return told.skill_id == skill_id
    return told is None or isinstance(told, asyncio.CancelledError | SkillNotFound)


async def test_whoever_leaves_nobody_is_handed_an_answer_of_others(newest_server: None, database: Database) -> None:
    tenants = [await add_tenant(database, f"tenant-{number}") for number in range(TENANTS)]
    skills = [(await publish(tenant)).skill_id for tenant in tenants]
    chance, answered, left = random.Random(10), 0, 0
    for _ in range(ROUNDS):
        asked = []
        for _ in range(CALLS // 7):
            place = chance.randrange(TENANTS)
            user = chance.choice(USERS)
            own = (tenants[place].tenant_id, user, skills[place])
            asked += [
                (own, asyncio.ensure_future(call))
                for call in calls(tenants[place], user, skills[place], skills[(place + 1) % TENANTS])
            ]
        chance.shuffle(asked)
        for _, task in asked[: len(asked) // 3]:
            # Some leave before their batch is under way, most while it is.
            await asyncio.sleep(chance.choice((0, 0, 0.001)))
            task.cancel()
        outcomes = await asyncio.gather(*(task for _, task in asked), return_exceptions=True)
        for ((tenant_id, user, skill_id), _), told in zip(asked, outcomes, strict=True):
            assert is_own(told, tenant_id, user, skill_id), (tenant_id, user, told)
        left += sum(isinstance(told, asyncio.CancelledError) for told in outcomes)
        answered += len(outcomes)
    assert left > 100
    assert answered - left > 500
