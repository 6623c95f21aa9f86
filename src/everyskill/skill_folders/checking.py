"""Reads a tree of skills as an import would, and says what it finds, without a database."""

import os
from pathlib import Path

from msgspec import Struct, field

from everyskill.errors import SkillFolderError
from everyskill.skill_folders.folder_errors import FolderWarning
from everyskill.skill_folders.importer import ImportFailure, list_skill_folders
from everyskill.skill_folders.reader import read_skill_folders


class CheckReport(Struct, frozen=True, kw_only=True):
    """How many skill folders there are, what keeps some from being imported, and what a host may refuse."""

    found: int
    errors: list[ImportFailure] = field(default_factory=list)
    warnings: list[FolderWarning] = field(default_factory=list)


def check_skill_folders(root: str | os.PathLike[str], *, full_depth: bool = False) -> CheckReport:
    """Reads every skill folder below `root`. Raises SkillFolderError for a root without a skill."""
    top = Path(root)
    folders = list_skill_folders(top, full_depth=full_depth)
    report = CheckReport(found=len(folders))
    for _, skill in read_skill_folders(folders, root=top, on_warning=report.warnings.append):
        if isinstance(skill, SkillFolderError):
            report.errors.append(ImportFailure(skill.path, skill.line, skill.reason))
    return report
