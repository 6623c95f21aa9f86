"""Skills: browse, read, compare and keep them, and say what you think of one."""

from typing import Annotated

from litestar import Request, Router, get, post, put
from litestar.connection import ASGIConnection
from litestar.enums import RequestEncodingType
from litestar.handlers import BaseRouteHandler
from litestar.params import BodyKwarg, JSONBody

from everyskill.errors import VersionNotFound
from everyskill.model import (
    FileDiff,
    Publication,
    Role,
    Skill,
    SkillDetail,
    SkillFeedback,
    SkillFeedbackPage,
    SkillListPage,
    VersionSummary,
)
from everyskill.model.inputs import MAX_LIMIT, MAX_VERSION
from everyskill.services.skills import DEFAULT_PAGE
from everyskill.web.api import examples
from everyskill.web.api.bodies import Archival, Count, NewFeedback, NewSlug, SkillUpload, VersionNumber
from everyskill.web.api.openapi import BODY_PROBLEMS, OptionalBody, cacheable_responses, responses, skill_responses
from everyskill.web.api.parameters import (
    Category,
    FeedbackCursor,
    Limit,
    NewestVersion,
    NewVersion,
    OldVersion,
    Since,
    SkillCursor,
    SkillId,
    SkillName,
    SkillSlug,
    Text,
    VersionId,
)
from everyskill.web.auth.authentication import CurrentIdentity, CurrentTenant, provide_identity, require_role
from everyskill.web.moments import read_moment

# Either says something; null says nothing.
_SAYS = [{"required": [name], "properties": {name: {"type": "string"}}} for name in ("comment", "sentiment")]
Feedback = Annotated[NewFeedback, BodyKwarg(media_type=RequestEncodingType.JSON, schema_extra={"anyOf": _SAYS})]


@get("/skills", responses=cacheable_responses(SkillListPage, examples.SKILLS))
async def list_skills(
    tenant: CurrentTenant,
    identity: CurrentIdentity,
    *,
    category: Category = None,
    text: Text = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: SkillCursor = None,
) -> SkillListPage:
    """A page of the catalog by slug, with your Updated badges. Records nothing."""
    return await tenant.list_skills(identity.user_id, category=category, text=text, limit=limit, cursor=cursor)


@get("/skills/{skill:str}", responses=skill_responses(SkillDetail, examples.SKILL_DETAIL, 410))
async def get_skill(tenant: CurrentTenant, identity: CurrentIdentity, skill: SkillName) -> SkillDetail:
    """A skill and the text of its published version. Records nothing."""
    return await tenant.get_skill(skill, user_id=identity.user_id)


@get("/skills/{skill:str}/versions", responses=skill_responses(list[VersionSummary], examples.VERSIONS))
async def list_versions(
    tenant: CurrentTenant, skill: SkillName, *, limit: Limit = MAX_LIMIT, up_to: NewestVersion = MAX_VERSION
) -> list[VersionSummary]:
    """A page of the versions of a skill, newest first, without their texts."""
    return await tenant.list_versions(skill, limit=limit, up_to=up_to)


@get("/skills/{skill:str}/diff", responses=skill_responses(list[FileDiff], examples.DIFF))
async def compare_versions(tenant: CurrentTenant, skill: SkillName, old: OldVersion, new: NewVersion) -> list[FileDiff]:
    """How two versions differ: texts that are kept line by line, other files by name."""
    return await tenant.compare_versions(skill, old, new)


@get("/skill-versions/{version_id:str}/number", responses=cacheable_responses(VersionNumber, VersionNumber(4), 404))
async def get_version_number(tenant: CurrentTenant, version_id: VersionId) -> VersionNumber:
    """The number of a version of which you have the id."""
    number = await tenant.get_version_number(version_id)
    if number is None:
        raise VersionNotFound(version_id)
    return VersionNumber(number)


@get("/skills/{skill_id:str}/feedback-count", responses=skill_responses(Count, Count(3)))
async def count_feedback(tenant: CurrentTenant, skill_id: SkillId, since: Since) -> Count:
    """How much feedback came since a moment."""
    return Count(await tenant.count_feedback_since(skill_id, read_moment("since", since)))


