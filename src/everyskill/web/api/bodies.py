"""The request bodies of the API, and the response bodies that are not values of the model."""

from pathlib import PurePosixPath
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from everyskill.errors import InvalidText
from everyskill.model import FeedbackType, Role, Sentiment, SkillFile, SkillFolder
from everyskill.model.inputs import MAX_IDS
from everyskill.model.skills import SKILL_FILE_NAME
from everyskill.skill_folders.front_matter import find_front_matter
from everyskill.web.api.types import (
    Comment,
    Content,
    Description,
    FileBytes,
    FileHash,
    FilePath,
    FileSize,
    Id,
    Ids,
    Name,
    Note,
    Slug,
    Version,
)
from everyskill.web.moments import Moment


class ViewReport(Struct, frozen=True, forbid_unknown_fields=True):
    """What the page showed: the version, and the moment it was rendered. Both are clamped to what exists."""

    version: Version | None = None
    viewed_at: Moment | None = None


class ViewLookup(Struct, frozen=True, forbid_unknown_fields=True):
    """The skills that are asked about."""

    skill_ids: Ids


class SeenUpTo(Struct, frozen=True, forbid_unknown_fields=True):
    """The `as_of` of the list that was seen."""

    as_of: Moment


class NewFeedback(Struct, frozen=True, forbid_unknown_fields=True):
    """A comment, a sentiment, or both."""

    comment: Comment | None = None
    sentiment: Sentiment | None = None
    feedback_type: FeedbackType = FeedbackType.COMMENT


class OtherFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A file beside SKILL.md: its path within the folder, its size, and its SHA-256 in hex.

    Only with its content can it be read again.
    """

    path: FilePath
    size: FileSize
    hash: FileHash
    content: FileBytes | None = None


class SkillUpload(Struct, frozen=True, forbid_unknown_fields=True):
    """A skill to publish: the whole SKILL.md, and what other files lie beside it. No category leaves it where it is.

    `note` says why.
    """

    name: Name
    description: Description
    content: Content
    category: Name | None = None
    note: Note | None = None
    files: Annotated[
        list[OtherFile], Meta(max_length=MAX_IDS, extra_json_schema={"description": "The other files, each path once."})
    ] = []

    def folder(self, slug: str) -> SkillFolder:
        """The upload as a folder. Raises InvalidText for a path outside of the folder, or one that is given twice."""
        skill = SkillFolder.from_content(
            slug, name=self.name, description=self.description, content=self.content, category=self.category
        )
        files = list(skill.files)
        for file in self.files:
            _check_path(file.path)
            files.append(SkillFile(file.path, file.size, file.hash))
        if len({file.path for file in files}) < len(files):
            raise InvalidText("files", f"must name each path once, and not {SKILL_FILE_NAME}")
        contents = {file.hash: file.content for file in self.files if file.content is not None}
        return replace(skill, files=tuple(files), contents=contents, front_matter=find_front_matter(self.content))


class Archival(Struct, frozen=True, forbid_unknown_fields=True):
    """What to use instead of the archived skill: another skill, by its slug or id."""

    successor: Id | None = None


class NewSlug(Struct, frozen=True, forbid_unknown_fields=True):
    """What a skill is to be called in addresses."""

    slug: Slug


class Count(Struct, frozen=True):
    """A number of things."""

    count: int


class Me(Struct, frozen=True):
    """Who you are here, and how many items What's New has for you, counted to 100. Names are null where not known."""

    user_id: str
    user_name: str | None
    tenant_id: str
    tenant_name: str
    role: Role
    whats_new: int


class Marked(Struct, frozen=True):
    """How many skills lost their badge."""

    marked: int


class VersionNumber(Struct, frozen=True):
    """1, 2, 3 … of its skill."""

    number: int


def _check_path(path: str) -> None:
    normal = PurePosixPath(path)
    is_normal = path.isprintable() and "\\" not in path and str(normal) == path
    if not is_normal or not normal.parts or normal.is_absolute() or ".." in normal.parts:
        raise InvalidText("file path", "must lie within the folder, with forward slashes and without dots")
