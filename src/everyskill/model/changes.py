"""What a change summary says. `detect_changes` lists a `version_bump` exactly when rule S1 holds."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct

from everyskill.model.capabilities import CapabilityChange, compare_capabilities, highest_severity, is_script
from everyskill.model.diffs import FileDiff, compare_files, count_lines
from everyskill.model.severity import Severity
from everyskill.model.skill_md import split_skill_md
from everyskill.model.skills import SkillFile, SkillStatus
from everyskill.model.views import AnyView, UserSkillView
from everyskill.settings import DEFAULT_DIFF_LINES

ChangeType = Literal[
    "version_bump",
    "instructions_changed",
    "name_changed",
    "category_changed",
    "description_updated",
    "files_changed",
    "capabilities_added",
    "new_feedback",
]

# Of this many at most a summary tells how many there are: counting all of them would take as long as they are many.
MAX_NEW_FEEDBACK = 999

_NAMED = 3


class ChangeItem(Struct, frozen=True, omit_defaults=True):
    """One line of a change summary: a kind for programs, a label and an optional detail for people.

    `old` is what a name, category or description was before. `severity` is the highest of the capabilities that are
    new. `author` and `note` are who published the versions since, and why, where that is known. `counts` are the lines
    added and removed of the instructions; of files, how many were added, changed, removed and renamed, and how many
    of all are scripts.
    """

    type: ChangeType
    label: str
    detail: str | None
    old: str | None = None
    severity: Severity | None = None
    author: str | None = None
    note: str | None = None
    counts: dict[str, int] | None = None


class VersionFacts(Struct, frozen=True):
    """The parts of a version that a change summary compares.

    A `category` or `capabilities` of None, as older versions have, and a `content` that was not read say nothing of
    them.
    """

    description: str
    files: tuple[SkillFile, ...]
    name: str = ""
    category: str | None = None
    content: str | None = ""
    capabilities: Sequence[str | None] | None = None


class Publishers(Struct, frozen=True):
    """Who published the versions since a view, the newest first, and the newest note among them."""

    authors: Sequence[str] = ()
    note: str | None = None


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
    compared: Iterable[ChangeItem] = (),
    publishers: Publishers | None = None,
) -> list[ChangeItem]:
    """What is new about `skill` for someone whose last view is `previous`; nothing on a first visit.

    `feedback_count` counts the feedback items of others since that view, at least to MAX_NEW_FEEDBACK + 1. `compared`
    is what compare_facts says of the version of that view and the one published now.
    """
    if previous is None:
        return []
    changes: list[ChangeItem] = []
    if is_updated(previous, skill):
        changes.append(_version_bump(previous.last_viewed_version, skill.published_version, publishers or Publishers()))
        changes.extend(compared)
    if feedback_count > 0:
        count = f"{feedback_count}" if feedback_count <= MAX_NEW_FEEDBACK else f"{MAX_NEW_FEEDBACK}+"
        items = "item" if feedback_count == 1 else "items"
        changes.append(ChangeItem("new_feedback", f"{count} new feedback {items}", None))
    return changes


def compare_facts(
    seen: VersionFacts, published: VersionFacts, max_lines: int = DEFAULT_DIFF_LINES
) -> Iterator[ChangeItem]:
    """How two versions differ, whoever made them and however loudly. Too many lines are only counted."""
    yield from _compare_instructions(seen, published, max_lines)
    if seen.name != published.name:
        yield ChangeItem("name_changed", "Renamed", published.name, seen.name)
    if None not in {seen.category, published.category} and seen.category != published.category:
        yield ChangeItem("category_changed", "Category changed", published.category, seen.category)
    if seen.description != published.description:
        yield ChangeItem("description_updated", "Description updated", published.description, seen.description)
    if files := compare_files(seen.files, published.files):
        scripts = {file.path for file in (*seen.files, *published.files) if is_script(file)}
        counts = Counter[str](file.status for file in files)
        counts["scripts"] = sum(file.path in scripts for file in files)
        detail = _name_some([_say_file(file) for file in files])
        yield ChangeItem("files_changed", "Files changed", detail, counts=dict(+counts))
    if seen.capabilities is not None and published.capabilities is not None:
        yield from _compare_capabilities(compare_capabilities(seen.capabilities, published.capabilities))


def _is_newer(published: int | None, seen: int | None) -> bool:
    return published is not None and seen is not None and published > seen


def _version_bump(seen: int | None, published: int | None, publishers: Publishers) -> ChangeItem:
    author, note = _say_authors(list(dict.fromkeys(publishers.authors))), publishers.note
    if published is None:
        return ChangeItem("version_bump", "Published again", None, author=author, note=note)
    detail = f"v{seen} → v{published}" if _is_newer(published, seen) else f"v{published}"
    return ChangeItem("version_bump", "New version published", detail, author=author, note=note)


def _say_authors(names: list[str]) -> str | None:
    if len(names) > _NAMED - 1:
        return f"{names[0]} and {len(names) - 1} others"
    return " and ".join(names) or None


def _compare_instructions(seen: VersionFacts, published: VersionFacts, max_lines: int) -> Iterator[ChangeItem]:
    if seen.content is None or published.content is None:
        old, new = ({file.hash for file in version.files if file.is_skill} for version in (seen, published))
        if old != new:
            yield ChangeItem("instructions_changed", "Instructions changed", None)
        return
    before, after = (split_skill_md(text).body or "" for text in (seen.content, published.content))
    if before != after:
        added, removed = count_lines(before, after, max_lines)
        counts = {"added": added, "removed": removed}
        yield ChangeItem(
            "instructions_changed", "Instructions changed", f"+{added} \N{MINUS SIGN}{removed}", counts=counts
        )


def _compare_capabilities(changes: list[CapabilityChange]) -> Iterator[ChangeItem]:
    if changes:
        words = [f"{it.kind} {it.value}{' changed' if it.change == 'changed' else ''}" for it in changes]
        yield ChangeItem("capabilities_added", "Asks for more", _name_some(words), severity=highest_severity(changes))


def _say_file(file: FileDiff) -> str:
    return f"{file.old_path} renamed to {file.path}" if file.old_path else f"{file.path} {file.status}"


def _name_some(words: list[str]) -> str:
    named, rest = words[:_NAMED], len(words) - _NAMED
    return ", ".join(named) + (f" and {rest} more" if rest > 0 else "")
