"""`whats-new` and `mark-seen`: the feed of what changed since you last looked, and the end of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from everyskill.cli.lines import Line, styled
from everyskill.cli.options import DEFAULT_TENANT, DEFAULT_USER, AsJson, DatabaseUrl, TenantId, UserId, follow_up
from everyskill.cli.output import Output
from everyskill.cli.running import command, open_tenant
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
        """The feed as people read it."""
        if not self.changes:
            yield nothing
        for item, changes in zip(self.page.items, self.changes, strict=True):
            yield _heading(item)
            yield from change_lines(changes)

    def document(self) -> dict[str, Any]:
        """The feed as programs read it."""
        from msgspec.structs import asdict  # noqa: PLC0415 - not needed for --help

        pairs = zip(self.page.items, self.changes, strict=True)
        return asdict(self.page) | {"items": [asdict(item) | {"changes": changes} for item, changes in pairs]}


@command
async def whats_new(
    *,
    limit: Annotated[int, typer.Option(help="How many, 1 to 100.")] = 10,
    cursor: Annotated[str | None, typer.Option(metavar="TEXT", help="Where the page before ended.")] = None,
    tenant: TenantId = DEFAULT_TENANT,
    user: UserId = DEFAULT_USER,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List what changed since you last looked, newest first.

    A change is listed for 30 days, unless you look at the skill before.
    """
    output = Output(as_json=as_json)
    async with open_tenant(tenant, database_url, user_id=user) as house:
        feed = await read_feed(house, user, limit=limit, cursor=cursor)
    output.answer(feed.document(), feed.lines())
    if feed.page.next_cursor:
        words = f"whats-new --limit {limit} --cursor {feed.page.next_cursor}"
        output.say("", f"There is more: {follow_up(words, tenant=tenant, user=user, database_url=database_url)}")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter("not a moment such as 2026-01-31T12:00:00Z") from error
    if moment.utcoffset() is None:
        raise typer.BadParameter("needs a time zone, as in 2026-01-31T12:00:00Z")
    return moment


@command
async def mark_seen(
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=_moment, metavar="RFC3339", help="The as_of of the list you saw. Unset: now."),
    ] = None,
    tenant: TenantId = DEFAULT_TENANT,
    user: UserId = DEFAULT_USER,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take the Updated badge from every skill.

    What changed after --as-of, the moment of the list you saw, keeps it.
    """
    async with open_tenant(tenant, database_url, user_id=user) as house:
        moment = as_of or (await house.get_whats_new_page(user, limit=1)).as_of
        moved = await house.mark_all_seen(user, moment)
    done = f"{count(moved, 'skill')} marked as seen."
    Output(as_json=as_json).answer({"moved": moved, "as_of": moment}, [done])


async def read_feed(tenant: "Tenant", user_id: str, *, limit: int, cursor: str | None = None) -> Feed:
    """A page of the user's feed. Records nothing."""
    page = await tenant.get_whats_new_page(user_id, limit, cursor)
    changes = await tenant.get_changes_for_skills(user_id, (item.skill_id for item in page.items))
    # A skill that was hidden in between has none.
    return Feed(page, [changes.get(item.skill_id, []) for item in page.items])


def _heading(item: "WhatsNewItem") -> Line:
    times = f"  changed {ago(item.updated_at)}, you looked {ago(item.last_viewed_at)}"
    return styled(item.skill_slug, "bold").append(times, "not bold dim")
