"""Skills, their versions, and what makes two skill folders the same."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from everyskill.errors import InvalidIdentifier, InvalidText
from everyskill.model.inputs import (
    MAX_DESCRIPTION_LENGTH,
    MAX_NAME_LENGTH,
    check_content,
    check_id,
    check_text,
    check_type,
    shown,
)
from everyskill.model.severity import Severity
from everyskill.model.skill_md import without_installed_metadata

SKILL_FILE_NAME = "SKILL.md"
DEFAULT_CATEGORY = "general"
MAX_SLUG_LENGTH = 100
MAX_CONTENT_LENGTH = 1024 * 1024
# Every version keeps its list of files in one row, so the list must end somewhere.
MAX_FILES = 10_000
MAX_FILE_SIZE = 2**53
BOM = "\ufeff"

_HASH = re.compile(r"[0-9a-f]{64}")
SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_UUIDS = re.compile(f"{_UUID}(?:\n{_UUID})*")


class SkillStatus(StrEnum):
    """Only a published skill is shown to anyone."""

    DRAFT = "draft"
    PUBLISHED = "published"
    ARCHIVED = "archived"


class SkillFile(Struct, frozen=True, omit_defaults=True):
    """One file of a skill: its path within the folder with forward slashes, bytes, and SHA-256 in hex.

    `is_executable` is kept to write the folder again, and is no change (S3).
    """

    path: str
    size: int
    hash: str
    is_executable: bool = False

    @classmethod
    def of(cls, path: str, content: bytes, *, is_executable: bool = False) -> "SkillFile":
        """The file that has these bytes."""
        return cls(path, len(content), sha256(content).hexdigest(), is_executable)

    @property
    def is_skill(self) -> bool:
        """Whether this is the SKILL.md itself."""
        return self.path == SKILL_FILE_NAME

    def checked(self) -> "SkillFile":
        """Returns it with plain values. Raises InvalidText where a field cannot be stored."""
        path = check_text("file path", self.path, longest=MAX_DESCRIPTION_LENGTH)
        if type(self.size) is not int or not 0 <= self.size <= MAX_FILE_SIZE:
            raise InvalidText("file size", f"must be a whole number of bytes, not {shown(self.size)!r}")
        if not isinstance(self.hash, str) or not _HASH.fullmatch(self.hash):
            raise InvalidText("file hash", "must be a SHA-256 in lower-case hex")
        content_hash = check_content("file hash", self.hash, longest=64)
        return SkillFile(path, self.size, content_hash, check_type("is_executable", self.is_executable, bool))


class SkillFolder(Struct, frozen=True, kw_only=True, dict=True):
    """What a folder says about its skill: everything that publishing needs, and nothing of the database.

    `content` is the whole SKILL.md. `files` lists every file of the folder, SKILL.md among them, and `contents` has the
    bytes of those that are to be kept, by their hash; SKILL.md need not be there. `category` None leaves a skill where
    it is, and puts a new one into "general". `front_matter` is all that stands there, in the author's order; None where
    it is not known.
    """

    slug: str
    name: str
    description: str
    category: str | None
    content: str
    files: tuple[SkillFile, ...]
    contents: Mapping[str, bytes] = field(default_factory=dict)
    front_matter: dict[str, Any] | None = None

    @classmethod
    def from_content(
        cls, slug: str, *, name: str, description: str, content: str, category: str | None = None
    ) -> "SkillFolder":
        """A skill that consists of its SKILL.md alone. Raises InvalidText where the content is no text."""
        if not isinstance(content, str):
            raise InvalidText("content", "must be text")
        only = SkillFile(SKILL_FILE_NAME, len(content.encode(errors="surrogatepass")), _hash(content))
        return cls(slug=slug, name=name, description=description, category=category, content=content, files=(only,))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 in hex over path and hash of every file: equal exactly when the folders hold the same files.

        What an installer wrote into SKILL.md of itself is no difference.
        """
        authored = without_installed_metadata(self.content)
        if authored == self.content:
            return hash_of_files(self.files)
        return hash_of_files(replace(file, hash=_hash(authored)) if file.is_skill else file for file in self.files)

    def checked(self) -> "SkillFolder":
        """Returns it with plain values.

        Raises InvalidIdentifier, InvalidText or InvalidArgument where a field cannot be stored.
        """
        category = self.category
        plain = SkillFolder(
            slug=check_slug(self.slug),
            name=check_text("name", self.name, longest=MAX_NAME_LENGTH),
            description=check_text("description", self.description, longest=MAX_DESCRIPTION_LENGTH),
            category=None if category is None else check_text("category", category, longest=MAX_NAME_LENGTH),
            content=check_content("content", self.content, longest=MAX_CONTENT_LENGTH),
            files=_check_files(self.files),
            contents=check_type("contents", self.contents, Mapping),  # type: ignore[type-abstract]
            front_matter=None if self.front_matter is None else _check_front_matter(self.front_matter),
        )
        hashes = {file.hash for file in plain.files if file.is_skill}
        if not {_hash(plain.content), _hash(BOM + plain.content)} & hashes:
            raise InvalidText("files", f"must list {SKILL_FILE_NAME} with the hash of the content")
        return plain


