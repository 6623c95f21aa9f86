"""Visits: what changed since the user's last view, computed before the new view is recorded (S6)."""

from collections.abc import Iterable

from everyskill.database.transactions import TenantConnection
from everyskill.database.views.lookups import Lookup
from everyskill.database.views.visits import SkillChanges, find_changes
from everyskill.errors import SkillNotFound
from everyskill.model.changes import ChangeItem, Visit, detect_changes
from everyskill.model.inputs import check_id, check_ids
from everyskill.services.skill_names import find_skill_id
from everyskill.services.skills import require_skill
from everyskill.services.tenant_scope import TenantScope
from everyskill.services.views import missing_error

# Of the files of versions, as JSON: some milliseconds of work.
_MAX_READ_HERE = 256 * 1024


async def get_changes(tenant: TenantScope, user_id: str, skill_id: str) -> list[ChangeItem]:
    """What changed about the skill since the user last saw it; nothing on a first visit. Records nothing.

    Raises SkillNotFound for a skill that is not there, hidden, or another tenant's, and SkillArchived for one that the
    user viewed; InvalidIdentifier.
    """
    user_id = check_id("user_id", user_id)
    skill_id = check_id("skill_id", skill_id)
    async with tenant._transactions.read() as connection:
        found = await _find(connection, user_id, skill_id)
    [summary] = await _summarize(tenant, [found])
    return summary


async def get_changes_for_skills(
    tenant: TenantScope, user_id: str, skill_ids: Iterable[str]
) -> dict[str, list[ChangeItem]]:
    """What get_changes gives, for many skills in one query, by the ids or slugs asked; one not there is not in it.

    No ids take no query (S12). Raises TooManyIds above 10,000, and InvalidIdentifier.
    """
    user_id = check_id("user_id", user_id)
    unique = check_ids("skill_id", skill_ids)
    if not unique:
        return {}
    async with tenant._transactions.read() as connection:
        [found] = await find_changes(connection, [Lookup.of(user_id, unique)])
    return dict(zip(found, await _summarize(tenant, list(found.values())), strict=True))


async def visit_skill(tenant: TenantScope, user_id: str, skill_id: str) -> Visit:
    """Shows what changed since the user last saw the skill, then records this view of the published version.

    Both in one transaction, which concurrent visits share. When this returns, it is committed (S14).

    Raises SkillNotFound for a skill that is not there, hidden, or another tenant's, and SkillArchived for one that the
    user viewed; UserNotFound, TenantNotFound, InvalidIdentifier, Overloaded.
    """
    user_id = check_id("user_id", user_id)
    skill_id = check_id("skill_id", skill_id)
    found = await tenant._batched.visit(tenant.tenant_id, user_id, skill_id)
    if found == "skill":
        # Not an id, then: maybe a slug.
        skill_id = await find_skill_id(tenant, skill_id, user_id)
        found = await tenant._batched.visit(tenant.tenant_id, user_id, skill_id)
    if isinstance(found, str):
        raise missing_error(found, tenant.tenant_id, user_id, skill_id)
    [summary] = await _summarize(tenant, [found])
    return Visit(found.previous, summary, found.published_version, found.as_of)


async def _find(connection: TenantConnection, user_id: str, skill_id: str) -> SkillChanges:
    [found] = await find_changes(connection, [Lookup.of(user_id, [skill_id])])
    if skill_id not in found:
        await require_skill(connection, skill_id, user_id=user_id)
        raise SkillNotFound(skill_id)
    return found[skill_id]


async def _summarize(tenant: TenantScope, found: list[SkillChanges]) -> list[list[ChangeItem]]:
    if sum(changes.size for changes in found) <= _MAX_READ_HERE:
        return [_summary(changes) for changes in found]
    return await tenant.run_in_worker(lambda: [_summary(changes) for changes in found])


def _summary(found: SkillChanges) -> list[ChangeItem]:
    seen, published = (None if version is None else version.read() for version in (found.seen, found.published))
    return detect_changes(found.previous, found, found.feedback_count, seen=seen, published=published)
