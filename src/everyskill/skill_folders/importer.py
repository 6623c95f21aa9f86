"""Imports a tree of skill folders into a tenant's catalog; a broken skill stops no other."""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from datetime import datetime
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from everyskill import services
from everyskill.errors import InvalidArgument, SkillFolderError
from everyskill.model.skills import SKILL_FILE_NAME, Outcome, SkillFolder, SkillStatus
from everyskill.services.tenant_scope import TenantScope
from everyskill.skill_folders.bulk import FolderRead, ImportedAs, publish_folders
from everyskill.skill_folders.folder_errors import FolderWarning, folder_error
from everyskill.skill_folders.moves import Move, find_moved_skills
from everyskill.skill_folders.reader import read_skill_folders
from everyskill.skill_folders.slugs import assign_slugs, path_within, slug_of_folder
from everyskill.skill_folders.walk import find_skill_folders

OnProgress = Callable[[int, int, Path], None]


class ImportFailure(Struct, frozen=True):
    """A folder that did not become a skill. `line` is None where no line is to blame."""

    path: str
    line: int | None
    reason: str


class ImportReport(Struct, frozen=True, kw_only=True):
    """What an import did, by slug, no slug in two lists. `hidden` were archived before and stay so, changed or not.

    What was `moved` is in one of the lists too, by its new slug.
    """

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    archived: list[str] = field(default_factory=list)
    moved: list[Move] = field(default_factory=list)
    failed: list[ImportFailure] = field(default_factory=list)
    warnings: list[FolderWarning] = field(default_factory=list)


async def import_skill_folders(
    tenant: TenantScope,
    root: str | os.PathLike[str],
    *,
    author_id: str | None = None,
    author_name: str | None = None,
    note: str | None = None,
    authored_at: datetime | None = None,
    quiet: bool = False,
    source: str | None = None,
    archive_missing: bool = False,
    full_depth: bool = False,
    dry_run: bool = False,
    on_progress: OnProgress | None = None,
) -> ImportReport:
    """Publishes every skill folder below `root`. Broken ones are reported, and the rest is published all the same.

    `full_depth` looks for skills below skills too. `archive_missing` archives the published skills that have no folder
    there; a broken folder is a folder, and so is each one below it. It archives nothing where one cannot be listed, and
    with a `source` only skills of that source. A skill that is there under another slug, with the same content but for
    its name, was moved: it is renamed, and stays itself. `dry_run` changes nothing, and reports what would be done.
    `on_progress` is called after each folder with the number done, the number of all, and the folder.

    What is said of the author, the reason and the source is as for `publish_skill`. Several hundred folders become
    visible at once. Raises SkillFolderError for a root without a skill, InvalidArgument for one that is no path,
    UserNotFound for an unknown author, TenantNotFound, what `publish_skill` raises for what is said, and
    DatabaseNotReady, which leaves the rest of the folders out.
    """
    top = _check_path(root)
    said = ImportedAs(
        author_id=author_id,
        author_name=author_name,
        note=note,
        authored_at=authored_at,
        quiet=quiet,
        source=source,
        dry_run=dry_run,
    )
    folders = await asyncio.to_thread(list_skill_folders, top, full_depth=full_depth)
    # Checks what is said, once for all.
    await services.publish_skills(tenant, [], **asdict(said))
    if author_id is not None:
        await services.get_user(tenant, author_id)
    known = await find_known_slugs(tenant, source)
    assigned = await asyncio.to_thread(assign_slugs, folders, root=top, known=known)
    moves = await _find_moves(tenant, top, assigned, source=source) if archive_missing else []
    for move in moves if not dry_run else ():
        await services.rename_skill(tenant, move.old, move.new)
    report = ImportReport(moved=moves)
    # A dry run has renamed nothing, so it asks for what is moved by the old slug.
    old_slugs = {move.new: move.old for move in moves} if dry_run else {}
    new_slugs = {old: new for new, old in old_slugs.items()}
    broken: list[Path] = []
    done = 0
    slugs = {*assigned.values(), *(move.old for move in moves)}
    results = read_skill_folders(
        folders, root=top, known_slugs=known, file_limits=tenant.file_limits, on_warning=report.warnings.append
    )
    async with aclosing(publish_folders(tenant, _renamed(results, old_slugs), top, said)) as batches:
        async for folder, outcome in batches:
            done += 1
            if isinstance(outcome, SkillFolderError):
                broken.append(folder)
                report.failed.append(_failure(outcome))
            else:
                slugs.add(outcome.slug)
                _list_for(report, outcome.outcome, outcome.status).append(new_slugs.get(outcome.slug, outcome.slug))
            if on_progress is not None:
                on_progress(done, len(folders), folder)
    if archive_missing:
        missing = await _find_missing(tenant, top, slugs, broken, report, source=source)
        for slug in missing if not dry_run else ():
            await services.archive_skill(tenant, slug)
        report.archived.extend(missing)
    return report


