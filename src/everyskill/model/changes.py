"""What a change summary says. `detect_changes` lists a `version_bump` exactly when rule S1 holds."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from msgspec import Struct

from everyskill.model.skills import SKILL_FILE_NAME, SkillFile, SkillStatus
from everyskill.model.views import AnyLook, UserSkillView

ChangeType = Literal["version_bump", "description_updated", "files_changed", "new_feedback"]

_NAMED_FILES = 3


class ChangeItem(Struct, frozen=True):
    """One line of a change summary: a kind for programs, a label and an optional detail for people."""

    type: ChangeType
    label: str
    detail: str | None = None


class VersionFacts(Struct, frozen=True):
    """The parts of a version that a change summary compares."""

    description: str
    files: tuple[SkillFile, ...]


class SkillState(Struct, frozen=True):
    """A skill as it stands, and the version the reader saw last, if it is known."""

    status: SkillStatus
    updated_at: datetime
    published_version: int | None
    published: VersionFacts | None
    seen: VersionFacts | None = None


class Visit(Struct, frozen=True):
    """A visit to a skill's page: the view before it, and what had changed since then.

    `version` is the version that was shown, and `viewed_at` the moment of the database's clock at which it was.
    """

    previous: UserSkillView | None
    changes: list[ChangeItem]
    version: int | None
    viewed_at: datetime


def is_updated(previous: AnyLook | None, skill: SkillState) -> bool:
    """Rule S1 for values at hand; `schema.updated.is_updated` is the same rule in SQL."""
    if previous is None or skill.status is not SkillStatus.PUBLISHED:
        return False
    return _is_newer(skill.published_version, previous.last_viewed_version) or (
        skill.updated_at > previous.last_viewed_at
    )


def detect_changes(previous: AnyLook | None, skill: SkillState, feedback_count: int) -> list[ChangeItem]:
    """What is new about `skill` for someone whose last view is `previous`; nothing on a first visit.

    `feedback_count` counts the feedback items since that view.
    """
    if previous is None:
        return []
    changes: list[ChangeItem] = []
    if is_updated(previous, skill):
        changes.append(_version_bump(previous.last_viewed_version, skill.published_version))
        changes.extend(_compare(skill.seen, skill.published))
    if feedback_count > 0:
        items = "item" if feedback_count == 1 else "items"
        changes.append(ChangeItem("new_feedback", f"{feedback_count} new feedback {items}"))
    return changes


def _is_newer(published: int | None, seen: int | None) -> bool:
    return published is not None and seen is not None and published > seen


def _version_bump(seen: int | None, published: int | None) -> ChangeItem:
    if published is None:
        return ChangeItem("version_bump", "Published again")
    detail = f"v{seen} → v{published}" if _is_newer(published, seen) else f"v{published}"
    return ChangeItem("version_bump", "New version published", detail)


def _compare(seen: VersionFacts | None, published: VersionFacts | None) -> Iterable[ChangeItem]:
    if seen is None or published is None:
        return
    if seen.description != published.description:
        yield ChangeItem("description_updated", "Description updated", published.description)
    if differences := _file_differences(seen.files, published.files):
        yield ChangeItem("files_changed", "Files changed", _sentence(differences))


def _file_differences(old: Iterable[SkillFile], new: Iterable[SkillFile]) -> list[str]:
    before = {file.path: file.hash for file in old if file.path != SKILL_FILE_NAME}
    after = {file.path: file.hash for file in new if file.path != SKILL_FILE_NAME}
    return [
        f"{path} {'added' if path not in before else 'removed' if path not in after else 'changed'}"
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def _sentence(differences: list[str]) -> str:
    named, rest = differences[:_NAMED_FILES], len(differences) - _NAMED_FILES
    return ", ".join(named) + (f" and {rest} more" if rest > 0 else "")
