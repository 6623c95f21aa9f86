"""Brings a catalog in step with a source, once or commit by commit, and remembers how far it came."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from everyskill import services
from everyskill.errors import InvalidSource
from everyskill.model.skills import SkillStatus
from everyskill.model.sources import SourcedSkill
from everyskill.services.tenant_scope import TenantScope
from everyskill.skill_folders.importer import ImportFailure, ImportReport, import_skill_folders
from everyskill.skill_sources.bounds import Bounds
from everyskill.skill_sources.git_repository import Commit
from everyskill.skill_sources.opening import OpenedSource, open_source
from everyskill.skill_sources.planning import PlannedUpdate, check_scale, describe_updates
from everyskill.skill_sources.source import Source

OnProgress = Callable[[int, int], None]


# What a skill was earlier in a run, and what is no news of it after that.
_WEAKER = {"added": ("unchanged", "updated"), "updated": ("unchanged",), "archived": ("unchanged", "hidden")}


class SyncReport(Struct, frozen=True, kw_only=True):
    """What a synchronization did, or would do where it was a dry run.

    `is_current` says that the source is as it was the last time, so that nothing was done. `replayed` is the number of
    commits that touched skills. `imported` is of all of them, its failures and warnings are of the newest.
    """

    source: str
    ref: str | None
    revision: str | None
    is_current: bool = False
    is_dry_run: bool = False
    replayed: int = 0
    imported: ImportReport = field(default_factory=ImportReport)
    updates: list[PlannedUpdate] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


async def sync_skills(
    tenant: TenantScope,
    source: Source,
    *,
    bounds: Bounds,
    cache: Path,
    with_history: bool = False,
    dry_run: bool = False,
    confirmed: bool = False,
    quiet: bool = False,
    author_id: str | None = None,
    on_progress: OnProgress | None = None,
) -> SyncReport:
    """Publishes what is new or changed in a source, and archives those of its skills that are no longer there.

    With history, each commit on the first-parent line since the last synchronization that touched a skill is imported
    by itself. Raises what `open_source` and `import_skill_folders` do, and NeedsConfirmation.
    """
    known = await services.get_skill_source(tenant, source.address)
    async with open_source(source, bounds, cache=cache, with_history=with_history) as opened:
        done = SyncReport(source=source.address, ref=source.ref, revision=opened.revision)
        if opened.revision is not None and known is not None and known.revision == opened.revision:
            return replace(done, is_current=True)
        skills = await services.list_sourced_skills(tenant)
        run = _Run(tenant, source, opened, skills, author_id=author_id, quiet=quiet)
        plan = await run.plan()
        opened.notes += _taken_over(skills, source.address, plan)
        if dry_run:
            updates = await describe_updates(tenant, opened.root, plan.updated, source=source.address)
            return replace(done, is_dry_run=True, imported=plan, updates=updates, notes=opened.notes)
        if not confirmed:
            check_scale(skills, source.address, plan)
        if known is None:
            await run.save(None)
        since = known.revision if known else None
        commits = await opened.list_commits(since) if with_history else None
        if commits is None:
            if with_history:
                opened.notes.append("its history was rewritten, so the newest commit alone was imported")
            reports = [await run.import_once(on_progress)]
        else:
            reports = await run.replay(since, commits, on_progress)
        imported = _merged(reports)
        if not imported.failed:
            await run.save(opened.revision)
        return replace(done, replayed=len(reports) if commits else 0, imported=imported, notes=opened.notes)


class _Run:
    """One synchronization of an opened source."""

    def __init__(
        self,
        tenant: TenantScope,
        source: Source,
        opened: OpenedSource,
        skills: Sequence[SourcedSkill],
        *,
        author_id: str | None,
        quiet: bool,
    ) -> None:
        self._tenant = tenant
        self._source = source
        self._opened = opened
        self._author_id = author_id
        self._quiet = quiet
        self._vanished = {
            skill.slug
            for skill in skills
            if skill.source == source.address and skill.status is SkillStatus.ARCHIVED and skill.source_path is None
        }

    async def plan(self) -> ImportReport:
        """What importing the newest state would do."""
        return await self._import(dry_run=True)

    async def import_once(self, on_progress: OnProgress | None) -> ImportReport:
        """Imports the folder as it is now."""
        return await self._settle(await self._import(on_progress=on_progress))

    async def replay(
        self, since: str | None, commits: Sequence[Commit], on_progress: OnProgress | None
    ) -> list[ImportReport]:
        """Imports each commit that touched a skill, oldest first, and remembers each but the last.

        Where that one has failures, the next run finds them again; an earlier one would take later changes back.
        """
        reports: list[ImportReport] = []
        last: str | None = None
        await self._opened.move_to(since)
        for done, commit in enumerate(commits, start=1):
            try:
                if await self._opened.move_to(commit.revision) and self._opened.has_skills:
                    if last is not None:
                        await self.save(last)
                    reports.append(await self._settle(await self._import(commit=commit)))
                    last = commit.revision
            except InvalidSource as error:
                self._opened.notes.append(f"the commit {commit.revision[:12]} was left out: {error}")
            if on_progress is not None:
                on_progress(done, len(commits))
        return reports

    async def save(self, revision: str | None) -> None:
        """Remembers how far the source was imported."""
        await services.save_skill_source(self._tenant, self._source.address, ref=self._source.ref, revision=revision)

    async def _import(
        self, *, commit: Commit | None = None, dry_run: bool = False, on_progress: OnProgress | None = None
    ) -> ImportReport:
        report = await import_skill_folders(
            self._tenant,
            self._opened.root,
            author_id=self._author_id,
            author_name=commit.author_name if commit else None,
            note=commit.subject if commit else None,
            authored_at=commit.authored_at if commit else None,
            quiet=self._quiet,
            source=self._source.address,
            archive_missing=not self._opened.left_out,
            dry_run=dry_run,
            on_progress=None if on_progress is None else lambda done, total, _: on_progress(done, total),
        )
        left_out = [ImportFailure(self._source.address, None, reason) for reason in self._opened.left_out]
        return replace(
            report,
            failed=[*map(self._with_path_in_source, report.failed), *left_out],
            warnings=list(map(self._with_path_in_source, report.warnings)),
        )

    async def _settle(self, report: ImportReport) -> ImportReport:
        """Shows again what vanished and is back, and notes what vanished now."""
        back = [slug for slug in report.hidden if slug in self._vanished]
        for slug in back:
            await services.restore_skill(self._tenant, slug)
        if report.archived:
            await services.mark_vanished_skills(self._tenant, self._source.address, report.archived)
        self._vanished = self._vanished.difference(back).union(report.archived)
        hidden = [slug for slug in report.hidden if slug not in back]
        return replace(report, hidden=hidden, updated=[*report.updated, *back])

    def _with_path_in_source(self, about: Any) -> Any:
        """A failure or a warning without the temporary folder, whose name nobody knows."""
        if str(self._opened.root) == self._source.location:
            return about
        root = f"{self._opened.root}/"
        return replace(about, path=about.path.removeprefix(root), reason=about.reason.replace(root, ""))


def _taken_over(skills: Sequence[SourcedSkill], address: str, plan: ImportReport) -> list[str]:
    taken = {*plan.updated, *plan.unchanged}
    others = [skill for skill in skills if skill.slug in taken and skill.source not in {None, address}]
    return [f"{skill.slug} was synchronized from {skill.source} until now" for skill in others]


def _merged(reports: Sequence[ImportReport]) -> ImportReport:
    """What became of each skill in all; failures and warnings are those of the newest state."""
    if not reports:
        return ImportReport()
    fates: dict[str, str] = {}
    for report in reports:
        for fate in ("unchanged", "hidden", "added", "updated", "archived"):
            for slug in getattr(report, fate):
                if fate not in _WEAKER.get(fates.get(slug, ""), ()):
                    fates[slug] = fate
    lists = {fate: [slug for slug, found in fates.items() if found == fate] for fate in set(fates.values())}
    moved = [move for report in reports for move in report.moved]
    return ImportReport(**lists, moved=moved, failed=reports[-1].failed, warnings=reports[-1].warnings)
