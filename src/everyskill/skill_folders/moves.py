"""Finds skills that were moved: gone from a tree under one slug, and there under another with the same content."""

import asyncio
import re
from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256

from msgspec import Struct

from everyskill import services
from everyskill.model.skills import SkillFolder, SkillVersion, hash_of_files
from everyskill.services.tenant_scope import TenantScope

# The line of the front matter that says the name, which follows the folder's.
_NAME_LINE = re.compile(r"\A(---[ \t]*\r?\n(?:(?!---).*\n)*?)name:.*\n")


class Move(Struct, frozen=True):
    """A skill that has another slug in a tree than it has in the catalog."""

    old: str
    new: str


class Likeness(Struct, frozen=True):
    """What two skills have in common that hold the same, in all or but for the name in SKILL.md."""

    whole: str
    but_for_name: str


def likeness_of(skill: SkillFolder | SkillVersion) -> Likeness:
    """The likeness of a folder, or of a version in the catalog."""
    nameless = sha256(_NAME_LINE.sub(r"\1", skill.content).encode(errors="surrogatepass")).hexdigest()
    others = hash_of_files(file for file in skill.files if not file.is_skill)
    return Likeness(hash_of_files(skill.files), f"{nameless} {others}")


def find_moves(missing: Mapping[str, Likeness], added: Mapping[str, Likeness]) -> list[Move]:
    """The skills that are missing under their slugs, each with the one new slug under which it is there.

    Where several are alike, nobody can tell which became which, and none is taken for moved.
    """
    whole = _pairs({slug: like.whole for slug, like in missing.items()}, {s: like.whole for s, like in added.items()})
    rest = _pairs(
        {slug: like.but_for_name for slug, like in missing.items() if slug not in whole},
        {slug: like.but_for_name for slug, like in added.items() if slug not in whole.values()},
    )
    return [Move(old, new) for old, new in sorted((whole | rest).items())]


async def find_moved_skills(tenant: TenantScope, missing: Collection[str], added: Iterable[SkillFolder]) -> list[Move]:
    """Which of the published skills that are missing from a tree were moved to which of its new folders."""
    of_added = await asyncio.to_thread(lambda: {skill.slug: likeness_of(skill) for skill in added})
    of_missing: dict[str, Likeness] = {}
    for slug in missing if of_added else ():
        published = (await services.get_skill(tenant, slug, include_hidden=True)).published
        if published is not None:
            of_missing[slug] = likeness_of(published)
    return find_moves(of_missing, of_added)


def _pairs(missing: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    gone, new = _only_ones(missing), _only_ones(added)
    return {gone[content]: new[content] for content in gone.keys() & new.keys()}


def _only_ones(contents: Mapping[str, str]) -> dict[str, str]:
    """By content the one slug that has it; contents of several slugs are left out."""
    slugs: dict[str, list[str]] = {}
    for slug, content in contents.items():
        slugs.setdefault(content, []).append(slug)
    return {content: of_it[0] for content, of_it in slugs.items() if len(of_it) == 1}
