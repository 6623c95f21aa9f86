"""`db dump`, `db restore` and `db upgrade-server`: what an operator does with a database as a whole."""

# ruff: noqa: PLC0415 - --help is a half slower with it

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from everyskill.cli.commands import EXIT_DATABASE_NOT_READY, command
from everyskill.cli.db import finding_lines
from everyskill.cli.options import AsJson
from everyskill.cli.output import Output
from everyskill.wording import count

_SuperuserUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="postgresql://… as a superuser (db dump: or with BYPASSRLS), or embedded:///path."
        " Unset: EVERYSKILL_OWNER_URL, EVERYSKILL_DATABASE_URL, else the embedded server.",
    ),
]


@command
async def dump(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; a file of that name is replaced.")],
    database_url: _SuperuserUrl = None,
    as_json: AsJson = False,
) -> None:
    """Dump the whole database into FILE, with the number of its rows.

    Refuses a login that row-level security holds: it would leave rows out. FILE appears when it is complete.
    """
    from everyskill import backup
    from everyskill.handles import own_programs, superuser_url

    async with superuser_url(database_url) as url:
        contents = await backup.dump(url, file, own_programs=own_programs())
    Output(as_json=as_json).result(contents, [f"Dumped {_rows(contents.counts)} to {file}."])


@command
async def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `db dump` wrote, or `pg_dump --format=custom`.")],
    database_url: _SuperuserUrl = None,
    as_json: AsJson = False,
) -> None:
    """Restore FILE into an empty database: all of it, or nothing.

    Makes the roles that are missing, without passwords; compares the number of rows; then inspects the database as
    `db check` does, and exits with 3 where something is wrong.
    """
    from everyskill import backup
    from everyskill.handles import own_programs, superuser_url

    async with superuser_url(database_url) as url:
        restored = await backup.restore(url, file, own_programs=own_programs())
    lines = [f"Restored {_rows(restored.counts)}, as many as were dumped."]
    if restored.counts is None:
        lines = ["Restored. This dump does not say how many rows it holds: count them."]
    if restored.roles:
        lines.append(f"Roles made, without passwords: {', '.join(restored.roles)}")
    Output(as_json=as_json).result(restored, [*lines, *finding_lines(restored.findings)])
    if not all(finding.ok for finding in restored.findings):
        raise typer.Exit(EXIT_DATABASE_NOT_READY)


@command
async def upgrade_server(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The directory of an embedded PostgreSQL 16.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The directory to make, for PostgreSQL 18.")],
    *,
    remove_old: Annotated[bool, typer.Option("--remove-old", help="Remove OLD once NEW is complete.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy an embedded server into a new directory of a newer PostgreSQL.

    OLD stays as it is unless --remove-old is given; interrupted, the command can be repeated. Settings in OLD's
    postgresql.conf are not taken along.
    """
    from everyskill import handles

    output = Output(as_json=as_json)
    await handles.upgrade_server(old, new, remove_old=remove_old, on_step=lambda step: output.note(f"{step} …"))
    left = "removed" if remove_old else "as it was, and can be removed"
    url = f"embedded://{quote(str(new.expanduser().resolve()))}"
    lines = [f"{new} is ready: --database-url {url}", f"{old} is {left}."]
    output.result({"old": str(old), "new": str(new), "removed": remove_old}, lines)


def _rows(counts: dict[str, int] | None) -> str:
    return f"{count(sum((counts or {}).values()), 'row')} of {count(len(counts or {}), 'table')}"
