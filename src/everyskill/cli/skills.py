"""`skills`: import, list, show, archive and restore what is in the catalog."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everyskill.cli.groups import group_of_commands
from everyskill.cli.importing import advice_lines, import_folder, report_lines
from everyskill.cli.lines import Line, styled, table
from everyskill.cli.options import DEFAULT_TENANT, DEFAULT_USER, AsJson, DatabaseUrl, Slug, TenantId, UserId, follow_up
from everyskill.cli.output import Output, write
from everyskill.cli.running import FAILED, command, open_tenant
from everyskill.cli.views import heading
from everyskill.wording import ago, count

if TYPE_CHECKING:
    from everyskill.handles import Tenant
    from everyskill.model import SkillDetail, SkillListItem, VersionSummary

UPDATED = "Updated"
_PAGE = 100
_SHOWN_VERSIONS = 10

group = group_of_commands("skills", "Import, list, show, archive and restore skills.")


@group.command("import")
@command
async def import_(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder with SKILL.md folders in it.")],
    *,
    archive_missing: Annotated[
        bool, typer.Option("--archive-missing", help="Archive the skills that have no folder there.")
    ] = False,
    author: Annotated[
        str | None, typer.Option(metavar="USER", help="Who made the changes; not badged for them.")
    ] = None,
    tenant: TenantId = DEFAULT_TENANT,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Publish each SKILL.md folder of a tree that is new or changed."""
    output = Output(as_json=as_json)
    async with open_tenant(tenant, database_url) as house:
        report = await import_folder(house, path, author_id=author, archive_missing=archive_missing)
    output.answer(report, report_lines(path, report))
    output.say(*advice_lines(report, tenant=tenant, database_url=database_url))
    if report.failed:
        raise typer.Exit(FAILED)


@group.command("list")
@command
async def list_(
    *,
    category: Annotated[str | None, typer.Option(metavar="NAME", help="Only this category.")] = None,
    text: Annotated[str | None, typer.Option(help="Only with this in name, slug or description.")] = None,
    hidden: Annotated[bool, typer.Option("--all", help="Drafts and archived skills too.")] = False,
    tenant: TenantId = DEFAULT_TENANT,
    user: UserId = DEFAULT_USER,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the catalog with your Updated badges.

    Listing is not looking: it records nothing.
    """
    async with open_tenant(tenant, database_url, user_id=user) as house:
        items = await list_all(house, user, category=category, text=text, hidden=hidden)
    Output(as_json=as_json).answer(items, item_lines(items))


@group.command()
@command
async def show(
    slug: Slug,
    content: Annotated[bool, typer.Option("--content", help="Print its SKILL.md and nothing else.")] = False,
    tenant: TenantId = DEFAULT_TENANT,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show a skill with its files and versions.

    Also an archived one. Records nothing.
    """
    async with open_tenant(tenant, database_url) as house:
        detail = await house.get_skill(slug, include_hidden=True)
        versions = await house.list_versions(slug, include_hidden=True)
    if content and not as_json:
        write(detail.published.content if detail.published else "")
    else:
        Output(as_json=as_json).answer(
            {"skill": detail.skill, "published": detail.published, "versions": versions},
            _detail_lines(detail, versions),
        )


@group.command()
@command
async def archive(
    slug: Slug, tenant: TenantId = DEFAULT_TENANT, database_url: DatabaseUrl = None, as_json: AsJson = False
) -> None:
    """Hide a skill from everyone. Nothing of it is lost."""
    async with open_tenant(tenant, database_url) as house:
        skill = await house.archive_skill(slug)
    again = follow_up(f"skills restore {slug}", tenant=tenant, database_url=database_url)
    Output(as_json=as_json).answer(skill, [f"{slug} is archived. To show it again: {again}"])


@group.command()
@command
async def restore(
    slug: Slug, tenant: TenantId = DEFAULT_TENANT, database_url: DatabaseUrl = None, as_json: AsJson = False
) -> None:
    """Show an archived skill again."""
    async with open_tenant(tenant, database_url) as house:
        skill = await house.restore_skill(slug)
    Output(as_json=as_json).answer(skill, [f"{slug} is {skill.status}."])


async def list_all(
    tenant: "Tenant", user_id: str, *, category: str | None = None, text: str | None = None, hidden: bool = False
) -> "list[SkillListItem]":
    """The whole catalog as the user sees it."""
    status = None if hidden else "published"
    items: list[SkillListItem] = []
    cursor: str | None = None
    while True:
        page = await tenant.list_skills(
            user_id, category=category, text=text, status=status, limit=_PAGE, cursor=cursor
        )
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            return items


def item_lines(items: "list[SkillListItem]", *, new: Collection[str] = ()) -> Iterator[Line]:
    """The catalog in columns. The skills whose id is in `new` are marked as such."""
    if not items:
        yield "No skill here."
        return
    heading = ("SKILL", "CATEGORY", "VERSION", "CHANGED", "")
    yield from table(heading, *(_row(item, is_new=item.id in new) for item in items))


def _row(item: "SkillListItem", *, is_new: bool) -> tuple[Line, ...]:
    version = f"v{item.published_version}" if item.published_version else "-"
    return item.slug, item.category, version, ago(item.updated_at), _badge(item, is_new=is_new)


def _badge(item: "SkillListItem", *, is_new: bool) -> Line:
    if item.status != "published":
        return styled(item.status, "dim")
    if item.is_updated:
        return styled(UPDATED, "bold yellow")
    return styled("New", "green") if is_new else ""


def _detail_lines(detail: "SkillDetail", versions: "list[VersionSummary]") -> Iterator[Line]:
    skill, published = detail.skill, detail.published
    yield heading(skill, skill.status, f"changed {ago(skill.updated_at)}")
    yield skill.description
    if published is None:
        return
    yield ""
    yield from table(("FILE", "BYTES"), *((file.path, f"{file.size:,}") for file in published.files))
    yield ""
    shown = versions[:_SHOWN_VERSIONS]
    rows = ((f"v{version.version}", ago(version.created_at), version.created_by or "") for version in shown)
    yield from table(("VERSION", "PUBLISHED", "BY"), *rows)
    if len(versions) > len(shown):
        yield f"and {count(len(versions) - len(shown), 'older version')}"
