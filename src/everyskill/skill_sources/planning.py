"""Says what a synchronization would do, and whether that is so much that somebody must confirm it."""

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path

from msgspec import Struct, field

from everyskill import services
from everyskill.errors import NeedsConfirmation
from everyskill.model.diffs import compare_files
from everyskill.model.skills import SkillFile, SkillFolder, SkillStatus
from everyskill.model.sources import SourcedSkill
from everyskill.services.tenant_scope import TenantScope
from everyskill.skill_folders.importer import ImportReport, list_skill_folders
from everyskill.skill_folders.reader import read_skill_folders

# A source of fewer skills may lose half of them without being asked.
MIN_SKILLS_OF_SOURCE = 10


class PlannedUpdate(Struct, frozen=True, kw_only=True):
    """What an update would change of a skill. `description` is the new one, where it is another."""

    slug: str
    description: str | None = None
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


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


async def describe_updates(tenant: TenantScope, root: Path, slugs: Collection[str]) -> list[PlannedUpdate]:
    """What would change of each of these skills, by slug."""
    folders = await asyncio.to_thread(_read_folders, root, frozenset(slugs))
    return [await _describe(tenant, folder) for folder in folders]


def _read_folders(root: Path, slugs: frozenset[str]) -> list[SkillFolder]:
    results = read_skill_folders(list_skill_folders(root), root=root)
    found = [skill for _, skill in results if isinstance(skill, SkillFolder) and skill.slug in slugs]
    return sorted(found, key=lambda skill: skill.slug)


async def _describe(tenant: TenantScope, folder: SkillFolder) -> PlannedUpdate:
    detail = await services.get_skill(tenant, folder.slug, include_hidden=True)
    old = detail.published
    if old is None:
        return PlannedUpdate(slug=folder.slug)
    paths: dict[str, list[str]] = {"added": [], "changed": [], "removed": []}
    if _hash_of_text(old.files) != _hash_of_text(folder.files):
        paths["changed"].append("SKILL.md")
    for difference in compare_files(old.files, folder.files):
        paths[difference.status].append(difference.path)
    return PlannedUpdate(
        slug=folder.slug,
        description=None if old.description == folder.description else folder.description,
        **paths,
    )


def _hash_of_text(files: Sequence[SkillFile]) -> str | None:
    return next((file.hash for file in files if file.is_skill), None)
