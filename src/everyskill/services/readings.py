"""Reading a skill's page: what it says, what changed since this person last looked, and what others say of it."""

import asyncio
from datetime import datetime, timedelta

from everyskill.database import skill_feedback, skill_versions, user_skill_views
from everyskill.database.scope import TenantConnection, TenantScope
from everyskill.database.user_skill_views import Lookup
from everyskill.database.visibility import read_clock
from everyskill.errors import SkillNotFound
from everyskill.model.changes import SkillState, VersionFacts, detect_changes
from everyskill.model.diffs import FileDiff, diff_versions
from everyskill.model.inputs import check_id, check_moment, check_version
from everyskill.model.readings import SkillReading
from everyskill.model.skills import Skill, SkillVersion
from everyskill.model.views import AnyLook, LookBefore

MOST_FEEDBACK = 50


async def read_skill_for_user(
    tenant: TenantScope, user_id: str, slug_or_id: str, *, since: LookBefore | None = None
) -> SkillReading:
    """All that a skill's page shows to a person, in one snapshot. Records nothing (S10).

    What changed is told against the person's view row, or against `since` where the person's last visit is the one that
    it came before: after the page recorded the view that its reader is still looking at. What to record is the version
    of `published`, and `as_of`.

    Raises SkillNotFound for a skill that is not there, hidden, or another tenant's; InvalidIdentifier, InvalidVersion,
    InvalidTimestamp.
    """
    check_id("user_id", user_id)
    check_id("skill", slug_or_id)
    before = None if since is None else _checked(since)
    async with tenant.reading(snapshot=True) as connection:
        skill = await skill_versions.find_visible_skill(connection, slug_or_id)
        if skill is None:
            raise SkillNotFound(slug_or_id)
        [views] = await user_skill_views.find_views(connection, [Lookup(0, user_id, [skill.id])])
        view = views.get(skill.id)
        is_seen = view is not None and before is not None and _is_moment(view.last_viewed_at, before.visited_at)
        look: AnyLook | None = before if is_seen else view
        published = await _version(connection, skill, skill.published_version)
        seen = None if look is None else await _version(connection, skill, look.last_viewed_version)
        new = 0 if look is None else await skill_feedback.count_since(connection, skill.id, look.last_viewed_at)
        versions = await skill_versions.find_summaries(connection, skill.id)
        feedback = await skill_feedback.find_feedback(connection, skill.id, limit=MOST_FEEDBACK)
        # Behind the snapshot, so no change that is in it has a later moment.
        as_of = await read_clock(connection)
    state = SkillState(skill.status, skill.updated_at, skill.published_version, _facts(published), _facts(seen))
    return SkillReading(
        skill=skill,
        published=published,
        view=view,
        since=look,
        is_seen=is_seen,
        changes=detect_changes(look, state, new),
        diff=await _diff(seen, published),
        versions=versions,
        feedback=feedback,
        as_of=as_of,
    )


def _checked(look: LookBefore) -> LookBefore:
    version = None if look.last_viewed_version is None else check_version(look.last_viewed_version)
    return LookBefore(check_moment("since", look.last_viewed_at), version, check_moment("visited", look.visited_at))


def _is_moment(stored: datetime, moment: datetime) -> bool:
    # What is stored was rounded to the millisecond (S13).
    return abs(stored - moment) < timedelta(milliseconds=1)


async def _version(connection: TenantConnection, skill: Skill, number: int | None) -> SkillVersion | None:
    return None if number is None else await skill_versions.find_version(connection, skill.id, number)


def _facts(version: SkillVersion | None) -> VersionFacts | None:
    return None if version is None else VersionFacts(version.description, version.files)


async def _diff(old: SkillVersion | None, new: SkillVersion | None) -> list[FileDiff]:
    if old is None or new is None or old.version >= new.version:
        return []
    # Long texts take a while to compare, and others wait on this loop.
    return await asyncio.to_thread(diff_versions, old, new)
