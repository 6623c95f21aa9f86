"""Reads a skill folder into a SkillFolder, and a tree of them one by one, so that one broken skill stops no other."""

import os
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from everyskill.errors import InvalidInput, SkillFolderError
from everyskill.model.inputs import MAX_NAME_LENGTH, is_storable
from everyskill.model.kept_files import DEFAULT_FILE_LIMITS, FileLeftOut, FileLimits, choose_files
from everyskill.model.skills import MAX_CONTENT_LENGTH, SKILL_FILE_NAME, SkillFile, SkillFolder
from everyskill.skill_folders.folder_errors import (
    AnyPath,
    OnWarning,
    folder_error,
    folder_warning,
    ignore_warning,
    translate_os_errors,
)
from everyskill.skill_folders.front_matter import FrontMatter, read_front_matter
from everyskill.skill_folders.manifests import Manifests
from everyskill.skill_folders.slugs import (
    CONTAINERS,
    NOTHING,
    assign_slugs,
    name_of_folder,
    slug_of_folder,
    slug_of_name,
)
from everyskill.skill_folders.walk import FoundFile, list_files, real_path

_CHUNK = 1024 * 1024


def read_skill_folders(
    folders: Iterable[Path],
    *,
    root: Path,
    known_slugs: Mapping[str, str] = NOTHING,
    file_limits: FileLimits = DEFAULT_FILE_LIMITS,
    on_warning: OnWarning = ignore_warning,
) -> Iterator[tuple[Path, SkillFolder | SkillFolderError]]:
    """Yields each folder with its skill, or with what is wrong with it, as soon as it is read.

    A slug belongs to its folder even where that one is broken: otherwise another would be published as a new version of
    it for as long as it is. `known_slugs` has the slugs that folders had before, by their path within root.
    """
    folders = list(folders)
    tree = _Tree(root, file_limits, on_warning)
    slugs = assign_slugs(folders, root=root, known=known_slugs)
    tree.taken.update(slugs.values())
    for folder in folders:
        yield folder, _read_or_report(tree, folder, slugs[folder])


def read_skill_folder(folder: Path, *, root: Path, on_warning: OnWarning = ignore_warning) -> SkillFolder:
    """Reads one skill of the tree at `root`. Raises SkillFolderError where the folder cannot become a skill."""
    return _read(_Tree(root, DEFAULT_FILE_LIMITS, on_warning), folder, slug_of_folder(folder))


@dataclass
class _Tree:
    """The tree that is read, and what holds for all of it."""

    root: Path
    file_limits: FileLimits
    on_warning: OnWarning
    # The slugs of all its folders.
    taken: set[str] = field(default_factory=set)
    real_root: str = field(init=False)
    manifests: Manifests = field(init=False)

    def __post_init__(self) -> None:
        self.real_root = os.path.realpath(self.root)
        self.manifests = Manifests(self.real_root, self.on_warning)

    def warn(self, path: AnyPath, reason: str) -> None:
        self.on_warning(folder_warning(path, reason))


def _read_or_report(tree: _Tree, folder: Path, slug: str) -> SkillFolder | SkillFolderError:
    try:
        return _read(tree, folder, slug)
    except SkillFolderError as error:
        return error


def _read(tree: _Tree, folder: Path, slug: str) -> SkillFolder:
    with translate_os_errors(folder):
        real = real_path(folder, tree.real_root)
        found = list_files(folder, real=real, real_root=tree.real_root, on_warning=tree.on_warning)
        skill_file = _skill_file(tree, folder, found)
        file = skill_file.path
        data = _read_skill_file(file)
        content = _decode(tree, data, file)
        folder_name = name_of_folder(folder)
        front_matter = read_front_matter(content, file, folder_name=folder_name, on_warning=tree.on_warning)
        first = SkillFile(SKILL_FILE_NAME, len(data), sha256(data).hexdigest(), skill_file.is_executable)
        others, contents = _read_others(tree, folder, first, [other for other in found if other is not skill_file])
        skill = SkillFolder(
            slug=_slug(tree, folder, front_matter, slug),
            name=front_matter.name or _printable(folder_name) or slug,
            description=front_matter.description,
            category=_category(tree, real, front_matter),
            content=content,
            files=(first, *others),
            contents=contents,
            front_matter=front_matter.values,
        )
    try:
        return skill.checked()
    except InvalidInput as error:
        raise folder_error(folder, str(error).rstrip(".")) from error


