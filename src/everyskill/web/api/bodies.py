"""What the API takes in and gives out beyond the values of the model."""

from pathlib import PurePosixPath
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from everyskill.errors import InvalidText
from everyskill.model import FeedbackType, Sentiment, SkillFile, SkillFolder
from everyskill.model.inputs import (
    MAX_COMMENT_LENGTH,
    MAX_DESCRIPTION_LENGTH,
    MAX_ID_LENGTH,
    MAX_IDS,
    MAX_NAME_LENGTH,
    MAX_VERSION,
)
from everyskill.model.skills import MAX_CONTENT_LENGTH, MAX_FILE_SIZE, SKILL_FILE_NAME
from everyskill.web.moments import Moment

# Not blank, and without the one character that PostgreSQL's text cannot hold.
# Each part begins where the one before cannot go on, so that no text takes longer than its length.
_STORABLE = r"^\s*[^\x00\s][^\x00]*$"

Version = Annotated[int, Meta(ge=1, le=MAX_VERSION)]
Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH, pattern=r"^[^\x00]+$")]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH, pattern=_STORABLE)]
Description = Annotated[str, Meta(min_length=1, max_length=MAX_DESCRIPTION_LENGTH, pattern=_STORABLE)]
Comment = Annotated[str, Meta(min_length=1, max_length=MAX_COMMENT_LENGTH, pattern=_STORABLE)]
Content = Annotated[str, Meta(max_length=MAX_CONTENT_LENGTH, pattern=r"^[^\x00]*$")]
Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class ViewReport(Struct, frozen=True, forbid_unknown_fields=True):
    """What the page showed: the version, and the moment it was rendered. Both are clamped to what exists."""

    version: Version | None = None
    viewed_at: Moment | None = None


class ViewLookup(Struct, frozen=True, forbid_unknown_fields=True):
    """The skills that are asked about."""

    skill_ids: Annotated[list[Id], Meta(max_length=MAX_IDS)]


class SeenUpTo(Struct, frozen=True, forbid_unknown_fields=True):
    """The `as_of` of the list that was seen."""

    as_of: Moment


class NewFeedback(Struct, frozen=True, forbid_unknown_fields=True):
    """A comment, a sentiment, or both."""

    comment: Comment | None = None
    sentiment: Sentiment | None = None
    feedback_type: FeedbackType = FeedbackType.COMMENT


class OtherFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A file beside SKILL.md: its path within the folder, its size, and its SHA-256 in hex."""

    path: Description
    size: Annotated[int, Meta(ge=0, le=MAX_FILE_SIZE)]
    hash: Hash


class SkillUpload(Struct, frozen=True, forbid_unknown_fields=True):
    """A skill to publish: the whole SKILL.md, and what other files lie beside it. No category leaves it where it is."""

    name: Name
    description: Description
    content: Content
    category: Name | None = None
    files: Annotated[list[OtherFile], Meta(max_length=MAX_IDS)] = []

    def folder(self, slug: str) -> SkillFolder:
        """The upload as a folder. Raises InvalidText for a path that is not one within it."""
        alone = SkillFolder.from_content(
            slug, name=self.name, description=self.description, content=self.content, category=self.category
        )
        others = tuple(SkillFile(_within(file.path), file.size, file.hash) for file in self.files)
        files = (*alone.files, *others)
        if len({file.path for file in files}) < len(files):
            raise InvalidText("files", f"must name each path once, and not {SKILL_FILE_NAME}")
        return replace(alone, files=files)


class Count(Struct, frozen=True):
    """A number of things."""

    count: int


class Moved(Struct, frozen=True):
    """How many skills lost their badge."""

    moved: int


class VersionNumber(Struct, frozen=True):
    """1, 2, 3 … of its skill."""

    number: int


def _within(path: str) -> str:
    parts = PurePosixPath(path).parts
    is_plain = path.isprintable() and "\\" not in path and str(PurePosixPath(path)) == path
    if not is_plain or not parts or path.startswith("/") or ".." in parts:
        raise InvalidText("file path", "must lie within the folder, with forward slashes and without dots")
    return path
