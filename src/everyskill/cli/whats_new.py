"""`whats-new` and `mark-seen`: the feed of what changed since you last looked, and marking all of it as seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import asdict

from everyskill.cli.commands import command, open_tenant
from everyskill.cli.lines import Line, styled
from everyskill.cli.options import DEFAULT_TENANT, DEFAULT_USER, AsJson, DatabaseUrl, TenantId, UserId, next_command
from everyskill.cli.output import Output
from everyskill.cli.views import change_lines
from everyskill.wording import ago, count

if TYPE_CHECKING:
    from everyskill.handles import Tenant
    from everyskill.model import ChangeItem, WhatsNewItem, WhatsNewPage


@dataclass(frozen=True)
class Feed:
    """A page of the feed, with the change summary of each of its items."""

    page: "WhatsNewPage"
    changes: "list[list[ChangeItem]]"

    def lines(self, *, nothing: str = "Nothing has changed since you last looked.") -> Iterator[Line]:
        """The feed as lines for people."""
        if not self.changes:
            yield nothing
        for item, changes in zip(self.page.items, self.changes, strict=True):
            yield _heading(item)
            yield from change_lines(changes)

    def document(self) -> dict[str, Any]:
        """The feed as JSON for programs."""
        pairs = zip(self.page.items, self.changes, strict=True)
        return asdict(self.page) | {"items": [asdict(item) | {"changes": changes} for item, changes in pairs]}


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
        feed = await read_feed(tenant, user_id, limit=limit, cursor=cursor)
    output.result(feed.document(), feed.lines())
    if feed.page.next_cursor:
        words = f"whats-new --limit {limit} --cursor {feed.page.next_cursor}"
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


async def read_feed(tenant: "Tenant", user_id: str, *, limit: int, cursor: str | None = None) -> Feed:
    """Reads a page of the user's feed. Records no view."""
    page = await tenant.get_whats_new_page(user_id, limit, cursor)
    changes = await tenant.get_changes_for_skills(user_id, (item.skill_id for item in page.items))
    # A skill that was hidden between the two reads has none.
    return Feed(page, [changes.get(item.skill_id, []) for item in page.items])


def _heading(item: "WhatsNewItem") -> Line:
    times = f"  changed {ago(item.updated_at)}, you looked {ago(item.last_viewed_at)}"
    return styled(item.skill_slug, "bold").append(times, "not bold dim")
