"""`skills check`: what keeps the skills of a tree from being imported, and what other hosts refuse."""

# ruff: noqa: PLC0415 - --help is three quarters slower with the reader

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everyskill.cli.commands import EXIT_FAILED, command
from everyskill.cli.importing import finding_line
from everyskill.cli.lines import Line
from everyskill.cli.options import AsJson, FullDepth
from everyskill.cli.output import Output
from everyskill.wording import count

if TYPE_CHECKING:
    from everyskill.skill_folders.checking import CheckReport


@command
async def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A skill, or a folder with skills in it.")],
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Fail for warnings too.")] = False,
    full_depth: FullDepth = False,
    as_json: AsJson = False,
) -> None:
    """Say what an import would refuse and what other hosts would. Needs no database."""
    from everyskill.skill_folders.checking import check_skill_folders

    report = check_skill_folders(path, full_depth=full_depth)
    Output(as_json=as_json).result(report, _report_lines(path, report))
    if report.errors or (strict and report.warnings):
        raise typer.Exit(EXIT_FAILED)


def _report_lines(root: Path, report: "CheckReport") -> Iterator[Line]:
    for error in report.errors:
        yield finding_line("✗", "red", error)
    for warning in report.warnings:
        yield finding_line("!", "yellow", warning)
    counts = f"{count(len(report.errors), 'error')}, {count(len(report.warnings), 'warning')}"
    yield f"Checked {root}: {count(report.found, 'skill')}, {counts}."
