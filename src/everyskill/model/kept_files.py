"""Which files of a skill are kept with their bytes, and which are listed by their hash alone."""

from collections.abc import Iterable
from hashlib import sha256

from msgspec import Struct

from everyskill.errors import InvalidText
from everyskill.model.inputs import check_type
from everyskill.model.skills import SkillFile, SkillFolder
from everyskill.settings import DEFAULT_FILE_BYTES, DEFAULT_SKILL_BYTES, DEFAULT_SKILL_FILES


class FileLimits(Struct, frozen=True, kw_only=True):
    """How large a file may be that is kept, and how many files and bytes of a skill are."""

    file_bytes: int = DEFAULT_FILE_BYTES
    skill_files: int = DEFAULT_SKILL_FILES
    skill_bytes: int = DEFAULT_SKILL_BYTES


DEFAULT_FILE_LIMITS = FileLimits()


class KeptContent(Struct, frozen=True):
    """The bytes of a file, and whether they are text: UTF-8 without NUL."""

    content: bytes
    is_text: bool

    @classmethod
    def of(cls, content: bytes) -> "KeptContent":
        """These bytes, looked through."""
        try:
            return cls(content, b"\0" not in content and content.decode() is not None)
        except UnicodeDecodeError:
            return cls(content, is_text=False)


class FileLeftOut(Struct, frozen=True):
    """A file of which only the hash is kept, and why."""

    path: str
    reason: str


def choose_files(
    files: Iterable[SkillFile], limits: FileLimits = DEFAULT_FILE_LIMITS
) -> tuple[list[SkillFile], list[FileLeftOut]]:
    """The files that are kept, SKILL.md first and the others by path, and those that are not.

    SKILL.md is always kept. A file that has no room leaves it to smaller ones behind it.
    """
    kept: list[SkillFile] = []
    left_out: list[FileLeftOut] = []
    kept_bytes = 0
    for file in sorted(files, key=lambda file: (not file.is_skill, file.path)):
        reason = None if file.is_skill else _reason(file, len(kept), kept_bytes, limits)
        if reason is None:
            kept.append(file)
            kept_bytes += file.size
        else:
            left_out.append(FileLeftOut(file.path, f"{reason}: only its hash is kept"))
    return kept, left_out


def contents_to_keep(folder: SkillFolder, limits: FileLimits) -> dict[str, KeptContent]:
    """The contents by hash, of the files that are kept. Not that of SKILL.md: it follows from the version's text.

    Raises InvalidText where the bytes are not those of the hash.
    """
    if not folder.contents:
        return {}
    kept, _ = choose_files(folder.files, limits)
    skill_hashes = {file.hash for file in kept if file.is_skill}
    files = {file.hash: file for file in kept if file.hash in folder.contents and file.hash not in skill_hashes}
    return {key: KeptContent.of(_check_content(file, folder.contents[key])) for key, file in files.items()}


def _check_content(file: SkillFile, content: bytes) -> bytes:
    check_type("a content", content, bytes)
    if len(content) != file.size or sha256(content).hexdigest() != file.hash:
        raise InvalidText("contents", "must have the bytes of each hash")
    return content


def _reason(file: SkillFile, kept_files: int, kept_bytes: int, limits: FileLimits) -> str | None:
    if file.size > limits.file_bytes:
        return f"has more than {limits.file_bytes:,} bytes"
    if kept_files >= limits.skill_files:
        return f"is beyond the {limits.skill_files:,} files of a skill"
    if kept_bytes + file.size > limits.skill_bytes:
        return f"is beyond the {limits.skill_bytes:,} bytes of a skill"
    return None
