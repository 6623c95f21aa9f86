"""`skills`: import, check, list, show, rename, archive and restore the skills of a catalog."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from everyskill.cli.checking import check
from everyskill.cli.commands import EXIT_FAILED, command, group_of_commands, open_tenant
from everyskill.cli.importing import advice_lines, import_folder, report_lines
from everyskill.cli.lines import Line, styled, table
from everyskill.cli.options import (
    DEFAULT_TENANT,
    DEFAULT_USER,
    AsJson,
    DatabaseUrl,
    FullDepth,
    Slug,
    TenantId,
    UserId,
    next_command,
)
from everyskill.cli.output import Output, write
from everyskill.cli.skill_files import VersionNumber
from everyskill.cli.views import heading, note_new_slug
from everyskill.errors import NeedsConfirmation
from everyskill.wording import ago, count

if TYPE_CHECKING:
    from everyskill.handles import Tenant
    from everyskill.model import SkillDetail, SkillListItem, VersionSummary

_PAGE_SIZE = 100
_MAX_VERSIONS_SHOWN = 10

group = group_of_commands("skills", "Import, check, list, show, rename, archive and restore skills.")


@group.command("import")
@command
async def import_(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder with SKILL.md folders in it.")],
    *,
    archive_missing: Annotated[
        bool, typer.Option("--archive-missing", help="Archive the skills that have no folder there.")
    ] = False,
    full_depth: FullDepth = False,
    author: Annotated[
        str | None, typer.Option(metavar="USER", help="Who made the changes; not badged for them.")
    ] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for who reads what changed.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Badge nobody: a corrected typo, say.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Archive more than half of the catalog.")] = False,
    tenant_id: TenantId = DEFAULT_TENANT,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Publish each SKILL.md folder of a tree that is new or changed."""
    output = Output(as_json=as_json)
    async with open_tenant(tenant_id, database_url) as tenant:
        if archive_missing and not (yes or dry_run):
            plan = await import_folder(tenant, path, archive_missing=True, full_depth=full_depth, dry_run=True)
            if len(plan.archived) > len(await tenant.list_slugs()) / 2:
                raise NeedsConfirmation(len(plan.archived), 0)
        report = await import_folder(
            tenant,
            path,
            author_id=author,
            note=note,
            quiet=quiet,
            archive_missing=archive_missing,
            full_depth=full_depth,
            dry_run=dry_run,
        )
    output.result(report, report_lines(path, report, verb="Would import" if dry_run else "Imported"))
    output.note(*advice_lines(report, tenant_id=tenant_id, database_url=database_url))
    if report.failed:
        raise typer.Exit(EXIT_FAILED)


group.command()(check)


