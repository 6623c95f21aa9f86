"""`tenants`: add a tenant, and list them all."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

import everyskill
from everyskill.cli.commands import command, group_of_commands
from everyskill.cli.lines import Line, table
from everyskill.cli.options import AsJson, DatabaseUrl, OwnerUrl, next_command
from everyskill.cli.output import Output
from everyskill.wording import ago

if TYPE_CHECKING:
    from everyskill.model import TenantInfo

group = group_of_commands("tenants", "Add and list the companies that share the database.")


@group.command()
@command
async def add(
    tenant_id: Annotated[str, typer.Argument(metavar="ID", help="The id, which never changes.")],
    name: Annotated[str | None, typer.Option(help="What people call it. Unset: the id.")] = None,
    slug: Annotated[str | None, typer.Option(help="Its name in addresses. Unset: the id.")] = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Add a tenant, with an empty catalog."""
    output = Output(as_json=as_json)
    async with everyskill.connect(database_url) as database:
        added = await database.tenant(tenant_id).create(name or tenant_id, slug=slug)
    output.result(added, [f"Tenant {added.id} added."])
    output.note(f"Add its users with: {next_command('users add USER', tenant_id=added.id, database_url=database_url)}")


@group.command("list")
@command
async def list_(database_url: OwnerUrl = None, as_json: AsJson = False) -> None:
    """List all tenants. Only the owner of the database and everyskill_operator may."""
    from everyskill.handles import list_tenants  # noqa: PLC0415 - --help is a half slower with it

    found = await list_tenants(database_url)
    Output(as_json=as_json).result(found, _lines(found))


def _lines(tenants: "list[TenantInfo]") -> Iterator[Line]:
    if not tenants:
        yield "No tenant here. Add one with: everyskill tenants add ID"
        return
    rows = ((tenant.id, tenant.slug, ago(tenant.created_at), tenant.name) for tenant in tenants)
    yield from table(("TENANT", "SLUG", "ADDED", "NAME"), *rows)
