"""`skills export` and `skills diff`: a version as a folder, and how two versions differ."""

# ruff: noqa: PLC0415 - --help is slower with the exporter

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everyskill.cli.commands import EXIT_FAILED, command, open_tenant
from everyskill.cli.lines import Line, join_names, styled
from everyskill.cli.options import DEFAULT_TENANT, AsJson, DatabaseUrl, Slug, TenantId
from everyskill.cli.output import Output
from everyskill.errors import VersionNotFound
from everyskill.wording import count

if TYPE_CHECKING:
    from everyskill.handles import Tenant
    from everyskill.model import FileDiff, SkillVersion

VersionNumber = Annotated[
    int | None, typer.Option("--version", metavar="N", min=1, help="This version; by default the published one.")
]
_SIGNS = {"hunk": ("", "cyan"), "context": (" ", ""), "added": ("+", "green"), "removed": ("-", "red")}


@command
async def export(
    slug: Slug,
    to: Annotated[Path, typer.Argument(metavar="TO", help="The folder to write; it must not be there, or be empty.")],
    *,
    version: VersionNumber = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
    tenant_id: TenantId = DEFAULT_TENANT,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Write a skill as the folder that was published, also an archived one. Records no view."""
    from everyskill.skill_folders.exporter import export_version

    output = Output(as_json=as_json)
    async with open_tenant(tenant_id, database_url) as tenant:
        found = await find_version(tenant, slug, version)
        report = await export_version(tenant, found, to, force=force)
    output.result(report, [f"Wrote {count(len(report.written), 'file')} of {slug} v{found.version} to {to}."])
    if report.not_kept:
        output.note(styled(f"Not kept, so not written: {join_names(report.not_kept)}", "red"))
        raise typer.Exit(EXIT_FAILED)


@command
async def diff(
    slug: Slug,
    old: Annotated[int | None, typer.Argument(metavar="[OLD]", min=1, help="By default the one before NEW.")] = None,
    new: Annotated[int | None, typer.Argument(metavar="[NEW]", min=1, help="By default the published one.")] = None,
    *,
    tenant_id: TenantId = DEFAULT_TENANT,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show how two versions of a skill differ, line by line in every text. Records no view."""
    async with open_tenant(tenant_id, database_url) as tenant:
        newer = (await find_version(tenant, slug, new)).version
        older = max(newer - 1, 1) if old is None else old
        diffs = await tenant.compare_versions(slug, older, newer, include_hidden=True)
    Output(as_json=as_json).result(
        {"old": older, "new": newer, "files": diffs}, diff_lines(diffs, f"v{older} and v{newer}")
    )


async def find_version(tenant: "Tenant", slug: str, number: int | None) -> "SkillVersion":
    """That version of a skill, or the published one; also of a hidden skill. Raises VersionNotFound."""
    if number is not None:
        return await tenant.get_version(slug, number, include_hidden=True)
    published = (await tenant.get_skill(slug, include_hidden=True)).published
    if published is None:
        raise VersionNotFound("published")
    return published


def diff_lines(diffs: "list[FileDiff]", versions: str) -> Iterator[Line]:
    """A unified diff, coloured on a terminal."""
    if not diffs:
        yield f"No file differs between {versions}."
    for file in diffs:
        yield styled(f"{file.status} {file.path}", "bold")
        if file.too_large is not None:
            yield f"Too large to show: {count(file.too_large, 'line')}."
        elif file.lines is None:
            yield "No text that is kept."
        for kind, line in file.lines or ():
            sign, style = _SIGNS[kind]
            yield styled(sign + line, style)
