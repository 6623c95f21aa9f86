"""`up`: the main job in one command, from an empty machine to what changed since you last looked."""

# ruff: noqa: PLC0415 - --help is a fifth slower with asyncio, and five times as slow with the HTTP service

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import everyskill
from everyskill.cli.commands import EXIT_FAILED, command
from everyskill.cli.importing import advice_lines, import_folder, report_lines
from everyskill.cli.lines import Line, styled
from everyskill.cli.options import DEFAULT_TENANT, DEFAULT_USER, AsJson, DatabaseUrl, TenantId, UserId, next_command
from everyskill.cli.output import Output
from everyskill.cli.skills import item_lines, list_all_skills
from everyskill.cli.whats_new import feed_lines
from everyskill.errors import TenantNotFound, UserNotFound
from everyskill.extras import extra
from everyskill.wording import count

if TYPE_CHECKING:
    from everyskill.handles import Database, Tenant
    from everyskill.model import SkillListItem, WhatsNewPage

_FEED_LIMIT = 10
_MAX_IDS_PER_CALL = 1_000
# Added to a new tenant, so that its pages can be tried as somebody else.
_OTHER_USERS = ("ann", "bob")


@dataclass(frozen=True)
class CatalogOverview:
    """The catalog with one user's badges and feed; `new` are the skills that this user never viewed."""

    items: "list[SkillListItem]"
    new: "list[SkillListItem]"
    feed: "WhatsNewPage"

    def lines(self) -> Iterator[Line]:
        """The list, then What's New."""
        yield from item_lines(self.items, new={item.id for item in self.new})
        yield ""
        yield styled("What's New", "bold")
        if self.items and len(self.new) == len(self.items):
            yield from feed_lines(
                self.feed, nothing="Nothing yet: from now on, what changes in these skills appears here."
            )
        else:
            yield from feed_lines(self.feed)

    def document(self) -> dict[str, Any]:
        """The same as JSON for programs."""
        return {"skills": self.items, "new": [item.slug for item in self.new], "whats_new": self.feed}


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
    tenant_id: TenantId = DEFAULT_TENANT,
    user_id: UserId = DEFAULT_USER,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Import a folder of skills, show what changed for you, and serve the catalog until Ctrl-C.

    Starts the embedded PostgreSQL unless a database is named, adds the tenant and the user if they are missing,
    publishes what is new or changed in FOLDER, and prints the catalog with your Updated badges and What's New.

    A skill that is new to you counts as viewed from then on. Those you know keep their badge until
    `everyskill view SLUG` or `everyskill mark-seen`. With --json nothing is served.
    """
    from everyskill.skill_folders.importer import list_skill_folders

    output = Output(as_json=as_json)
    serves = not (no_serve or as_json)
    if serves:
        # Before anything is changed: a missing extra ends the command here.
        with extra("server"):
            import_module("everyskill.web.server")
    root = folder or _examples()
    list_skill_folders(root)
    database = everyskill.connect(database_url)
    if database.url.startswith("embedded:"):
        output.note("Starting PostgreSQL …")
    async with database:
        tenant = database.tenant(tenant_id)
        await _add_what_is_missing(tenant, user_id)
        report = await import_folder(tenant, root)
        overview = await _read_overview(tenant, user_id)
        await _record_first_views(tenant, user_id, overview.new)
        output.note(*report_lines(root, report), "")
        output.result({"import": report} | overview.document(), overview.lines())
        output.note(
            "",
            *_next_steps(overview, root, tenant_id, user_id, database_url),
            *advice_lines(report, tenant_id=tenant_id, database_url=database_url),
        )
        if serves:
            await _serve(database, tenant_id, port, output)
    if report.failed:
        raise typer.Exit(EXIT_FAILED)


async def _add_what_is_missing(tenant: "Tenant", user_id: str) -> None:
    try:
        await tenant.get()
    except TenantNotFound:
        await tenant.create(tenant.tenant_id)
        for other in _OTHER_USERS:
            await tenant.add_user(other)
    try:
        await tenant.get_user(user_id)
    except UserNotFound:
        await tenant.add_user(user_id)


async def _read_overview(tenant: "Tenant", user_id: str) -> CatalogOverview:
    items = await list_all_skills(tenant, user_id)
    viewed: set[str] = set()
    for start in range(0, len(items), _MAX_IDS_PER_CALL):
        ids = [item.id for item in items[start : start + _MAX_IDS_PER_CALL]]
        viewed |= (await tenant.get_user_views_for_skills(user_id, ids)).keys()
    feed = await tenant.get_whats_new_page(user_id, _FEED_LIMIT)
    return CatalogOverview(items, [item for item in items if item.id not in viewed], feed)


async def _record_first_views(tenant: "Tenant", user_id: str, items: "list[SkillListItem]") -> None:
    from asyncio import gather

    await gather(*(tenant.record_skill_view(user_id, item.id, item.published_version) for item in items))


def _next_steps(
    overview: CatalogOverview, root: Path, tenant_id: str, user_id: str, database_url: str | None
) -> Iterator[Line]:
    if overview.new:
        yield f"You have now been shown {count(len(overview.new), 'new skill')}, which count as viewed."
    yield f"Change a SKILL.md in {root} and run this again. Or try:"
    slugs = [*(item.skill_slug for item in overview.feed.items), *(item.slug for item in overview.items)]
    for words in (*(f"view {slug}" for slug in slugs[:1]), "whats-new", "mark-seen"):
        yield "    " + next_command(words, tenant_id=tenant_id, user_id=user_id, database_url=database_url)


async def _serve(database: "Database", tenant_id: str, port: int, output: Output) -> None:
    from everyskill.web.middleware.logs import configure_logs
    from everyskill.web.server import serve
    from everyskill.web.settings import WebSettings

    settings = WebSettings.from_environment(host="127.0.0.1", port=port, demo_sign_in=True, demo_tenant=tenant_id)
    # Who runs `up` reads the catalog in this terminal, not a line of JSON for each request.
    configure_logs(logging.WARNING)
    await serve(database, settings, on_start=lambda address: output.note("", f"Serving on {address}  Ctrl-C ends it."))


def _examples() -> Path:
    """The skills that come with the package: inside it once installed, beside it in a checkout."""
    package = Path(everyskill.__file__).parent
    installed = package / "examples" / "skills"
    return installed if installed.is_dir() else package.parents[1] / "examples" / "skills"
