"""Views: record one, and ask what was seen."""

from litestar import Router, get, post
from litestar.params import JSONBody

from everyskill.errors import ViewNotFound
from everyskill.model import ChangeItem, UserSkillView, ViewState, Visit
from everyskill.web.api import examples
from everyskill.web.api.bodies import ViewLookup, ViewReport
from everyskill.web.api.openapi import BODY_PROBLEMS, OptionalBody, cacheable_responses, responses, skill_responses
from everyskill.web.api.parameters import SkillId, SkillIds
from everyskill.web.auth.authentication import CurrentIdentity, CurrentTenant
from everyskill.web.moments import read_moment


@post(
    "/skills/{skill_id:str}/views",
    status_code=204,
    responses=responses(204, None, None, 404, 410, *BODY_PROBLEMS),
    operation_class=OptionalBody,
)
async def record_view(
    tenant: CurrentTenant, identity: CurrentIdentity, skill_id: SkillId, data: JSONBody[ViewReport | None] = None
) -> None:
    """Record that you saw the skill. When this is answered, it is committed."""
    report = data or ViewReport()
    viewed_at = None if report.viewed_at is None else read_moment("viewed_at", report.viewed_at)
    await tenant.record_skill_view(identity.user_id, skill_id, report.version, viewed_at)


@get("/skills/{skill_id:str}/view", responses=skill_responses(UserSkillView, examples.VIEW))
async def get_view(tenant: CurrentTenant, identity: CurrentIdentity, skill_id: SkillId) -> UserSkillView:
    """When you last saw the skill, in which version, and how often you came."""
    view = await tenant.get_user_view(identity.user_id, skill_id)
    if view is None:
        raise ViewNotFound(skill_id)
    return view


@get("/views", responses=cacheable_responses(dict[str, ViewState], examples.VIEW_STATES))
async def get_views(
    tenant: CurrentTenant, identity: CurrentIdentity, skill_ids: SkillIds = None
) -> dict[str, ViewState]:
    """Your views of some skills, by what you called them, ids or slugs; a skill you never saw is not in it."""
    return await tenant.get_view_states(identity.user_id, skill_ids or [])


@post(
    "/views/lookup",
    status_code=200,
    responses=responses(200, dict[str, ViewState], examples.VIEW_STATES, *BODY_PROBLEMS),
)
async def look_up_views(
    tenant: CurrentTenant, identity: CurrentIdentity, data: JSONBody[ViewLookup]
) -> dict[str, ViewState]:
    """The same for more ids than an address can hold. Records nothing."""
    return await tenant.get_view_states(identity.user_id, data.skill_ids)


@get("/skills/{skill_id:str}/changes", responses=skill_responses(list[ChangeItem], examples.CHANGES, 410))
async def get_changes(tenant: CurrentTenant, identity: CurrentIdentity, skill_id: SkillId) -> list[ChangeItem]:
    """What changed about the skill since you last saw it. Records nothing."""
    return await tenant.get_changes(identity.user_id, skill_id)


@post(
    "/skills/{skill_id:str}/visit", status_code=200, responses=responses(200, Visit, examples.VISIT, 403, 404, 410, 415)
)
async def visit(tenant: CurrentTenant, identity: CurrentIdentity, skill_id: SkillId) -> Visit:
    """What changed about the skill since you last saw it; then this view is recorded."""
    return await tenant.visit_skill(identity.user_id, skill_id)


router = Router(
    "/",
    route_handlers=[record_view, get_view, get_views, look_up_views, get_changes, visit],
    tags=["Views"],
)
