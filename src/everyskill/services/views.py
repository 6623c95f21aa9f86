"""Views: who last saw which skill, and which of them were updated since."""

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from everyskill.database.views.record import Missing
from everyskill.errors import EverySkillError, SkillNotFound, TenantNotFound, UserNotFound
from everyskill.model.inputs import check_id, check_ids, check_moment, check_version
from everyskill.model.views import NewUserSkillView, UserSkillView, ViewState
from everyskill.services.skill_names import find_skill_id
from everyskill.services.tenant_scope import TenantScope


async def record_skill_view(
    tenant: TenantScope,
    user_id: str,
    skill_id: str,
    current_version: int | None,
    viewed_at: datetime | None = None,
) -> None:
    """Records that the user saw the skill; when this returns, it is committed (S14).

    `current_version` is the version the page showed, None if that is not known. `viewed_at` is the moment the page was
    rendered, now by default. Neither counts beyond the published version and the database's clock (S5), and neither
    ever moves the row back (S4); the count grows by one.

    Concurrent calls share a transaction. A call that is cancelled may have been recorded.

    Raises SkillNotFound for a skill that is not there, hidden, or another tenant's, and SkillArchived for one that the
    user viewed; UserNotFound, TenantNotFound, InvalidIdentifier, InvalidVersion, InvalidTimestamp, Overloaded.
    """
    view = NewUserSkillView(
        tenant_id=tenant.tenant_id,
        user_id=check_id("user_id", user_id),
        skill_id=check_id("skill_id", skill_id),
        last_viewed_at=None if viewed_at is None else check_moment("viewed_at", viewed_at),
        last_viewed_version=None if current_version is None else check_version(current_version),
    )
    missing = await tenant._batched.record(view)
    if missing == "skill":
        # Not an id, then: maybe a slug.
        view = replace(view, skill_id=await find_skill_id(tenant, view.skill_id, view.user_id))
        missing = await tenant._batched.record(view)
    if missing is not None:
        raise missing_error(missing, tenant.tenant_id, user_id, skill_id)


async def get_user_view(tenant: TenantScope, user_id: str, skill_id: str) -> UserSkillView | None:
    """The user's last view of the skill; None when there is none, whatever the reason (S15).

    Batched as get_user_views_for_skills is. Raises InvalidIdentifier and Overloaded.
    """
    return (await get_user_views_for_skills(tenant, user_id, [skill_id])).get(skill_id)


async def get_user_views_for_skills(
    tenant: TenantScope, user_id: str, skill_ids: Iterable[str]
) -> dict[str, UserSkillView]:
    """The user's last views by the ids or slugs asked; a skill never viewed is not in the dict.

    One query whatever the number of ids, each asked once; none at all for no ids (S12). Concurrent calls share it.
    Raises TooManyIds above 10,000, InvalidIdentifier, and Overloaded.
    """
    user_id = check_id("user_id", user_id)
    unique = check_ids("skill_id", skill_ids)
    if not unique:
        return {}
    return await tenant._batched.find_views(tenant.tenant_id, user_id, unique)


async def get_updated_skill_ids(tenant: TenantScope, user_id: str, skill_ids: Iterable[str]) -> set[str]:
    """Which of these ids or slugs deserve an Updated badge for the user (S1).

    Raises as get_user_views_for_skills does.
    """
    user_id = check_id("user_id", user_id)
    unique = check_ids("skill_id", skill_ids)
    if not unique:
        return set()
    return await tenant._batched.find_updated(tenant.tenant_id, user_id, unique)


async def get_view_states(tenant: TenantScope, user_id: str, skill_ids: Iterable[str]) -> dict[str, ViewState]:
    """The user's last views by the ids or slugs asked, each with whether it deserves a badge (S1), in one query (S12).

    Raises TooManyIds above 10,000, InvalidIdentifier, and Overloaded.
    """
    user_id = check_id("user_id", user_id)
    unique = check_ids("skill_id", skill_ids)
    if not unique:
        return {}
    return await tenant._batched.find_view_states(tenant.tenant_id, user_id, unique)


def missing_error(missing: Missing, tenant_id: str, user_id: str, skill_id: str) -> EverySkillError:
    """The error that says what a view could not be recorded without."""
    if missing == "tenant":
        return TenantNotFound(tenant_id)
    return UserNotFound(user_id) if missing == "user" else SkillNotFound(skill_id)
