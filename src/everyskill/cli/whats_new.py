"""`whats-new` and `mark-seen`: the feed of what changed since you last looked, and marking all of it as seen."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from everyskill.cli.commands import command, open_tenant
from everyskill.cli.lines import Line, styled
from everyskill.cli.options import DEFAULT_TENANT, DEFAULT_USER, AsJson, DatabaseUrl, TenantId, UserId, next_command
from everyskill.cli.output import Output
from everyskill.wording import ago, count

if TYPE_CHECKING:
    from everyskill.model import WhatsNewItem, WhatsNewPage


@command
async def whats_new(
    *,
    limit: Annotated[int, typer.Option(help="How many, 1 to 100.")] = 10,
    cursor: Annotated[str | None, typer.Option(metavar="TEXT", help="Where the page before ended.")] = None,
    tenant_id: TenantId = DEFAULT_TENANT,
    user_id: UserId = DEFAULT_USER,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List what changed since you last looked, newest first.

    A change is listed for 30 days, unless you view the skill before.
    """
    output = Output(as_json=as_json)
    async with open_tenant(tenant_id, database_url, user_id=user_id) as tenant:
        page = await tenant.get_whats_new_page(user_id, limit, cursor)
    output.result(page, feed_lines(page))
    if page.next_cursor:
        words = f"whats-new --limit {limit} --cursor {page.next_cursor}"
        more = next_command(words, tenant_id=tenant_id, user_id=user_id, database_url=database_url)
        output.note("", f"There is more: {more}")


def _parse_timestamp(text: str) -> datetime:
    try:
        timestamp = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter("not a timestamp such as 2026-01-31T12:00:00Z") from error
    if timestamp.utcoffset() is None:
        raise typer.BadParameter("needs a time zone, as in 2026-01-31T12:00:00Z")
    return timestamp


@command
async def mark_seen(
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=_parse_timestamp, metavar="RFC3339", help="The as_of of the list you saw. Unset: now."),
    ] = None,
    tenant_id: TenantId = DEFAULT_TENANT,
    user_id: UserId = DEFAULT_USER,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take the Updated badge from every skill.

    What changed after --as-of, the time of the list you saw, keeps it.
    """
    async with open_tenant(tenant_id, database_url, user_id=user_id) as tenant:
        seen_at = as_of or (await tenant.get_whats_new_page(user_id, limit=1)).as_of
        marked = await tenant.mark_all_seen(user_id, seen_at)
    Output(as_json=as_json).result({"marked": marked, "as_of": seen_at}, [f"{count(marked, 'skill')} marked as seen."])


def feed_lines(page: "WhatsNewPage", *, nothing: str = "Nothing has changed since you last looked.") -> Iterator[Line]:
    """A page of the feed for people: a heading and a sentence for each item."""
    # A program that lists nothing need not know the words.
    from everyskill.model.sentences import describe  # noqa: PLC0415

    if not page.items:
        yield nothing
    for item in page.items:
        yield _heading(item)
        yield f"    {describe(item.changes)}"


def _heading(item: "WhatsNewItem") -> Line:
    versions = next((f"  {change.detail}" for change in item.changes if change.type == "version_bump"), "")
    times = f"{versions}  changed {ago(item.updated_at)}, you looked {ago(item.last_viewed_at)}"
    return styled(item.skill_slug, "bold").append(times, "not bold dim")
