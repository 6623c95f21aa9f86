"""Says what a synchronization would do, and whether that is so much that somebody must confirm it."""

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path

from msgspec import Struct, field

from everyskill import services
from everyskill.errors import NeedsConfirmation
from everyskill.model.capabilities import find_capabilities
from everyskill.model.changes import ChangeItem, VersionFacts, compare_facts
from everyskill.model.skills import SkillFolder, SkillStatus, SkillVersion
from everyskill.model.sources import SourcedSkill
from everyskill.services.tenant_scope import TenantScope
from everyskill.skill_folders.importer import ImportReport, find_known_slugs, list_skill_folders
from everyskill.skill_folders.reader import read_skill_folders

# A source of fewer skills may lose half of them without being asked.
MIN_SKILLS_OF_SOURCE = 10


class PlannedUpdate(Struct, frozen=True, kw_only=True):
    """What an update would change of a skill, as a change summary says it."""

    slug: str
    changes: list[ChangeItem] = field(default_factory=list)


def check_scale(skills: Sequence[SourcedSkill], address: str, plan: ImportReport) -> None:
    """Raises NeedsConfirmation where more than half of the catalog would be archived or overwritten.

    So it does where more than half of a source's skills would be archived. Overwritten is what was not from this
    source: that a source changes its own skills is what it is for.
    """
    published = {skill.slug for skill in skills if skill.status is SkillStatus.PUBLISHED}
    own = {skill.slug for skill in skills if skill.source == address} & published
    overwritten = len((set(plan.updated) & published) - own)
    archived = len(plan.archived)
    is_much_of_source = len(own) >= MIN_SKILLS_OF_SOURCE and archived > len(own) / 2
    if archived + overwritten > len(published) / 2 or is_much_of_source:
        raise NeedsConfirmation(archived, overwritten)


async def describe_updates(
    tenant: TenantScope, root: Path, slugs: Collection[str], *, source: str | None
) -> list[PlannedUpdate]:
    """What would change of each of these skills, by slug."""
    known = await find_known_slugs(tenant, source)
    folders = await asyncio.to_thread(list_skill_folders, root)
    results = read_skill_folders(folders, root=root, known_slugs=known, file_limits=tenant.file_limits)
    found = []
    # One by one: all of them may be larger than memory.
    while read := await asyncio.to_thread(next, results, None):
        if isinstance(read[1], SkillFolder) and read[1].slug in slugs:
            found.append(await _describe(tenant, read[1]))
    return sorted(found, key=lambda update: update.slug)


async def _describe(tenant: TenantScope, folder: SkillFolder) -> PlannedUpdate:
    old = (await services.get_skill(tenant, folder.slug, include_hidden=True)).published
    changes = [] if old is None else await asyncio.to_thread(_compare, old, folder)
    return PlannedUpdate(slug=folder.slug, changes=changes)


def _compare(old: SkillVersion, folder: SkillFolder) -> list[ChangeItem]:
    before, after = (
        VersionFacts(
            description=each.description,
            files=each.files,
            name=each.name,
            category=each.category,
            content=each.content,
            capabilities=find_capabilities(each) if isinstance(each, SkillFolder) else each.capabilities,
        )
        for each in (old, folder)
    )
    return list(compare_facts(before, after))
