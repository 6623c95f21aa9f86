"""`up`: the main job in one command, from an empty machine to what changed since you last looked."""

# ruff: noqa: PLC0415 - what takes long to import waits until the command really runs

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import everyskill
from everyskill.cli.importing import advice_lines, import_folder, report_lines
from everyskill.cli.lines import Line, styled
from everyskill.cli.options import (
    DEFAULT_TENANT,
    DEFAULT_USER,
    AsJson,
    DatabaseUrl,
    TenantId,
    UserId,
    follow_up,
)
from everyskill.cli.output import Output
from everyskill.cli.running import FAILED, command
from everyskill.cli.skills import item_lines, list_all
from everyskill.cli.whats_new import Feed, read_feed
from everyskill.errors import TenantNotFound, UserNotFound
from everyskill.wording import count

if TYPE_CHECKING:
    from everyskill.handles import Database, Tenant
    from everyskill.model import SkillListItem

_FEED_LENGTH = 10
_IDS_A_CALL = 1_000
# A new tenant's others, so that one can look at its pages with other eyes.
_COLLEAGUES = ("ann", "bob")


@dataclass(frozen=True)
class Sight:
    """The catalog as one person sees it, and which skills that person was never shown before."""

    items: "list[SkillListItem]"
    new: "list[SkillListItem]"
    feed: Feed

    def lines(self) -> Iterator[Line]:
        """The list, then What's New."""
        yield from item_lines(self.items, new={item.id for item in self.new})
        yield ""
        yield styled("What's New", "bold")
        if self.items and len(self.new) == len(self.items):
            yield from self.feed.lines(nothing="Nothing yet: from now on, what changes in these skills appears here.")
        else:
            yield from self.feed.lines()

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return {"skills": self.items, "new": [item.slug for item in self.new], "whats_new": self.feed.document()}


@command
async def up(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="A folder with SKILL.md folders in it.",
            show_default="our examples",
        ),
    ] = None,
    *,
    port: Annotated[int, typer.Option(help="Where to serve on 127.0.0.1; 0 takes any.")] = 8080,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Stop after the catalog is printed.")] = False,
    tenant: TenantId = DEFAULT_TENANT,
    user: UserId = DEFAULT_USER,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Import a folder of skills, show what changed for you, and serve the catalog until Ctrl-C.

    Starts the embedded PostgreSQL unless a database is named, adds the tenant and the user if they are missing,
    publishes what is new or changed in FOLDER, and prints the catalog with your Updated badges and What's New.

    A skill that you were never shown before counts as looked at from then on. Those you know keep their badge until
    `everyskill view SLUG` or `everyskill mark-seen`. With --json nothing is served.
    """
    from everyskill.skill_folders.importer import list_skill_folders

    output = Output(as_json=as_json)
    root = folder or _examples()
    list_skill_folders(root)
    database = everyskill.connect(database_url)
    if database.url.startswith("embedded:"):
        output.say("Starting PostgreSQL …")
    async with database:
        house = await _settle(database.tenant(tenant), user)
        report = await import_folder(house, root)
        sight = await _look(house, user)
        await _record_first_looks(house, user, sight.new)
        output.say(*report_lines(root, report), "")
        output.answer({"import": report} | sight.document(), sight.lines())
        output.say(
            "",
            *_next_steps(sight, root, tenant, user, database_url),
            *advice_lines(report, tenant=tenant, database_url=database_url),
        )
        if not (no_serve or as_json):
            await _serve(database, tenant, port, output)
    if report.failed:
        raise typer.Exit(FAILED)


async def _serve(database: "Database", tenant: str, port: int, output: Output) -> None:
    import logging

    from everyskill.web.middleware.logs import configure_logs
    from everyskill.web.server import serve
    from everyskill.web.settings import WebSettings

    settings = WebSettings.from_environment(host="127.0.0.1", port=port, demo_sign_in=True, demo_tenant=tenant)
    # Whoever types this reads the catalog, not a line of JSON for each click.
    configure_logs(logging.WARNING)
    ending = "Ctrl-C ends it."
    await serve(database, settings, on_start=lambda address: output.say("", f"Serving on {address}  {ending}"))


async def _settle(tenant: "Tenant", user_id: str) -> "Tenant":
    try:
        await tenant.get()
    except TenantNotFound:
        await tenant.create(tenant.tenant_id)
        for colleague in _COLLEAGUES:
            await tenant.add_user(colleague)
    try:
        await tenant.get_user(user_id)
    except UserNotFound:
        await tenant.add_user(user_id)
    return tenant


async def _look(tenant: "Tenant", user_id: str) -> Sight:
    items = await list_all(tenant, user_id)
    known: set[str] = set()
    for start in range(0, len(items), _IDS_A_CALL):
        ids = [item.id for item in items[start : start + _IDS_A_CALL]]
        known |= (await tenant.get_user_views_for_skills(user_id, ids)).keys()
    feed = await read_feed(tenant, user_id, limit=_FEED_LENGTH)
    return Sight(items, [item for item in items if item.id not in known], feed)


async def _record_first_looks(tenant: "Tenant", user_id: str, items: "list[SkillListItem]") -> None:
    from asyncio import gather

    await gather(*(tenant.record_skill_view(user_id, item.id, item.published_version) for item in items))


def _next_steps(sight: Sight, root: Path, tenant: str, user: str, database_url: str | None) -> Iterator[Line]:
    if sight.new:
        yield f"You have now been shown {count(len(sight.new), 'new skill')}, so they count as looked at."
    yield f"Change a SKILL.md in {root} and run this again. Or try:"
    slugs = [*(item.skill_slug for item in sight.feed.page.items), *(item.slug for item in sight.items)]
    for words in (*(f"view {slug}" for slug in slugs[:1]), "whats-new", "mark-seen"):
        yield "    " + follow_up(words, tenant=tenant, user=user, database_url=database_url)


def _examples() -> Path:
    """The skills that come with the package: inside it once installed, beside it in a checkout."""
    package = Path(everyskill.__file__).parent
    installed = package / "examples" / "skills"
    return installed if installed.is_dir() else package.parents[1] / "examples" / "skills"