class Skill(Struct, frozen=True):
    """A skill as its catalog shows it now. `updated_at` is when its newest visible change became visible, in UTC.

    `announced_version` is the newest version that was not published quietly (S17).
    """

    id: str
    name: str
    slug: str
    description: str
    category: str
    status: SkillStatus
    published_version_id: str | None
    published_version: int | None
    announced_version: int | None
    author_id: str | None
    created_at: datetime
    updated_at: datetime


class SkillListItem(Struct, frozen=True):
    """One line of a list of skills. `is_updated` is the badge of the user who asked; without a user it is False.

    `severity` is the highest of what an updated skill may do and could not when it was seen, if there is such.
    """

    id: str
    name: str
    slug: str
    description: str
    category: str
    status: SkillStatus
    published_version: int | None
    updated_at: datetime
    is_updated: bool
    severity: Severity | None = None


class SkillListPage(Struct, frozen=True):
    """A page of a list of skills. `next_cursor` is None on the last one."""

    items: list[SkillListItem]
    next_cursor: str | None


class SkillVersion(Struct, frozen=True):
    """One version of a skill, immutable once written.

    `author_name` is that of the user who published it, where the user has one, else what was said of the author. `note`
    says why, `authored_at` when its author says that it was made. `is_quiet` badged nobody (S17). `category`,
    `front_matter`, in its author's order, and `capabilities` are None where they are not known.
    """

    id: str
    skill_id: str
    version: int
    name: str
    description: str
    content: str
    content_hash: str
    files: tuple[SkillFile, ...]
    created_by: str | None
    created_at: datetime
    author_name: str | None = None
    note: str | None = None
    authored_at: datetime | None = None
    is_quiet: bool = False
    category: str | None = None
    front_matter: dict[str, Any] | None = None
    capabilities: tuple[str, ...] | None = None


class VersionSummary(Struct, frozen=True):
    """One line of a history: a version without its text. `author_name`, `note` … as of a SkillVersion."""

    id: str
    version: int
    name: str
    description: str
    content_hash: str
    created_by: str | None
    created_at: datetime
    author_name: str | None = None
    note: str | None = None
    authored_at: datetime | None = None
    is_quiet: bool = False


class SkillDetail(Struct, frozen=True):
    """A skill with its published version, text included. `published` is None where it has no version yet."""

    skill: Skill
    published: SkillVersion | None


class Outcome(StrEnum):
    """What publishing a folder came to."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


class Publication(Struct, frozen=True):
    """What a publish call did. `status` tells whether the skill is visible: an archived one stays archived."""

    skill_id: str
    slug: str
    version: int
    outcome: Outcome
    status: SkillStatus


def check_slug(value: str) -> str:
    """Returns a slug: lower-case letters and digits in groups joined by single hyphens. Raises InvalidIdentifier."""
    value = check_id("slug", value)
    if len(value) > MAX_SLUG_LENGTH or not SLUG.fullmatch(value):
        raise InvalidIdentifier(
            "slug", f"must be 1 to {MAX_SLUG_LENGTH} lower-case letters, digits and single hyphens, not {value!r}"
        )
    return value


def find_slugs(names: Collection[str]) -> Sequence[str]:
    """Those of the names that may be slugs. What looks like a UUID, as the ids do that we give, is an id."""
    # Lists of ids are asked about all the time: one match for all of them.
    if _UUIDS.fullmatch("\n".join(names)):
        return ()
    return [name for name in names if SLUG.fullmatch(name) and not _UUIDS.fullmatch(name)]


def hash_of_files(files: Iterable[SkillFile]) -> str:
    """SHA-256 in hex over the sorted paths and hashes. NUL ends each field, so no two lists share an input."""
    digest = sha256()
    for file in sorted(files, key=lambda file: file.path):
        digest.update(f"{file.path}\0{file.hash}\0".encode(errors="surrogatepass"))
    return digest.hexdigest()


def _check_files(files: tuple[SkillFile, ...]) -> tuple[SkillFile, ...]:
    check_type("files", files, tuple)
    if len(files) > MAX_FILES:
        raise InvalidText("files", f"must not be more than {MAX_FILES:,}")
    plain = tuple(check_type("a file", file, SkillFile).checked() for file in files)
    if len({file.path for file in plain}) < len(plain):
        raise InvalidText("files", "must list each path once")
    return plain


def _check_front_matter(front_matter: dict[str, Any]) -> dict[str, Any]:
    """Returns it as it is stored: a date becomes its text, say."""
    try:
        encoded = msgspec.json.encode(check_type("front_matter", front_matter, dict))
        plain: dict[str, Any] = msgspec.json.decode(encoded)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidText("front_matter", f"must be what JSON can hold: {error}") from error
    if len(encoded) > MAX_CONTENT_LENGTH:
        raise InvalidText("front_matter", f"must not be longer than {MAX_CONTENT_LENGTH:,} bytes of JSON")
    return plain


def _hash(content: str) -> str:
    return sha256(content.encode(errors="surrogatepass")).hexdigest()