def list_skill_folders(root: Path, *, full_depth: bool = False) -> list[Path]:
    """The skill folders below `root`. Raises SkillFolderError where there is none: the path is probably wrong."""
    folders = find_skill_folders(root, full_depth=full_depth)
    if not folders:
        raise folder_error(root, f"holds no {SKILL_FILE_NAME}")
    return folders


def _check_path(root: str | os.PathLike[str]) -> Path:
    try:
        return Path(root)
    except TypeError as error:
        raise InvalidArgument("root", "a str or an os.PathLike[str]", f"a {type(root).__name__}") from error


def _failure(error: SkillFolderError) -> ImportFailure:
    return ImportFailure(error.path, error.line, error.reason)


def _list_for(report: ImportReport, outcome: Outcome, status: SkillStatus) -> list[str]:
    if status is SkillStatus.ARCHIVED:
        return report.hidden
    return {Outcome.ADDED: report.added, Outcome.UPDATED: report.updated, Outcome.UNCHANGED: report.unchanged}[outcome]


def _renamed(results: Iterator[FolderRead], slugs: Mapping[str, str]) -> Iterator[FolderRead]:
    for folder, skill in results:
        if isinstance(skill, SkillFolder) and skill.slug in slugs:
            yield folder, replace(skill, slug=slugs[skill.slug])
        else:
            yield folder, skill


async def find_known_slugs(tenant: TenantScope, source: str | None) -> dict[str, str]:
    """The slugs that folders of the source had the last time, by their paths."""
    skills = [] if source is None else await services.list_sourced_skills(tenant)
    return {skill.source_path: skill.slug for skill in skills if skill.source == source and skill.source_path}


async def _find_moves(tenant: TenantScope, root: Path, slugs: Mapping[Path, str], *, source: str | None) -> list[Move]:
    unlisted: list[OSError] = []
    # Those below a broken folder too: whatever lies there is not missing.
    below = await asyncio.to_thread(_list_folders_below, [root], root, unlisted.append)
    missing = set() if unlisted else await services.list_slugs(tenant, source=source) - {*map(slug_of_folder, below)}
    if not missing - {*slugs.values()}:
        return []
    known = await services.list_slugs(tenant, include_hidden=True)
    added = {path_within(folder, root): slug for folder, slug in slugs.items() if slug not in known}
    folders = [folder for folder, slug in slugs.items() if slug not in known]
    read = (skill for _, skill in read_skill_folders(folders, root=root, known_slugs=added))
    new = (skill for skill in read if isinstance(skill, SkillFolder))
    return await find_moved_skills(tenant, missing - {*slugs.values()}, new)


async def _find_missing(
    tenant: TenantScope,
    root: Path,
    slugs: set[str],
    broken: list[Path],
    report: ImportReport,
    *,
    source: str | None,
) -> list[str]:
    unlisted: list[OSError] = []
    hidden = await asyncio.to_thread(_list_folders_below, broken, root, unlisted.append)
    if unlisted or root in broken:
        # A skill at the root is named by what cannot be read.
        where, what = (Path(unlisted[0].filename), "listed") if unlisted else (root, "read")
        report.failed.append(_failure(folder_error(where, f"cannot be {what}, so nothing was archived")))
        return []
    return sorted(await services.list_slugs(tenant, source=source) - slugs - set(map(slug_of_folder, hidden)))


def _list_folders_below(broken: Iterable[Path], root: Path, on_error: Callable[[OSError], None]) -> list[Path]:
    # Skills were not looked for there, and any of those that seem to be missing may lie there, but for links out of the
    # tree. Not Path.is_symlink: that raises some errors.
    tops = [folder for folder in broken if folder == root or not os.path.islink(folder)]  # noqa: PTH114
    return [Path(path) for top in tops for path, _, _ in os.walk(top, onerror=on_error)]
