"""Visits: what changed since the user last looked, computed before this look is recorded (S6)."""

from collections.abc import Iterable

from everyskill.database.reader_states import ReaderState, find_reader_states
from everyskill.database.scope import TenantConnection, TenantScope
from everyskill.database.user_skill_views import Lookup
from everyskill.errors import SkillNotFound
from everyskill.model.changes import ChangeItem, Visit, detect_changes
from everyskill.model.inputs import check_id, check_ids
from everyskill.services.user_skill_views import refusal


async def get_changes(tenant: TenantScope, user_id: str, skill_id: str) -> list[ChangeItem]:
    """What changed about the skill since the user last saw it; nothing on a first visit. Records nothing.

    Raises SkillNotFound for a skill that is not there, hidden, or another tenant's; InvalidIdentifier.
    """
    check_id("user_id", user_id)
    async with tenant.reading() as connection:
        return _changes(await _state(connection, user_id, check_id("skill_id", skill_id)))


async def get_changes_for_skills(
    tenant: TenantScope, user_id: str, skill_ids: Iterable[str]
) -> dict[str, list[ChangeItem]]:
    """What get_changes tells, for many skills in one query, by skill id; one that is not there is not in the dict.

    No ids take no query (S12). Raises TooManyIds above 10,000, and InvalidIdentifier.
    """
    check_id("user_id", user_id)
    unique = check_ids("skill_id", skill_ids)
    if not unique:
        return {}
    async with tenant.reading() as connection:
        [states] = await find_reader_states(connection, [Lookup(0, user_id, unique)])
    return {skill_id: _changes(state) for skill_id, state in states.items()}


async def visit_skill(tenant: TenantScope, user_id: str, skill_id: str) -> Visit:
    """Shows what changed since the user last saw the skill, then records this view of the published version.

    Both in one transaction, which concurrent visits share. Raises as record_skill_view does.
    """
    check_id("user_id", user_id)
    found = await tenant.folded.visit(tenant.tenant_id, user_id, check_id("skill_id", skill_id))
    if isinstance(found, str):
        raise refusal(found, tenant.tenant_id, user_id, skill_id)
    return Visit(found.previous, _changes(found), found.skill.published_version, found.as_of)


async def _state(connection: TenantConnection, user_id: str, skill_id: str) -> ReaderState:
    [states] = await find_reader_states(connection, [Lookup(0, user_id, [skill_id])])
    if skill_id not in states:
        raise SkillNotFound(skill_id)
    return states[skill_id]


def _changes(state: ReaderState) -> list[ChangeItem]:
    return detect_changes(state.previous, state.skill, state.feedback_count)
