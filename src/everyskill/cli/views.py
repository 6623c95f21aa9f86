"""`view` and `changes`: what changed in one skill since you last looked."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from everyskill.cli.commands import command, open_tenant
from everyskill.cli.lines import Line, styled
from everyskill.cli.options import (
    DEFAULT_TENANT,
    DEFAULT_USER,
    AsJson,
    DatabaseUrl,
    Slug,
    TenantId,
    UserId,
    next_command,
)
from everyskill.cli.output import Output
from everyskill.wording import ago

if TYPE_CHECKING:
    from everyskill.model import ChangeItem, Skill, Visit


@command
async def view(
    slug: Slug,
    tenant_id: TenantId = DEFAULT_TENANT,
    user_id: UserId = DEFAULT_USER,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """View a skill: print what changed since you last looked, then record the view."""
    output = Output(as_json=as_json)
    async with open_tenant(tenant_id, database_url, user_id=user_id) as tenant:
        skill = (await tenant.get_skill(slug, user_id=user_id)).skill
        visit = await tenant.visit_skill(user_id, skill.id)
    note_new_slug(output, slug, skill)
    output.result({"skill": skill, "visit": visit}, _visit_lines(skill, visit))
    read = next_command(f"skills show {skill.slug} --content", tenant_id=tenant_id, database_url=database_url)
    output.note("", f"To read it: {read}")


@command
async def changes(
    slug: Slug,
    tenant_id: TenantId = DEFAULT_TENANT,
    user_id: UserId = DEFAULT_USER,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Print what changed in a skill since you last looked. Records no view."""
    output = Output(as_json=as_json)
    async with open_tenant(tenant_id, database_url, user_id=user_id) as tenant:
        skill = (await tenant.get_skill(slug, user_id=user_id)).skill
        found = await tenant.get_changes(user_id, skill.id)
    note_new_slug(output, slug, skill)
    nothing = f"{skill.slug}: nothing that you saw has changed."
    output.result(found, [*change_lines(found, indent="")] or [nothing])


def change_lines(changes: "Iterable[ChangeItem]", *, indent: str = "    ") -> Iterator[str]:
    """A change summary, one line per change, with who made it and why."""
    for change in changes:
        said = f"{change.label}: {change.detail}" if change.detail else change.label
        author = f", by {change.author}" if change.author else ""
        yield indent + said + author + (f": “{change.note}”" if change.note else "")


def note_new_slug(output: Output, asked: str, skill: "Skill") -> None:
    """Says so where a skill was asked for by a slug that it had before."""
    if asked not in {skill.slug, skill.id}:
        output.note(f"{asked} is called {skill.slug} now.")


def heading(skill: "Skill", *facts: str) -> Line:
    """A skill's name, its slug where that differs, its category, and the facts given."""
    slug = () if skill.slug == skill.name else (skill.slug,)
    return styled(skill.name, "bold").append("  " + " · ".join((*slug, skill.category, *facts)), "not bold dim")


def _visit_lines(skill: "Skill", visit: "Visit") -> Iterator[Line]:
    yield heading(skill, f"v{visit.version}")
    yield skill.description
    yield ""
    if visit.previous is None:
        yield "This is your first view of it."
    elif visit.changes:
        yield f"Since you last looked, {ago(visit.previous.last_viewed_at, visit.viewed_at)}:"
        yield from change_lines(visit.changes)
    else:
        yield f"Nothing has changed since you last looked, {ago(visit.previous.last_viewed_at, visit.viewed_at)}."
