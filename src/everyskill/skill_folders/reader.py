"""Reads a skill folder into a SkillFolder, and a tree of them one by one, so that one broken skill stops no other."""

import os
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import file_digest, sha256
from pathlib import Path
from unicodedata import normalize

from everyskill.errors import InvalidInput, SkillFolderError
from everyskill.model.skills import MAX_CONTENT_LENGTH, SKILL_FILE_NAME, SkillFile, SkillFolder, check_slug
from everyskill.skill_folders.folder_errors import folder_error, translate_os_errors
from everyskill.skill_folders.front_matter import read_front_matter
from everyskill.skill_folders.walk import list_files, real_path

_COMBINING_MARKS = re.compile(r"[\u0300-\u036f]")
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
    with translate_os_errors(folder):
        return _read(folder, root)


def _read(folder: Path, root: Path) -> SkillFolder:
    file = folder / SKILL_FILE_NAME
    paths = list_files(folder, root=root)
    # Not before: a folder that cannot be listed need not be a skill, so its name is not what is wrong with it.
    slug = slug_of_folder(folder)
    if file not in paths:
        raise folder_error(folder, f"holds no file {SKILL_FILE_NAME}")
    data = _read_skill_file(file)
    content = _decode(data, file)
    front_matter = read_front_matter(content, file)
    others = [_hash_file(path, folder) for path in paths if path != file]
    skill = SkillFolder(
        slug=slug,
        name=front_matter.name,
        description=front_matter.description,
        category=front_matter.category or _folder_above(folder, root),
        content=content,
        files=(SkillFile(SKILL_FILE_NAME, len(data), sha256(data).hexdigest()), *others),
    )
    try:
        return skill.checked()
    except InvalidInput as error:
        raise folder_error(folder, str(error).rstrip(".")) from error


def slug_of_folder(folder: Path) -> str:
    """The slug that a folder's name stands for. Raises SkillFolderError where it stands for none."""
    name = Path(os.path.normpath(folder.absolute())).name
    # Decomposed, an accented letter is its base letter and a mark: "Übersicht" becomes "ubersicht".
    plain = _COMBINING_MARKS.sub("", normalize("NFKD", name))
    slug = _NOT_IN_SLUGS.sub("-", plain.lower()).strip("-")
    if not slug:
        raise folder_error(folder, "needs a name with a letter from a to z or a digit in it")
    try:
        return check_slug(slug)
    except InvalidInput as error:
        raise folder_error(folder, f"has a name that makes no slug: {error}") from error


def _read_or_report(folder: Path, root: Path, taken: dict[str, Path]) -> SkillFolder | SkillFolderError:
    with suppress(SkillFolderError):
        slug = slug_of_folder(folder)
        first = taken.setdefault(slug, folder)
        if first != folder:
            return folder_error(folder, f"slug {slug} is already taken by {first}")
    try:
        return read_skill_folder(folder, root=root)
    except SkillFolderError as error:
        return error


def _read_skill_file(path: Path) -> bytes:
    with translate_os_errors(path), path.open("rb") as stream:
        data = stream.read(MAX_CONTENT_LENGTH + 1)
    if len(data) > MAX_CONTENT_LENGTH:
        raise folder_error(path, "must not be larger than 1 MiB")
    return data


def _decode(data: bytes, path: Path) -> str:
    """The text of a SKILL.md without its byte order mark."""
    data = data.removeprefix(BOM_UTF8)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise folder_error(path, "is not UTF-8", line=data.count(b"\n", 0, error.start) + 1) from error
    before, nul, _ = text.partition("\0")
    if nul:
        raise folder_error(path, "holds a NUL character", line=before.count("\n") + 1)
    return text


def _hash_file(path: Path, folder: Path) -> SkillFile:
    """Size and hash of a file, which may be larger than memory."""
    with translate_os_errors(path), path.open("rb") as stream:
        digest = file_digest(stream, "sha256")
        return SkillFile(path.relative_to(folder).as_posix(), stream.tell(), digest.hexdigest())


def _folder_above(folder: Path, root: Path) -> str | None:
    """None where the folder above is the root or outside of it: where a tree lies says nothing of its skills."""
    real, top = real_path(folder, root), real_path(root, root)
    return None if top in {real, real.parent} else real.parent.name
