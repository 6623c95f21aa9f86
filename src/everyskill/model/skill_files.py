"""The files of a version: which there are, what is kept of each, and which paths may be written."""

from pathlib import PurePosixPath, PureWindowsPath

from msgspec import Struct

from everyskill.model.skills import BOM, SkillFile, SkillVersion


class FileEntry(Struct, frozen=True):
    """A file of a version. `is_text` is None where its content is not kept."""

    path: str
    size: int
    hash: str
    is_text: bool | None
    is_executable: bool


class FileContent(Struct, frozen=True):
    """A file of a version with its bytes."""

    path: str
    size: int
    hash: str
    is_text: bool
    is_executable: bool
    content: bytes


def skill_file_content(version: SkillVersion) -> dict[str, bytes]:
    """The bytes of SKILL.md by their hash, with a byte order mark or without one. Empty where neither has the hash."""
    listed = {file.hash for file in version.files if file.is_skill}
    for text in (version.content, BOM + version.content):
        file = SkillFile.of("", text.encode())
        if file.hash in listed:
            return {file.hash: text.encode()}
    return {}


def is_safe_path(path: str) -> bool:
    """Whether a file may be written under this path, below a folder, on any system."""
    parts = PurePosixPath(path).parts
    return (
        path.isprintable()
        and str(PurePosixPath(path)) == path
        and bool(parts)
        and not path.startswith("/")
        and ".." not in parts
        and "\\" not in path
        and not PureWindowsPath(path).drive
    )
