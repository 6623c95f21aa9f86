"""Reads SKILL.md folders from disk, and imports them into a tenant's catalog. Needs the extra `cli`."""

from everyskill.skill_folders.checking import CheckReport, check_skill_folders
from everyskill.skill_folders.folder_errors import FolderWarning
from everyskill.skill_folders.importer import ImportFailure, ImportReport, import_skill_folders
from everyskill.skill_folders.moves import Move
from everyskill.skill_folders.reader import read_skill_folder, read_skill_folders
from everyskill.skill_folders.slugs import slug_of_folder
from everyskill.skill_folders.walk import find_skill_folders

__all__ = [
    "CheckReport",
    "FolderWarning",
    "ImportFailure",
    "ImportReport",
    "Move",
    "check_skill_folders",
    "find_skill_folders",
    "import_skill_folders",
    "read_skill_folder",
    "read_skill_folders",
    "slug_of_folder",
]
