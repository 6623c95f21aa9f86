"""Writes a version of a skill as the folder that it was, and nothing outside of that folder."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, field

from everyskill.model.skill_files import FileContent
from everyskill.model.skills import SkillFile, SkillVersion
from everyskill.services.files import check_path, read_files
from everyskill.services.tenant_scope import TenantScope
from everyskill.skill_folders.folder_errors import folder_error

_EXECUTABLE = 0o111


class ExportReport(Struct, frozen=True, kw_only=True):
    """The paths that were written, and those of which only the hash is known."""

    written: list[str] = field(default_factory=list)
    not_kept: list[str] = field(default_factory=list)


async def export_version(
    tenant: TenantScope, version: SkillVersion, folder: str | os.PathLike[str], *, force: bool = False
) -> ExportReport:
    """Writes the files of a version into a folder that is not there or is empty; with `force` into any.

    Raises SkillFolderError for another folder, for a path that leads out of it, and for what cannot be written.
    """
    top = Path(folder)
    for file in version.files:
        check_path(file.path)
    await asyncio.to_thread(_prepare, top, force=force)
    report = ExportReport()
    async for each in read_files(tenant, version):
        if isinstance(each, SkillFile):
            report.not_kept.append(each.path)
        else:
            await asyncio.to_thread(_write, top, each)
            report.written.append(each.path)
    return report


def _prepare(top: Path, *, force: bool) -> None:
    with _translated(top):
        top.mkdir(parents=True, exist_ok=True)
        if not force and any(top.iterdir()):
            raise folder_error(top, "is not empty: use --force to write into it")


def _write(top: Path, file: FileContent) -> None:
    path = top / file.path
    with _translated(path):
        # A link that lies there could lead anywhere.
        if not path.parent.resolve().is_relative_to(top.resolve()):
            raise folder_error(path, "lies behind a link out of the folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(file.content)
        if file.is_executable:
            path.chmod(path.stat().st_mode | _EXECUTABLE)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise folder_error(path, f"cannot be written: {error.strerror}") from error