def _skill_file(tree: _Tree, folder: Path, found: list[FoundFile]) -> FoundFile:
    at_top = [file for file in found if file.name.upper() == SKILL_FILE_NAME.upper()]
    exact = [file for file in at_top if file.name == SKILL_FILE_NAME]
    for file in exact or at_top:
        if not exact:
            tree.warn(file.path, f"is kept as {SKILL_FILE_NAME}: other hosts look for no other name")
        return file
    raise folder_error(folder, f"holds no file {SKILL_FILE_NAME}")


def _slug(tree: _Tree, folder: Path, front_matter: FrontMatter, slug: str) -> str:
    """A skill at the root is named by its front matter: where a tree lies says nothing of its skills."""
    if front_matter.name and folder == tree.root and (named := slug_of_name(front_matter.name)) not in tree.taken:
        return named
    if slug != slug_of_folder(folder):
        tree.warn(folder, f"its slug is {slug}: {slug_of_folder(folder)} is another folder's")
    return slug


def _category(tree: _Tree, real: str, front_matter: FrontMatter) -> str | None:
    """What the skill or its plugin's manifest says, else the scope or the plugin; None where nothing does."""
    if front_matter.category:
        return front_matter.category
    path = real[len(tree.real_root) :].strip("/")
    plugin = tree.manifests.find_plugin(path)
    if plugin is not None and plugin.category:
        return plugin.category[:MAX_NAME_LENGTH]
    above = reversed(path.split("/")[:-1])
    scopes = (name for name in above if not name.startswith(".") and name.lower() not in CONTAINERS)
    scope = next(scopes, plugin.name if plugin else None)
    return scope and _printable(scope)[:MAX_NAME_LENGTH]


def _printable(name: str) -> str:
    return name if is_storable(name) else name.encode(errors="backslashreplace").decode()


def _read_skill_file(path: str) -> bytes:
    with translate_os_errors(path), open(path, "rb") as stream:  # noqa: PTH123 - of thousands
        data = stream.read(MAX_CONTENT_LENGTH + 1)
    if len(data) > MAX_CONTENT_LENGTH:
        raise folder_error(path, "must not be larger than 1 MiB")
    return data


def _decode(tree: _Tree, data: bytes, path: str) -> str:
    """The text of a SKILL.md without its byte order mark."""
    if data.startswith(BOM_UTF8):
        tree.on_warning(folder_warning(path, "begins with a byte order mark, which other hosts take as text", line=1))
        data = data.removeprefix(BOM_UTF8)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise folder_error(path, "is not UTF-8", line=data.count(b"\n", 0, error.start) + 1) from error
    before, nul, _ = text.partition("\0")
    if nul:
        raise folder_error(path, "holds a NUL character", line=before.count("\n") + 1)
    return text


def _read_others(
    tree: _Tree, folder: Path, first: SkillFile, found: list[FoundFile]
) -> tuple[list[SkillFile], dict[str, bytes]]:
    """The files beside SKILL.md, and the contents of those that are to be kept, by their hash."""
    expected = [SkillFile(file.name, file.size, "") for file in found]
    kept, left_out = choose_files([first, *expected], tree.file_limits)
    for reason, paths in _by_reason(left_out).items():
        others = f" (so are {len(paths) - 1:,} others)" if len(paths) > 1 else ""
        tree.warn(f"{folder}/{paths[0]}", f"{reason}{others}")
    wanted = {file.path for file in kept}
    files: list[SkillFile] = []
    contents: dict[str, bytes] = {}
    for file in found:
        read, data = _read_file(file, tree.file_limits.file_bytes if file.name in wanted else 0)
        files.append(read)
        if data is not None and file.name in wanted:
            contents[read.hash] = data
    return files, contents


def _by_reason(left_out: Iterable[FileLeftOut]) -> dict[str, list[str]]:
    paths: dict[str, list[str]] = {}
    for file in left_out:
        paths.setdefault(file.reason, []).append(file.path)
    return paths


def _read_file(file: FoundFile, most: int) -> tuple[SkillFile, bytes | None]:
    """A file, which may be larger than memory, and its bytes if they are at most so many."""
    with translate_os_errors(file.path), open(file.path, "rb", buffering=0) as stream:  # noqa: PTH123
        data = stream.read(min(file.size, most) + 1)
        digest, size = sha256(data), len(data)
        while chunk := stream.read(_CHUNK) if size > min(file.size, most) else b"":
            digest.update(chunk)
            size += len(chunk)
    is_whole = size == len(data) <= most
    return SkillFile(file.name, size, digest.hexdigest(), file.is_executable), data if is_whole else None
