"""Opens the files of a skill: each once, and none but SKILL.md held in memory."""

from codecs import BOM_UTF8
from hashlib import file_digest, sha256
from pathlib import Path

from everyskill.model.skills import MAX_CONTENT_LENGTH, SKILL_FILE_NAME, SkillFile
from everyskill.skill_folders.reports import broken, unreadable_is_broken


def read_skill_file(path: Path) -> tuple[str, SkillFile]:
    """The text of a SKILL.md without its byte order mark, and what the list of files says of the same bytes."""
    with unreadable_is_broken(path), path.open("rb") as stream:
        data = stream.read(MAX_CONTENT_LENGTH + 1)
    if len(data) > MAX_CONTENT_LENGTH:
        raise broken(path, "must not be larger than 1 MiB")
    return _text(data.removeprefix(BOM_UTF8), path), SkillFile(SKILL_FILE_NAME, len(data), sha256(data).hexdigest())


def hash_file(path: Path, folder: Path) -> SkillFile:
    """Size and hash of one file, whatever its size."""
    with unreadable_is_broken(path), path.open("rb") as stream:
        digest = file_digest(stream, "sha256")
        return SkillFile(path.relative_to(folder).as_posix(), stream.tell(), digest.hexdigest())


def _text(data: bytes, path: Path) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise broken(path, "is not UTF-8", line=data.count(b"\n", 0, error.start) + 1) from error
    before, nul, _ = text.partition("\0")
    if nul:
        raise broken(path, "holds a NUL character", line=before.count("\n") + 1)
    return text
