"""Puts the commands together."""

from typing import Annotated

import typer

from everyskill.cli import backup, db, feedback, skill_files, skills, tenants, users
from everyskill.cli.commands import QuickGroup
from everyskill.cli.serve import serve
from everyskill.cli.sync import sync
from everyskill.cli.up import up
from everyskill.cli.views import changes, view
from everyskill.cli.whats_new import mark_seen, whats_new

app = typer.Typer(
    cls=QuickGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine, 1 an error of this program, 2 wrong usage, 3 the database is not ready.",
)

for single in (up, serve, view, changes, whats_new, mark_seen):
    app.command()(single)
skills.group.command()(sync)
for of_db in (backup.dump, backup.restore, backup.upgrade_server):
    db.group.command()(of_db)
for of_skills in (skill_files.export, skill_files.diff):
    skills.group.command()(of_skills)
for group in (skills.group, feedback.group, users.group, tenants.group, db.group):
    app.add_typer(group)


def _print_version(requested: bool) -> None:
    if not requested:
        return
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - --help is a seventh slower with it

    try:
        typer.echo(f"everyskill {version('everyskill')}")
    except PackageNotFoundError:
        typer.echo("everyskill, run from its source without being installed")
    raise typer.Exit


@app.callback()
def everyskill(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and stop.")
    ] = False,
) -> None:
    """Tells each person what changed in a catalog of AI skills since they last looked.

    Begin with: everyskill up
    """
