"""Imports a tree of skills for a command: the progress bar, the report, and what to do about failures."""

# ruff: noqa: PLC0415 - --help is three quarters slower with the importer, and a quarter with rich

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from everyskill.cli.lines import Line, join_names, styled
from everyskill.cli.options import next_command
from everyskill.wording import count

if TYPE_CHECKING:
    from rich.text import Text

    from everyskill.handles import Tenant
    from everyskill.skill_folders.folder_errors import FolderWarning
    from everyskill.skill_folders.importer import ImportFailure, ImportReport

# More would scroll the counts away.
MAX_SHOWN = 20


async def import_folder(
    tenant: "Tenant",
    root: Path,
    *,
    author_id: str | None = None,
    archive_missing: bool = False,
    full_depth: bool = False,
    note: str | None = None,
    quiet: bool = False,
    dry_run: bool = False,
) -> "ImportReport":
    """Imports a tree of skills, with a progress bar where stderr is a terminal."""
    from everyskill.skill_folders.importer import import_skill_folders

    with progress("Importing") as advance:
        on_progress = None if advance is None else lambda done, total, _: advance(done, total)
        return await import_skill_folders(
            tenant,
            root,
            author_id=author_id,
            note=note,
            quiet=quiet,
            archive_missing=archive_missing,
            full_depth=full_depth,
            dry_run=dry_run,
            on_progress=on_progress,
        )


def report_lines(root: Path | str, report: "ImportReport", *, verb: str = "Imported") -> Iterator[Line]:
    """The counts in one line, then names of moved, updated, archived and hidden skills, and the first failures and
    warnings.
    """
    names = ("added", "updated", "unchanged", "moved", "hidden", "archived", "failed")
    lists = {name: getattr(report, name) for name in names}
    counts = ", ".join(f"{len(found):,} {name}" for name, found in lists.items() if found)
    yield f"{verb} {root}: {counts or 'nothing changed'}."
    if report.moved:
        yield f"    moved: {join_names([f'{move.old} → {move.new}' for move in report.moved])}"
    for name in ("updated", "archived"):
        if lists[name]:
            yield f"    {name}: {join_names(lists[name])}"
    if report.hidden:
        yield f"    archived before, so still hidden: {join_names(report.hidden)}"
    for failure in report.failed[:MAX_SHOWN]:
        yield finding_line("✗", "red", failure)
    if len(report.failed) > MAX_SHOWN:
        yield f"    and {count(len(report.failed) - MAX_SHOWN, 'more failure')}; --json has them all"
    for warning in report.warnings[:MAX_SHOWN]:
        yield finding_line("!", "yellow", warning)
    if len(report.warnings) > MAX_SHOWN:
        yield f"    and {count(len(report.warnings) - MAX_SHOWN, 'more warning')}; --json has them all"


def finding_line(mark: str, style: str, finding: "ImportFailure | FolderWarning") -> "Text":
    """What is wrong, and where."""
    place = finding.path if finding.line is None else f"{finding.path}:{finding.line}"
    return styled(f"    {mark} ", style).append(f"{place}: {finding.reason}", "default")


def advice_lines(report: "ImportReport", *, tenant_id: str, database_url: str | None) -> Iterator[Line]:
    """What to do about hidden skills and about failures."""
    if report.hidden:
        again = next_command("skills restore SLUG", tenant_id=tenant_id, database_url=database_url)
        yield f"To show one again: {again}"
    if report.failed:
        yield f"{count(len(report.failed), 'folder')} not imported. Fix what is named above and run this again."


@contextmanager
def progress(doing: str) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar where stderr is a terminal; None elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
