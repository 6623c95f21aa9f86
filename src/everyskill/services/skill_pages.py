"""A skill's page: what it says, what changed since this user's last view, and what others say of it."""

from datetime import datetime, timedelta

from everyskill.database.catalog import feedback, versions
from everyskill.database.catalog.visible_at import read_clock
from everyskill.database.transactions import TenantConnection
from everyskill.database.views.comparisons import find_facts, find_publishers
from everyskill.database.views.lookups import Lookup, find_views
from everyskill.model.changes import MAX_NEW_FEEDBACK, detect_changes, is_updated
from everyskill.model.comparisons import Pair
from everyskill.model.diffs import FileDiff, diff_versions
from everyskill.model.inputs import check_id, check_moment, check_type, check_version
from everyskill.model.skill_pages import SkillPageContent
from everyskill.model.skills import Skill, SkillVersion
from everyskill.model.views import AnyView, ViewBeforeVisit
from everyskill.services.skills import require_skill
from everyskill.services.tenant_scope import TenantScope
from everyskill.services.versions import find_texts
from everyskill.services.visits import compare

MAX_FEEDBACK = 50
# One more than a page lists, which says so.
MAX_VERSIONS = 201


async def get_skill_page(
    tenant: TenantScope, user_id: str, slug_or_id: str, *, before_visit: ViewBeforeVisit | None = None
) -> SkillPageContent:
    """All that a skill's page shows to a user, in one snapshot. Records nothing (S10).

    What changed is compared with the user's view row. Where the page is loaded again, its first load has recorded the
    visit: then it is compared with `before_visit`. A page records the version of `published` at `as_of`.

    Raises SkillNotFound for a skill that is not there, hidden, or another tenant's, and SkillArchived for one that the
    user viewed; InvalidArgument, InvalidIdentifier, InvalidVersion, InvalidTimestamp.
    """
    user_id = check_id("user_id", user_id)
    slug_or_id = check_id("skill", slug_or_id)
    before = None if before_visit is None else _check_view(before_visit)
    async with tenant._transactions.read(snapshot=True) as connection:
        skill = await require_skill(connection, slug_or_id, user_id=user_id)
        [views] = await find_views(connection, [Lookup(user_id, [skill.id])])
        view = views.get(skill.id)
        is_recorded = view is not None and before is not None and _is_same(view.last_viewed_at, before.visited_at)
        previous: AnyView | None = before if is_recorded else view
        published = await _find_version(connection, skill, skill.published_version)
        seen = await _find_version(connection, skill, None if previous is None else previous.last_viewed_version)
        feedback_count = await _count_feedback(connection, skill, previous, user_id)
        pair = _pair(tenant, skill, previous, seen)
        publishers = None if pair is None else await find_publishers(connection, pair)
        comparison = None if pair is None else tenant._comparisons.find(pair)
        stored = {} if pair is None or comparison is not None else await find_facts(connection, [pair])
        texts = await _find_texts(connection, seen, published)
        history = await versions.list_versions(connection, skill.id, limit=MAX_VERSIONS)
        newest_feedback = await feedback.list_feedback(connection, skill.id, limit=MAX_FEEDBACK)
        # After the snapshot, and never before what is shown, though the clock was set back.
        as_of = max(await read_clock(connection), skill.updated_at)
    if pair is not None and stored:
        comparison = (await compare(tenant, stored))[pair]
    return SkillPageContent(
        skill=skill,
        published=published,
        view=view,
        previous=previous,
        is_recorded=is_recorded,
        changes=detect_changes(previous, skill, feedback_count, compared=comparison or (), publishers=publishers),
        diff=await _diff(tenant, seen, published, texts),
        versions=history,
        feedback=newest_feedback,
        as_of=as_of,
    )


def _check_view(view: ViewBeforeVisit) -> ViewBeforeVisit:
    check_type("before_visit", view, ViewBeforeVisit)
    version = None if view.last_viewed_version is None else check_version(view.last_viewed_version)
    return ViewBeforeVisit(
        check_moment("last_viewed_at", view.last_viewed_at), version, check_moment("visited_at", view.visited_at)
    )


def _is_same(stored: datetime, moment: datetime) -> bool:
    # What is stored was rounded to the millisecond (S13).
    return abs(stored - moment) < timedelta(milliseconds=1)


async def _find_version(connection: TenantConnection, skill: Skill, number: int | None) -> SkillVersion | None:
    return None if number is None else await versions.find_version(connection, skill.id, number)


def _pair(tenant: TenantScope, skill: Skill, previous: AnyView | None, seen: SkillVersion | None) -> Pair | None:
    """The versions to compare, if any."""
    if seen is None or seen.version == skill.published_version or not is_updated(previous, skill):
        return None
    return Pair(tenant.tenant_id, skill.id, seen.version, skill.published_version or 0)


async def _count_feedback(connection: TenantConnection, skill: Skill, previous: AnyView | None, user_id: str) -> int:
    if previous is None:
        return 0
    return await feedback.count_feedback_since(
        connection, skill.id, previous.last_viewed_at, at_most=MAX_NEW_FEEDBACK + 1, excluding_user_id=user_id
    )


async def _find_texts(
    connection: TenantConnection, old: SkillVersion | None, new: SkillVersion | None
) -> dict[str, str]:
    if old is None or new is None or old.version >= new.version:
        return {}
    return await find_texts(connection, old, new)


async def _diff(
    tenant: TenantScope, old: SkillVersion | None, new: SkillVersion | None, texts: dict[str, str]
) -> list[FileDiff]:
    if old is None or new is None or old.version >= new.version:
        return []
    return await tenant.run_in_worker(lambda: diff_versions(old, new, tenant._diff_lines, texts=texts))
