"""`users`: add the people of a tenant."""

from typing import Annotated, Literal

import typer

from everyskill.cli.groups import group_of_commands
from everyskill.cli.options import DEFAULT_TENANT, AsJson, DatabaseUrl, TenantId
from everyskill.cli.output import Output
from everyskill.cli.running import command, open_tenant

RoleName = Literal["admin", "member"]

group = group_of_commands("users", "Add the people of a tenant.")


@group.command()
@command
async def add(
    user: Annotated[str, typer.Argument(metavar="ID", help="Whatever your identity provider calls the person.")],
    *,
    name: Annotated[str | None, typer.Option(help="The person's name.")] = None,
    email: Annotated[str | None, typer.Option(help="The person's address, unique in the tenant.")] = None,
    role: Annotated[
        RoleName, typer.Option(help="A member reads and gives feedback, an admin also publishes.")
    ] = "member",
    tenant: TenantId = DEFAULT_TENANT,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Add a person."""
    async with open_tenant(tenant, database_url) as house:
        added = await house.add_user(user, email=email, name=name, role=role)
    Output(as_json=as_json).answer(added, [f"User {added.id} added to tenant {tenant} as {added.role}."])
