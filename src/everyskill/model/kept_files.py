"""Which files of a skill are kept with their bytes, and which are listed by their hash alone."""

from collections.abc import Iterable

from msgspec import Struct

from everyskill.model.skills import SkillFile
from everyskill.settings import DEFAULT_FILE_BYTES, DEFAULT_SKILL_BYTES, DEFAULT_SKILL_FILES


class FileLimits(Struct, frozen=True, kw_only=True):
    """How large a file may be that is kept, and how many files and bytes of a skill are."""

    file_bytes: int = DEFAULT_FILE_BYTES
    skill_files: int = DEFAULT_SKILL_FILES
    skill_bytes: int = DEFAULT_SKILL_BYTES


DEFAULT_FILE_LIMITS = FileLimits()


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


def _reason(file: SkillFile, kept_files: int, kept_bytes: int, limits: FileLimits) -> str | None:
    if file.size > limits.file_bytes:
        return f"has more than {limits.file_bytes:,} bytes"
    if kept_files >= limits.skill_files:
        return f"is beyond the {limits.skill_files:,} files of a skill"
    if kept_bytes + file.size > limits.skill_bytes:
        return f"is beyond the {limits.skill_bytes:,} bytes of a skill"
    return None
