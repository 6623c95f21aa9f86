"""Reads a skill folder into a SkillFolder, and a tree of them one by one, so that one broken skill stops no other."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from unicodedata import normalize

from everyskill.errors import InvalidInput, SkillFolderError
from everyskill.model.skills import SKILL_FILE_NAME, SkillFolder, check_slug
from everyskill.skill_folders.files import hash_file, read_skill_file
from everyskill.skill_folders.front_matter import read_front_matter
from everyskill.skill_folders.reports import broken
from everyskill.skill_folders.walk import list_files, real_path

_MARKS = re.compile(r"[\u0300-\u036f]")
_NOT_IN_SLUGS = re.compile(r"[^a-z0-9]+")


def read_skill_folders(folders: Iterable[Path], *, root: Path) -> Iterator[tuple[Path, SkillFolder | SkillFolderError]]:
    """Yields each folder with its skill, or with what is wrong with it, as soon as it is read.

    A slug belongs to the first folder that has it, even where that one is broken: otherwise the second would be
    published as a new version of the first for as long as the first is.
    """
    taken: dict[str, Path] = {}
    for folder in folders:
        yield folder, _read_or_report(folder, root, taken)


def read_skill_folder(folder: Path, *, root: Path) -> SkillFolder:
    """Reads one skill of the tree at `root`. Raises SkillFolderError where the folder cannot become a skill."""
    slug = slug_of_folder(folder)
    file = folder / SKILL_FILE_NAME
    paths = list_files(folder, root=root)
    if file not in paths:
        raise broken(folder, f"holds no file {SKILL_FILE_NAME}")
    content, listed = read_skill_file(file)
    front = read_front_matter(content, file)
    others = [hash_file(path, folder) for path in paths if path != file]
    skill = SkillFolder(
        slug=slug,
        name=front.name,
        description=front.description,
        category=front.category or _folder_above(folder, root),
        content=content,
        files=(listed, *others),
    )
    return _checked(skill, folder)


def slug_of_folder(folder: Path) -> str:
    """The slug that a folder's name stands for. Raises SkillFolderError where it stands for none."""
    name = Path(os.path.normpath(folder.absolute())).name
    # Decomposed, an accented letter is its base letter and a mark: "Übersicht" becomes "ubersicht".
    plain = _MARKS.sub("", normalize("NFKD", name))
    slug = _NOT_IN_SLUGS.sub("-", plain.lower()).strip("-")
    if not slug:
        raise broken(folder, "needs a name with a letter from a to z or a digit in it")
    try:
        return check_slug(slug)
    except InvalidInput as error:
        raise broken(folder, f"has a name that makes no slug: {error}") from error


def _read_or_report(folder: Path, root: Path, taken: dict[str, Path]) -> SkillFolder | SkillFolderError:
    try:
        slug = slug_of_folder(folder)
        first = taken.setdefault(slug, folder)
        if first != folder:
            return broken(folder, f"slug {slug} is already taken by {first}")
        return read_skill_folder(folder, root=root)
    except SkillFolderError as error:
        return error


def _folder_above(folder: Path, root: Path) -> str | None:
    """None where the folder above is the root or outside of it: where a tree lies says nothing of its skills."""
    real, top = real_path(folder, root), real_path(root, root)
    return None if top in {real, real.parent} else real.parent.name


def _checked(skill: SkillFolder, folder: Path) -> SkillFolder:
    try:
        return skill.checked()
    except InvalidInput as error:
        raise broken(folder, str(error).rstrip(".")) from error
