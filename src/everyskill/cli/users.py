"""`users`: add the users of a tenant."""

from typing import Annotated, Literal

import typer

from everyskill.cli.commands import command, group_of_commands, open_tenant
from everyskill.cli.options import DEFAULT_TENANT, AsJson, DatabaseUrl, TenantId
from everyskill.cli.output import Output

RoleName = Literal["admin", "member"]

group = group_of_commands("users", "Add the users of a tenant.")


@group.command()
@command
async def add(
    user_id: Annotated[str, typer.Argument(metavar="ID", help="The id that your identity provider gives the user.")],
    *,
    name: Annotated[str | None, typer.Option(help="The user's name.")] = None,
    email: Annotated[str | None, typer.Option(help="The user's address, unique in the tenant.")] = None,
    role: Annotated[
        RoleName, typer.Option(help="A member reads and gives feedback, an admin also publishes.")
    ] = "member",
    tenant_id: TenantId = DEFAULT_TENANT,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Add a user."""
    async with open_tenant(tenant_id, database_url) as tenant:
        added = await tenant.add_user(user_id, email=email, name=name, role=role)
    Output(as_json=as_json).result(added, [f"User {added.id} added to tenant {tenant_id} as {added.role}."])
