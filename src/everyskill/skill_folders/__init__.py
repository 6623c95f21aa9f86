"""Reads SKILL.md folders from disk, and imports them into a tenant's catalog. Needs the extra `cli`."""

from everyskill.skill_folders.importer import ImportFailure, ImportReport, import_skill_folders
from everyskill.skill_folders.reader import read_skill_folder, read_skill_folders, slug_of_folder
from everyskill.skill_folders.walk import find_skill_folders

__all__ = [
    "ImportFailure",
    "ImportReport",
    "find_skill_folders",
    "import_skill_folders",
    "read_skill_folder",
    "read_skill_folders",
    "slug_of_folder",
]
