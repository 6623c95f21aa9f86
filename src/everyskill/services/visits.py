"""Visits: what changed since the user last looked, computed before this look is recorded (S6)."""

from everyskill.database.reader_states import ReaderState, find_reader_state
from everyskill.database.scope import TenantConnection, TenantScope
from everyskill.errors import SkillNotFound
from everyskill.model.changes import ChangeItem, Visit, detect_changes
from everyskill.model.inputs import check_id
from everyskill.model.views import NewUserSkillView
from everyskill.services.user_skill_views import record_or_refuse


async def get_changes(tenant: TenantScope, user_id: str, skill_id: str) -> list[ChangeItem]:
    """What changed about the skill since the user last saw it; nothing on a first visit. Records nothing.

    Raises SkillNotFound for a skill that is not there, hidden, or another tenant's; InvalidIdentifier.
    """
    check_id("user_id", user_id)
    async with tenant.reading() as connection:
        return _changes(await _state(connection, user_id, check_id("skill_id", skill_id)))


async def visit_skill(tenant: TenantScope, user_id: str, skill_id: str) -> Visit:
    """Shows what changed since the user last saw the skill, then records this view of the published version.

    Both in one transaction. Raises as record_skill_view does.
    """
    check_id("user_id", user_id)
    async with tenant.writing() as connection:
        state = await _state(connection, user_id, check_id("skill_id", skill_id))
        version = state.skill.published_version
        view = NewUserSkillView(
            tenant_id=tenant.tenant_id,
            user_id=user_id,
            skill_id=skill_id,
            last_viewed_at=state.as_of,
            last_viewed_version=version,
        )
        await record_or_refuse(connection, view)
    return Visit(state.previous, _changes(state), version, state.as_of)


async def _state(connection: TenantConnection, user_id: str, skill_id: str) -> ReaderState:
    state = await find_reader_state(connection, user_id, skill_id)
    if state is None:
        raise SkillNotFound(skill_id)
    return state


def _changes(state: ReaderState) -> list[ChangeItem]:
    return detect_changes(state.previous, state.skill, state.feedback_count)