@get("/skills/{skill_id:str}/feedback", responses=skill_responses(SkillFeedbackPage, examples.FEEDBACK_PAGE))
async def list_feedback(
    tenant: CurrentTenant, skill_id: SkillId, limit: Limit = DEFAULT_PAGE, cursor: FeedbackCursor = None
) -> SkillFeedbackPage:
    """A page of what people say of the skill, newest first."""
    return await tenant.list_feedback(skill_id, limit=limit, cursor=cursor)


@post(
    "/skills/{skill_id:str}/feedback",
    responses=responses(201, SkillFeedback, examples.FEEDBACK, 404, 410, *BODY_PROBLEMS),
)
async def add_feedback(
    tenant: CurrentTenant, identity: CurrentIdentity, skill_id: SkillId, data: Feedback
) -> SkillFeedback:
    """Say what you think of the published version: a comment, a sentiment, or both."""
    return await tenant.add_feedback(
        skill_id,
        user_id=identity.user_id,
        comment=data.comment,
        sentiment=data.sentiment,
        feedback_type=data.feedback_type,
    )


async def require_admin(connection: ASGIConnection, _: BaseRouteHandler) -> None:  # type: ignore[type-arg] # a guard
    """A guard, so that the body that a member sends is not read."""
    assert isinstance(connection, Request)  # noqa: S101 - our routes are HTTP only
    require_role(await provide_identity(connection), Role.ADMIN)


# The parameter has the name that it has in get_skill: OpenAPI forbids two paths that differ only in names.
@put(
    "/skills/{skill:str}",
    guards=[require_admin],
    responses=responses(200, Publication, examples.PUBLICATION, 404, *BODY_PROBLEMS),
)
async def publish_skill(
    tenant: CurrentTenant, identity: CurrentIdentity, skill: SkillSlug, data: JSONBody[SkillUpload]
) -> Publication:
    """Publish a skill under this slug, or its next version; nothing happens where nothing changed. Admins only."""
    folder = await tenant.run_in_worker(lambda: data.folder(skill))
    return await tenant.publish_skill(folder, author_id=identity.user_id, note=data.note)


@post(
    "/skills/{skill_id:str}/archive",
    guards=[require_admin],
    status_code=200,
    responses=responses(200, Skill, examples.ARCHIVED, 404, *BODY_PROBLEMS),
    operation_class=OptionalBody,
)
async def archive_skill(tenant: CurrentTenant, skill_id: SkillId, data: JSONBody[Archival | None] = None) -> Skill:
    """Hide a skill from everybody, and say what to use instead to those who viewed it. Admins only."""
    return await tenant.archive_skill(skill_id, successor=None if data is None else data.successor)


@post(
    "/skills/{skill_id:str}/restore",
    guards=[require_admin],
    status_code=200,
    responses=responses(200, Skill, examples.SKILL, 403, 404, 415),
)
async def restore_skill(tenant: CurrentTenant, skill_id: SkillId) -> Skill:
    """Show an archived skill again. Admins only."""
    return await tenant.restore_skill(skill_id)


@post(
    "/skills/{skill_id:str}/rename",
    guards=[require_admin],
    status_code=200,
    responses=responses(200, Skill, examples.SKILL, 404, 409, *BODY_PROBLEMS),
)
async def rename_skill(tenant: CurrentTenant, skill_id: SkillId, data: JSONBody[NewSlug]) -> Skill:
    """Give a skill another slug, to which the old one leads. It stays itself and badges nobody. Admins only."""
    return await tenant.rename_skill(skill_id, data.slug)


router = Router(
    "/",
    route_handlers=[
        list_skills,
        get_skill,
        list_versions,
        compare_versions,
        get_version_number,
        count_feedback,
        list_feedback,
        add_feedback,
        archive_skill,
        restore_skill,
        rename_skill,
    ],
    tags=["Skills"],
)
