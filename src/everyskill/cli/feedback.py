"""`feedback`: add feedback to a skill."""

from typing import Annotated, Literal

import typer

from everyskill.cli.commands import command, group_of_commands, open_tenant
from everyskill.cli.options import DEFAULT_TENANT, DEFAULT_USER, AsJson, DatabaseUrl, Slug, TenantId, UserId
from everyskill.cli.output import Output

SentimentName = Literal["positive", "neutral", "negative"]
TypeName = Literal["comment", "bug", "idea", "praise"]

group = group_of_commands("feedback", "Say what you think of a skill.")


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
    async with open_tenant(tenant_id, database_url, user_id=user_id) as tenant:
        skill = (await tenant.get_skill(slug)).skill
        added = await tenant.add_feedback(
            skill.id, user_id=user_id, comment=comment, sentiment=sentiment, feedback_type=feedback_type
        )
    Output(as_json=as_json).result(added, [f"Feedback on {slug} added."])
