"""The rules that are pure functions: change summaries, folder hashes, cursors, and what a caller may pass."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from msgspec import Struct

from everyskill.errors import InvalidCursor, InvalidIdentifier
from everyskill.model import ChangeItem, SkillFile, SkillFolder, SkillStatus, UserSkillView, VersionFacts
from everyskill.model.changes import compare_facts, detect_changes, is_updated
from everyskill.model.inputs import MAX_IDS, check_content, check_id, check_ids, check_text
from everyskill.model.skills import check_slug, hash_of_files
from everyskill.model.whats_new import FeedCursor

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class State(Struct, frozen=True):
    """What a change summary asks of a skill, and the two versions that it compares."""

    status: SkillStatus
    updated_at: datetime
    published_version: int | None
    announced_version: int | None
    published: VersionFacts | None
    seen: VersionFacts | None


def view(version: int | None = 3, at: datetime = NOON) -> UserSkillView:
    return UserSkillView("id", "acme", "ann", "pdf", at, version, 1)


def state(
    version: int | None = 5,
    updated_at: datetime = NOON + timedelta(days=1),
    status: SkillStatus = SkillStatus.PUBLISHED,
    published: VersionFacts | None = None,
    seen: VersionFacts | None = None,
) -> State:
    return State(status, updated_at, version, version, published, seen)


def files(**hashes: str) -> tuple[SkillFile, ...]:
    return tuple(SkillFile(f"{name}.md", 1, value) for name, value in hashes.items())


def changes_of(previous: UserSkillView | None, skill: State, feedback: int) -> list[ChangeItem]:
    compared = compare_facts(skill.seen, skill.published) if skill.seen and skill.published else ()
    return detect_changes(previous, skill, feedback, compared=compared)


def summary(previous: UserSkillView | None, skill: State, feedback: int = 0) -> list[tuple[str, str, str | None]]:
    return [(item.type, item.label, item.detail) for item in changes_of(previous, skill, feedback)]


def test_a_first_visit_has_no_changes_whatever_happened_before() -> None:
    assert summary(None, state(), feedback=9) == []


def test_a_version_bump_names_both_versions() -> None:
    assert summary(view(3), state(5)) == [("version_bump", "New version published", "v3 → v5")]


@pytest.mark.parametrize("version", [None, 5])
def test_a_bump_known_by_its_time_alone_names_the_version_there_is(version: int | None) -> None:
    assert summary(view(version), state(5)) == [("version_bump", "New version published", "v5")]


@pytest.mark.parametrize(
    ("count", "label"),
    [
        (1, "1 new feedback item"),
        (2, "2 new feedback items"),
        (999, "999 new feedback items"),
        (1000, "999+ new feedback items"),
    ],
)
def test_new_feedback_is_counted_and_is_no_update(count: int, label: str) -> None:
    assert summary(view(5), state(5, NOON), count) == [("new_feedback", label, None)]


def test_a_description_is_compared_with_the_version_last_seen() -> None:
    published = VersionFacts("Now.", ())
    assert ("description_updated", "Description updated", "Now.") in summary(
        view(), state(published=published, seen=VersionFacts("Then.", ()))
    )
    assert len(summary(view(), state(published=published, seen=published))) == 1


def test_changed_files_are_named_and_skill_md_is_not_one_of_them() -> None:
    seen = VersionFacts("", files(SKILL="1", kept="1", changed="1", removed="3"))
    published = VersionFacts("", files(SKILL="2", kept="1", changed="2", added="1"))
    assert summary(view(), state(published=published, seen=seen))[1:] == [
        ("files_changed", "Files changed", "added.md added, changed.md changed, removed.md removed")
    ]


@pytest.mark.parametrize(("count", "rest"), [(3, ""), (4, " and 1 more"), (5, " and 2 more")])
def test_of_many_changed_files_three_are_named(count: int, rest: str) -> None:
    published = VersionFacts("", files(**{f"file{number}": "1" for number in range(count)}))
    [(_, _, detail)] = summary(view(), state(published=published, seen=VersionFacts("", ())))[1:]
    assert detail == f"file0.md added, file1.md added, file2.md added{rest}"


moments = st.integers(-2, 2).map(lambda days: NOON + timedelta(days=days))
versions = st.none() | st.integers(1, 3)
facts = st.none() | st.builds(VersionFacts, st.sampled_from("ab"), st.just(()))


@given(
    previous=st.none() | st.builds(view, versions, moments),
    skill=st.builds(State, st.sampled_from(SkillStatus), moments, versions, versions, facts, facts),
    feedback=st.integers(0, 3),
)
def test_s2_a_summary_lists_a_version_bump_exactly_when_the_skill_is_updated(
    previous: UserSkillView | None, skill: State, feedback: int
) -> None:
    types = [item.type for item in changes_of(previous, skill, feedback)]
    assert types.count("version_bump") == is_updated(previous, skill)
    assert is_updated(previous, skill) or not {"description_updated", "files_changed"} & set(types)
    assert ("new_feedback" in types) == (previous is not None and feedback > 0)


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.datetimes(timezones=st.just(UTC)),
    st.text(min_size=1, max_size=255).filter(lambda text: "\0" not in text),
)
def test_a_cursor_survives_its_way_there_and_back(as_of: datetime, moment: datetime, skill_id: str) -> None:
    cursor = FeedCursor(as_of, moment, skill_id)
    assert FeedCursor.decode(cursor.encode()) == cursor
    assert set(cursor.encode()) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@given(st.text())
def test_a_broken_cursor_is_an_invalid_cursor_and_nothing_else(text: str) -> None:
    with suppress(InvalidCursor):
        assert isinstance(FeedCursor.decode(text), FeedCursor)


def test_the_hash_of_a_folder_is_that_of_its_files_whatever_their_order() -> None:
    some, other = files(a="1", b="2"), files(b="2", a="1")
    assert hash_of_files(some) == hash_of_files(other)
    assert hash_of_files(some) != hash_of_files(files(a="2", b="1"))
    assert hash_of_files(files(a="1")) != hash_of_files(files(b="1"))


def test_a_skill_of_one_file_hashes_its_bytes() -> None:
    def content_hash(content: str) -> str:
        return SkillFolder.from_content("pdf", name="PDF", description="…", content=content).content_hash

    assert content_hash("one") == content_hash("one") != content_hash("two")


@pytest.mark.parametrize("slug", ["", "-a", "a-", "a--b", "A", "ä", "a/b", "a b", "..", "a" * 101, "a\n"])
def test_a_slug_is_lower_case_words_joined_by_hyphens(slug: str) -> None:
    with pytest.raises(InvalidIdentifier):
        check_slug(slug)


class Markup(str):
    """Text that a template engine marked as safe, say; it spells itself in its own way."""

    __slots__ = ()

    def __str__(self) -> str:
        return "<b>" + self


def test_what_is_checked_is_plain_text_whatever_kind_of_text_was_given() -> None:
    checked = [
        check_id("user_id", Markup("ann")),
        *check_ids("skill_id", [Markup("pdf"), "csv"]),
        check_text("name", Markup("Name"), longest=9),
        check_content("content", Markup(""), longest=9),
    ]
    assert checked == ["ann", "pdf", "csv", "Name", ""]
    assert set(map(type, checked)) == {str}


def test_a_checked_folder_is_plain_text_to_its_last_file() -> None:
    files = SkillFolder.from_content("pdf", name="x", description="x", content="one").files
    fields: dict[str, Any] = {name: Markup(name) for name in ("slug", "name", "description", "category")}
    odd = (*files, SkillFile(Markup("a.md"), 1, Markup("0" * 64)))
    checked = SkillFolder(**fields, content=Markup("one"), files=odd).checked()
    texts = [*(getattr(checked, name) for name in (*fields, "content")), checked.files[1].path, checked.files[1].hash]
    assert set(map(type, texts)) == {str}


def test_as_many_ids_as_are_allowed_are_allowed() -> None:
    ids = [str(number) for number in range(MAX_IDS)]
    assert check_ids("skill_id", [*ids, *ids]) == ids
