"""`view` and `changes`: what changed about one skill since you last looked."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from everyskill.cli.lines import Line, styled
from everyskill.cli.options import DEFAULT_TENANT, DEFAULT_USER, AsJson, DatabaseUrl, Slug, TenantId, UserId, follow_up
from everyskill.cli.output import Output
from everyskill.cli.running import command, open_tenant
from everyskill.wording import ago

if TYPE_CHECKING:
    from everyskill.model import ChangeItem, Skill, Visit


@command
async def view(
    slug: Slug,
    tenant: TenantId = DEFAULT_TENANT,
    user: UserId = DEFAULT_USER,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Look at a skill: print what changed, then record the look."""
    output = Output(as_json=as_json)
    async with open_tenant(tenant, database_url, user_id=user) as house:
        skill = (await house.get_skill(slug)).skill
        visit = await house.visit_skill(user, skill.id)
    output.answer({"skill": skill, "visit": visit}, _visit_lines(skill, visit))
    output.say(
        "", f"To read it: {follow_up(f'skills show {slug} --content', tenant=tenant, database_url=database_url)}"
    )


@command
async def changes(
    slug: Slug,
    tenant: TenantId = DEFAULT_TENANT,
    user: UserId = DEFAULT_USER,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Print what changed about a skill, and record nothing."""
    async with open_tenant(tenant, database_url, user_id=user) as house:
        skill = (await house.get_skill(slug)).skill
        found = await house.get_changes(user, skill.id)
    nothing = f"{slug}: nothing that you saw has changed."
    Output(as_json=as_json).answer(found, [*change_lines(found, indent="")] or [nothing])


def change_lines(changes: "Iterable[ChangeItem]", *, indent: str = "    ") -> Iterator[str]:
    """A change summary, a line an item."""
    for change in changes:
        yield indent + (f"{change.label}: {change.detail}" if change.detail else change.label)


def heading(skill: "Skill", *facts: str) -> Line:
    """A skill's name, its slug where that differs, its category, and what else there is to say."""
    slug = () if skill.slug == skill.name else (skill.slug,)
    return styled(skill.name, "bold").append("  " + " · ".join((*slug, skill.category, *facts)), "not bold dim")


def _visit_lines(skill: "Skill", visit: "Visit") -> Iterator[Line]:
    yield heading(skill, f"v{visit.version}")
    yield skill.description
    yield ""
    if visit.previous is None:
        yield "This is your first look at it."
    elif visit.changes:
        yield f"Since you last looked, {ago(visit.previous.last_viewed_at, visit.viewed_at)}:"
        yield from change_lines(visit.changes)
    else:
        yield f"Nothing has changed since you last looked, {ago(visit.previous.last_viewed_at, visit.viewed_at)}."
