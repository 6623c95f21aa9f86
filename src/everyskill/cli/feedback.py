"""`feedback`: add feedback to a skill, and read it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from everyskill.cli.commands import command, group_of_commands, open_tenant
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
from everyskill.cli.views import note_new_slug
from everyskill.wording import ago

if TYPE_CHECKING:
    from everyskill.model import SkillFeedbackPage

SentimentName = Literal["positive", "neutral", "negative"]
TypeName = Literal["comment", "bug", "idea", "praise"]

group = group_of_commands("feedback", "Say what you think of a skill, and read what others say.")


@group.command()
@command
async def add(
    slug: Slug,
    *,
    comment: Annotated[str | None, typer.Option(help="What you have to say.")] = None,
    sentiment: Annotated[SentimentName | None, typer.Option(help="How you feel about it.")] = None,
    feedback_type: Annotated[TypeName, typer.Option("--type", help="What kind of feedback it is.")] = "comment",
    tenant_id: TenantId = DEFAULT_TENANT,
    user_id: UserId = DEFAULT_USER,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Add feedback to a skill: a comment, a sentiment, or both."""
    output = Output(as_json=as_json)
    async with open_tenant(tenant_id, database_url, user_id=user_id) as tenant:
        skill = (await tenant.get_skill(slug, user_id=user_id)).skill
        added = await tenant.add_feedback(
            skill.id, user_id=user_id, comment=comment, sentiment=sentiment, feedback_type=feedback_type
        )
    note_new_slug(output, slug, skill)
    output.result(added, [f"Feedback on {skill.slug} added."])


@group.command("list")
@command
async def list_(
    slug: Slug,
    *,
    limit: Annotated[int, typer.Option(help="How many, 1 to 100.")] = 50,
    cursor: Annotated[str | None, typer.Option(metavar="TEXT", help="Where the page before ended.")] = None,
    tenant_id: TenantId = DEFAULT_TENANT,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the feedback on a skill, newest first. Records no view."""
    output = Output(as_json=as_json)
    async with open_tenant(tenant_id, database_url) as tenant:
        skill = (await tenant.get_skill(slug)).skill
        page = await tenant.list_feedback(skill.id, limit=limit, cursor=cursor)
    note_new_slug(output, slug, skill)
    output.result(page, _feedback_lines(page))
    if page.next_cursor:
        words = f"feedback list {skill.slug} --limit {limit} --cursor {page.next_cursor}"
        more = next_command(words, tenant_id=tenant_id, database_url=database_url)
        output.note("", f"There is more: {more}")


def _feedback_lines(page: "SkillFeedbackPage") -> Iterator[Line]:
    if not page.items:
        yield "No feedback yet."
    for item in page.items:
        facts = (item.feedback_type, item.sentiment, ago(item.created_at), item.status)
        who = styled(item.user_name or item.user_id or "somebody", "bold")
        yield who.append("  " + " · ".join(fact for fact in facts if fact), "not bold dim")
        for line in (item.comment or "").splitlines():
            yield f"    {line}"
