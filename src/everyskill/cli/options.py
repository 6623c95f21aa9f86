"""The arguments and options that several commands share, and the commands that are suggested with them."""

import os
import shutil
import sys
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

DEFAULT_TENANT = "demo"
DEFAULT_USER = "you"

Slug = Annotated[str, typer.Argument(metavar="SLUG", help="The skill, by its slug or id.")]
TenantId = Annotated[
    str,
    typer.Option("--tenant", metavar="ID", envvar="EVERYSKILL_TENANT", show_envvar=True, help="The tenant, by its id."),
]
UserId = Annotated[
    str, typer.Option("--as", metavar="USER", envvar="EVERYSKILL_USER", show_envvar=True, help="The user, by id.")
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="postgresql://… as the application's login, or embedded:///path."
        " Unset: EVERYSKILL_DATABASE_URL, else the embedded server.",
    ),
]
OwnerUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="postgresql://… as the owner of the database, or embedded:///path."
        " Unset: EVERYSKILL_OWNER_URL, EVERYSKILL_DATABASE_URL, else the embedded server.",
    ),
]
FullDepth = Annotated[bool, typer.Option("--full-depth", help="Look for skills inside skills too.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, errors too.")]


def next_command(words: str, *, tenant_id: str, user_id: str | None = None, database_url: str | None = None) -> str:
    """The command line to type next, for the same tenant, user and database as now.

    The URL of a server is not repeated, as it may hold a password.
    """
    options = []
    if tenant_id != os.environ.get("EVERYSKILL_TENANT", DEFAULT_TENANT):
        options += ["--tenant", quote(tenant_id)]
    if user_id is not None and user_id != os.environ.get("EVERYSKILL_USER", DEFAULT_USER):
        options += ["--as", quote(user_id)]
    if database_url is not None:
        options += ["--database-url", quote(database_url) if database_url.startswith("embedded:") else "URL"]
    return " ".join([_program(), words, *options])


def _program() -> str:
    """What to type for this program: its name where the shell would find it, else the path it was called by."""
    called, found = Path(sys.argv[0]), shutil.which("everyskill")
    if called.name != "everyskill" or (found and called.absolute() == Path(found).absolute()):
        return "everyskill"
    return quote(str(called))