@group.command("list")
@command
async def list_(
    *,
    category: Annotated[str | None, typer.Option(metavar="NAME", help="Only this category.")] = None,
    text: Annotated[str | None, typer.Option(help="Only with this in name, slug or description.")] = None,
    include_hidden: Annotated[bool, typer.Option("--all", help="Drafts and archived skills too.")] = False,
    tenant_id: TenantId = DEFAULT_TENANT,
    user_id: UserId = DEFAULT_USER,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the catalog with your Updated badges. Records no view."""
    async with open_tenant(tenant_id, database_url, user_id=user_id) as tenant:
        items = await list_all_skills(tenant, user_id, category=category, text=text, include_hidden=include_hidden)
    Output(as_json=as_json).result(items, item_lines(items))


@group.command()
@command
async def show(
    slug: Slug,
    *,
    content: Annotated[bool, typer.Option("--content", help="Print its SKILL.md and nothing else.")] = False,
    version: VersionNumber = None,
    tenant_id: TenantId = DEFAULT_TENANT,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show a skill with its files and versions, also an archived one. Records no view."""
    output = Output(as_json=as_json)
    async with open_tenant(tenant_id, database_url) as tenant:
        detail = await tenant.get_skill(slug, include_hidden=True)
        if version is not None:
            detail = replace(detail, published=await tenant.get_version(slug, version, include_hidden=True))
        versions = await _list_all_versions(tenant, detail.skill.id)
    note_new_slug(output, slug, detail.skill)
    if content and not as_json:
        write(detail.published.content if detail.published else "")
    else:
        output.result(
            {"skill": detail.skill, "published": detail.published, "versions": versions},
            _detail_lines(detail, versions),
        )


@group.command()
@command
async def archive(
    slug: Slug,
    successor: Annotated[
        str | None, typer.Option(metavar="SLUG", help="What to use instead: who viewed the skill is told.")
    ] = None,
    tenant_id: TenantId = DEFAULT_TENANT,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Hide a skill from everyone. Nothing of it is lost."""
    output = Output(as_json=as_json)
    async with open_tenant(tenant_id, database_url) as tenant:
        skill = await tenant.archive_skill(slug, successor=successor)
    note_new_slug(output, slug, skill)
    again = next_command(f"skills restore {skill.slug}", tenant_id=tenant_id, database_url=database_url)
    output.result(skill, [f"{skill.slug} is archived. To show it again: {again}"])


@group.command()
@command
async def restore(
    slug: Slug, tenant_id: TenantId = DEFAULT_TENANT, database_url: DatabaseUrl = None, as_json: AsJson = False
) -> None:
    """Show an archived skill again."""
    async with open_tenant(tenant_id, database_url) as tenant:
        skill = await tenant.restore_skill(slug)
    output = Output(as_json=as_json)
    note_new_slug(output, slug, skill)
    output.result(skill, [f"{skill.slug} is {skill.status}."])


@group.command()
@command
async def rename(
    slug: Slug,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new slug.")],
    tenant_id: TenantId = DEFAULT_TENANT,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give a skill another slug. It stays itself, and the old one leads to it."""
    async with open_tenant(tenant_id, database_url) as tenant:
        skill = await tenant.rename_skill(slug, new)
    Output(as_json=as_json).result(skill, [f"{slug} is called {skill.slug} now."])


async def list_all_skills(
    tenant: "Tenant",
    user_id: str,
    *,
    category: str | None = None,
    text: str | None = None,
    include_hidden: bool = False,
) -> "list[SkillListItem]":
    """All pages of the catalog, with the user's badges."""
    status = None if include_hidden else "published"
    items: list[SkillListItem] = []
    cursor: str | None = None
    while True:
        page = await tenant.list_skills(
            user_id, category=category, text=text, status=status, limit=_PAGE_SIZE, cursor=cursor
        )
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            return items


async def _list_all_versions(tenant: "Tenant", slug: str) -> "list[VersionSummary]":
    versions = page = await tenant.list_versions(slug, include_hidden=True)
    while page and page[-1].version > 1:
        page = await tenant.list_versions(slug, include_hidden=True, up_to=page[-1].version - 1)
        versions += page
    return versions


def item_lines(items: "list[SkillListItem]", *, new: Collection[str] = ()) -> Iterator[Line]:
    """The catalog in columns. Skills whose id is in `new` are marked New."""
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
        return styled("Updated · asks for more" if item.severity else "Updated", "bold yellow")
    return styled("New", "green") if is_new else ""


def _detail_lines(detail: "SkillDetail", versions: "list[VersionSummary]") -> Iterator[Line]:
    skill, published = detail.skill, detail.published
    yield heading(skill, skill.status, f"changed {ago(skill.updated_at)}")
    yield skill.description if published is None else published.description
    if published is None:
        return
    if published.version != skill.published_version:
        yield ""
        yield f"The files of v{published.version}, which is not the published version:"
    yield ""
    yield from table(("FILE", "BYTES"), *((file.path, f"{file.size:,}") for file in published.files))
    yield ""
    shown = versions[:_MAX_VERSIONS_SHOWN]
    yield from table(("VERSION", "PUBLISHED", "BY", "NOTE"), *map(_version_row, shown))
    if len(versions) > len(shown):
        yield f"and {count(len(versions) - len(shown), 'older version')}"


def _version_row(version: "VersionSummary") -> tuple[Line, ...]:
    who = version.author_name or version.created_by or ""
    note = " ".join(filter(None, ["(quiet)" if version.is_quiet else "", version.note]))
    return f"v{version.version}", ago(version.created_at), who, note
