"""`db`: migrate the database, check that it is safe to serve from, and remove what is not used."""

# ruff: noqa: PLC0415 - --help is five times as slow with Alembic, and a half slower with the rest

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from everyskill.cli.commands import EXIT_DATABASE_NOT_READY, command, group_of_commands, open_tenant
from everyskill.cli.lines import Line, styled
from everyskill.cli.options import DEFAULT_TENANT, AsJson, DatabaseUrl, OwnerUrl, TenantId
from everyskill.cli.output import Output, write
from everyskill.wording import count

if TYPE_CHECKING:
    from everyskill.database.inspection import Finding

group = group_of_commands("db", "Migrate and check the database.")


@group.command()
@command
async def upgrade(database_url: OwnerUrl = None, as_json: AsJson = False) -> None:
    """Migrate the database to the schema of this program, as its owner. Safe to repeat."""
    from everyskill import migrations
    from everyskill.handles import owner_url

    async with owner_url(database_url) as url:
        applied = await migrations.upgrade(url)
    lines = [f"Applied {revision}" for revision in applied]
    Output(as_json=as_json).result({"applied": applied}, lines or ["The database is up to date."])


@group.command()
@command
async def check(database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Check that no tenant can reach another one's rows.

    Inspects schema, roles and policies, and tries to read across tenants. Exits with 3 where something is wrong.
    """
    from everyskill.database.inspection import inspect
    from everyskill.handles import service_url

    async with service_url(database_url) as url:
        findings = await inspect(url)
    Output(as_json=as_json).result(findings, finding_lines(findings))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(EXIT_DATABASE_NOT_READY)


@group.command()
@command
async def prune(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count them, and remove nothing.")] = False,
    tenant_id: TenantId = DEFAULT_TENANT,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Remove the contents of files that no version of a skill refers to any more, as where skills were deleted."""
    async with open_tenant(tenant_id, database_url) as tenant:
        pruned = await tenant.prune_files(dry_run=dry_run)
    verb = "Would remove" if dry_run else "Removed"
    Output(as_json=as_json).result(pruned, [f"{verb} {count(pruned.files, 'file')}, {count(pruned.bytes, 'byte')}."])


@group.command()
@command
async def sql(as_json: AsJson = False) -> None:
    """Print the SQL of all migrations, for those who run it by hand."""
    from everyskill.migrations import upgrade_sql

    text = upgrade_sql()
    if as_json:
        Output(as_json=True).result({"sql": text}, [])
    else:
        write(text)


def finding_lines(findings: "Iterable[Finding]") -> Iterator[Line]:
    for finding in findings:
        mark = styled("✓ ", "green") if finding.ok else styled("✗ ", "red")
        yield mark.append(f"{finding.name} {finding.detail}".rstrip(), "default")
