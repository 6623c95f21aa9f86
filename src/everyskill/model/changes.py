"""What a change summary says. `detect_changes` lists a `version_bump` exactly when rule S1 holds."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from everyskill.model.diffs import compare_files
from everyskill.model.skills import SkillFile, SkillStatus, SkillVersion
from everyskill.model.views import AnyView, UserSkillView

ChangeType = Literal["version_bump", "description_updated", "files_changed", "new_feedback"]

# Of this many at most a summary tells how many there are: counting all of them would take as long as they are many.
MAX_NEW_FEEDBACK = 999

_NAMED_FILES = 3


class ChangeItem(Struct, frozen=True):
    """One line of a change summary: a kind for programs, a label and an optional detail for people."""

    type: ChangeType
    label: str
    detail: str | None = None


class VersionFacts(Struct, frozen=True):
    """The parts of a version that a change summary compares. A whole SkillVersion will do as well."""

    description: str
    files: tuple[SkillFile, ...]


AnyVersion: TypeAlias = VersionFacts | SkillVersion


class SkillFacts(Protocol):
    """What rule S1 asks of a skill; a Skill has it."""

    @property
    def status(self) -> SkillStatus:
        """Only a published skill is ever updated."""

    @property
    def updated_at(self) -> datetime:
        """When its newest change became visible."""

    @property
    def published_version(self) -> int | None:
        """The number of its published version."""

    @property
    def announced_version(self) -> int | None:
        """The number of its newest version that was not published quietly (S17)."""


class Visit(Struct, frozen=True):
    """A visit to a skill: the view before it, and what had changed since then.

    `version` is the version that was shown, and `viewed_at` the moment of the database's clock at which it was.
    """

    previous: UserSkillView | None
    changes: list[ChangeItem]
    version: int | None
    viewed_at: datetime


def is_updated(previous: AnyView | None, skill: SkillFacts) -> bool:
    """Rule S1 for values at hand; `IS_UPDATED` in database/rules.py is the same rule in SQL."""
    if previous is None or skill.status is not SkillStatus.PUBLISHED:
        return False
    return _is_newer(skill.announced_version, previous.last_viewed_version) or (
        skill.updated_at > previous.last_viewed_at
    )


def detect_changes(
    previous: AnyView | None,
    skill: SkillFacts,
    feedback_count: int,
    *,
    seen: AnyVersion | None = None,
    published: AnyVersion | None = None,
) -> list[ChangeItem]:
    """What is new about `skill` for someone whose last view is `previous`; nothing on a first visit.

    `feedback_count` counts the feedback items since that view, at least to MAX_NEW_FEEDBACK + 1. `seen` and `published`
    are the version of that view and the one published now; where either is not known, nothing is said of description
    and files.
    """
    if previous is None:
        return []
    changes: list[ChangeItem] = []
    if is_updated(previous, skill):
        changes.append(_version_bump(previous.last_viewed_version, skill.published_version))
        changes.extend(_compare(seen, published))
    if feedback_count > 0:
        count = f"{feedback_count}" if feedback_count <= MAX_NEW_FEEDBACK else f"{MAX_NEW_FEEDBACK}+"
        items = "item" if feedback_count == 1 else "items"
        changes.append(ChangeItem("new_feedback", f"{count} new feedback {items}"))
    return changes


def _is_newer(published: int | None, seen: int | None) -> bool:
    return published is not None and seen is not None and published > seen


def _version_bump(seen: int | None, published: int | None) -> ChangeItem:
    if published is None:
        return ChangeItem("version_bump", "Published again")
    detail = f"v{seen} → v{published}" if _is_newer(published, seen) else f"v{published}"
    return ChangeItem("version_bump", "New version published", detail)


def _compare(seen: AnyVersion | None, published: AnyVersion | None) -> Iterable[ChangeItem]:
    if seen is None or published is None:
        return
    if seen.description != published.description:
        yield ChangeItem("description_updated", "Description updated", published.description)
    if files := compare_files(seen.files, published.files):
        yield ChangeItem("files_changed", "Files changed", _sentence([f"{file.path} {file.status}" for file in files]))


def _sentence(differences: list[str]) -> str:
    named, rest = differences[:_NAMED_FILES], len(differences) - _NAMED_FILES
    return ", ".join(named) + (f" and {rest} more" if rest > 0 else "")
