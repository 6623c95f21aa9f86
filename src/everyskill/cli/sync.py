"""`skills sync`: brings the catalog in step with a source of skills."""

# ruff: noqa: PLC0415 - --help is three quarters slower with the importer

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everyskill.cli.commands import EXIT_FAILED, command, open_tenant
from everyskill.cli.importing import advice_lines, progress, report_lines
from everyskill.cli.lines import Line
from everyskill.cli.options import DEFAULT_TENANT, AsJson, DatabaseUrl, TenantId
from everyskill.cli.output import Output
from everyskill.errors import InvalidChoice
from everyskill.settings import Settings
from everyskill.wording import count

if TYPE_CHECKING:
    from everyskill.skill_sources import Bounds, PlannedUpdate, SyncReport

_EXTRA_SCHEMES = ("http", "ssh")


@command
async def sync(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder, a zip or tar.gz, a git repository, a marketplace.json, or an index of skills.",
        ),
    ],
    *,
    ref: Annotated[str | None, typer.Option(metavar="REF", help="A branch, a tag or a commit.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Import commit by commit since the last time.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Also archive or overwrite more than half of the catalog.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Badge nobody.")] = False,
    author: Annotated[
        str | None, typer.Option(metavar="USER", help="Who made the changes; not badged for them.")
    ] = None,
    allow_scheme: Annotated[
        list[str] | None, typer.Option(metavar="SCHEME", help="Reach http or ssh addresses too; may be repeated.")
    ] = None,
    allow_private_hosts: Annotated[
        bool, typer.Option("--allow-private-hosts", help="Reach hosts in private networks and this machine.")
    ] = False,
    tenant_id: TenantId = DEFAULT_TENANT,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Bring the catalog in step with a source.

    Publishes what is new or changed there and archives those of its skills that vanished. Where the source is a git
    repository or an archive that is as it was the last time, nothing is done: run it as often as you like.
    """
    from everyskill.skill_sources import parse_source, sync_skills

    output = Output(as_json=as_json)
    settings = Settings.from_environment()
    parsed = parse_source(source, ref)
    async with open_tenant(tenant_id, database_url, user_id=author) as tenant:
        with progress("Synchronizing") as on_progress:
            report = await sync_skills(
                tenant,
                parsed,
                bounds=_bounds(settings, allow_scheme or [], private_hosts=allow_private_hosts),
                cache=_cache(settings),
                with_history=history,
                dry_run=dry_run,
                confirmed=yes,
                quiet=quiet,
                author_id=author,
                on_progress=on_progress,
            )
    output.result(report, _lines(report))
    if not dry_run:
        output.note(*advice_lines(report.imported, tenant_id=tenant_id, database_url=database_url))
    if report.imported.failed:
        raise typer.Exit(EXIT_FAILED)


def _bounds(settings: Settings, schemes: list[str], *, private_hosts: bool) -> "Bounds":
    from everyskill.skill_sources import Bounds

    for scheme in schemes:
        if scheme not in _EXTRA_SCHEMES:
            raise InvalidChoice("--allow-scheme", scheme, _EXTRA_SCHEMES)
    return Bounds(
        max_bytes=settings.source_bytes,
        max_seconds=settings.source_seconds,
        schemes=frozenset({"https", *schemes}),
        private_hosts=private_hosts,
    )


def _cache(settings: Settings) -> Path:
    if settings.source_cache is not None:
        return Path(settings.source_cache).absolute()
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "everyskill" / "sources"


def _lines(report: "SyncReport") -> Iterator[Line]:
    at = f" at {report.revision[:12]}" if report.revision else ""
    if report.is_current:
        yield f"{report.source} is as it was{at}: nothing to do."
        return
    if report.replayed:
        yield f"Replayed {count(report.replayed, 'commit')} with changes to skills."
    verb = "Would import" if report.is_dry_run else "Imported"
    yield from report_lines(report.source + at, report.imported, verb=verb)
    for update in report.updates:
        yield f"    {update.slug}: {_summary(update)}"
    for note in report.notes:
        yield f"    {note}"


def _summary(update: "PlannedUpdate") -> str:
    return (
        "; ".join(f"{it.label}: {it.detail}" if it.detail else it.label for it in update.changes) or "SKILL.md changed"
    )
