"""What a change summary says of two versions, in items and in one sentence; and what is kept of comparisons."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everyskill.model import ChangeItem, PreviousView, Publishers, Severity, SkillFile, SkillStatus, VersionFacts
from everyskill.model.changes import compare_facts, detect_changes
from everyskill.model.comparisons import Comparisons, Pair
from everyskill.model.sentences import describe

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LONG = "\n".join(f"line {number}" for number in range(40))


class State(msgspec.Struct, frozen=True):
    """A skill that was updated after it was seen."""

    status: SkillStatus = SkillStatus.PUBLISHED
    updated_at: datetime = NOON + timedelta(days=1)
    published_version: int | None = 3
    announced_version: int | None = 3


def facts(**changes: Any) -> VersionFacts:
    before = {"name": "Pdf", "description": "Reads.", "category": "office", "files": (), "content": "one\ntwo\n"}
    return VersionFacts(**{**before, **changes})


def files(**hashes: str) -> tuple[SkillFile, ...]:
    return tuple(SkillFile(path.replace("_", "."), 1, digest) for path, digest in hashes.items())


def compare(old: VersionFacts, new: VersionFacts) -> list[ChangeItem]:
    return list(compare_facts(old, new))


def sentence(
    new: VersionFacts,
    old: VersionFacts | None = None,
    *,
    by: tuple[str, ...] = (),
    note: str | None = None,
    feedback: int = 0,
) -> str:
    compared = compare_facts(old or facts(), new)
    publishers = Publishers(by, note)
    return describe(detect_changes(PreviousView(NOON, 2), State(), feedback, compared=compared, publishers=publishers))


def test_lines_of_the_instructions_are_counted_and_the_front_matter_is_none_of_them() -> None:
    [item] = compare(facts(), facts(content="one\n2\nthree\n"))
    assert (item.type, item.detail, item.counts) == (
        "instructions_changed",
        "+2 \N{MINUS SIGN}1",
        {"added": 2, "removed": 1},
    )
    assert compare(facts(content="---\na: 1\n---\nbody"), facts(content="---\na: 2\n---\nbody")) == []


def test_what_was_is_told_beside_what_is() -> None:
    items = compare(facts(), facts(name="PDF", category="docs", description="Reads all."))
    assert [(item.type, item.old, item.detail) for item in items] == [
        ("name_changed", "Pdf", "PDF"),
        ("category_changed", "office", "docs"),
        ("description_updated", "Reads.", "Reads all."),
    ]


def test_files_are_named_up_to_three_and_counted() -> None:
    old = facts(files=files(a_md="1", b_sh="2", c_sh="3", same="4"))
    new = facts(files=files(z_md="1", b_sh="5", d_md="6", same="4"))
    [item] = compare(old, new)
    assert item.detail == "b.sh changed, c.sh removed, d.md added and 1 more"
    assert item.counts == {"added": 1, "changed": 1, "removed": 1, "renamed": 1, "scripts": 2}
    [renamed] = compare(facts(files=files(a_md="1")), facts(files=files(b_md="1")))
    assert renamed.detail == "a.md renamed to b.md"


def test_capabilities_that_are_new_are_told_with_the_highest_severity() -> None:
    old = facts(capabilities=["1:tool:Read", f"3:script:a.sh#{'0' * 32}"])
    new = facts(capabilities=["2:host:a.io", f"3:script:a.sh#{'1' * 32}", "3:tool:Bash"])
    [item] = compare(old, new)
    assert (item.type, item.severity) == ("capabilities_added", Severity.HIGH)
    assert item.detail == "script a.sh changed, tool Bash, host a.io"


@pytest.mark.parametrize("field", ["category", "capabilities"])
def test_an_older_version_says_nothing_of_what_it_does_not_have(field: str) -> None:
    known = {"category": "office", "capabilities": ["3:tool:Bash"]}[field]
    for old, new in ((None, known), (known, None)):
        assert compare(facts(**{field: old}), facts(**{field: new})) == []


def test_a_text_that_was_not_read_is_changed_where_its_hash_is() -> None:
    old, new = (facts(content=None, files=(SkillFile("SKILL.md", 1, digest),)) for digest in "ab")
    assert [(item.type, item.detail) for item in compare(old, new)] == [("instructions_changed", None)]
    assert compare(old, old) == []


def test_fields_that_say_nothing_are_left_out_of_json() -> None:
    plain = ChangeItem("version_bump", "Published again", None)
    assert msgspec.json.decode(msgspec.json.encode(plain)) == {
        "type": "version_bump",
        "label": "Published again",
        "detail": None,
    }


@pytest.mark.parametrize(
    ("new", "told", "expected"),
    [
        (facts(content=LONG), {"by": ("Ann",)}, "Ann rewrote the instructions, +40 \N{MINUS SIGN}3"),
        (facts(content="one\n2\n"), {}, "The instructions were edited, +1 \N{MINUS SIGN}1"),
        (
            facts(content=LONG, files=files(a_sh="1", b_sh="2")),
            {"by": ("Ann",), "note": "pins the API version"},
            "Ann rewrote the instructions, +40 \N{MINUS SIGN}3, two scripts added: “pins the API version”",
        ),
        (facts(files=files(a_md="1")), {"by": ("Ann",)}, "Ann added one file"),
        (facts(files=files(a_md="1")), {}, "One file added"),
        (facts(name="PDF"), {"by": ("Ann", "Bob", "Ann")}, "Ann and Bob renamed “Pdf” to “PDF”"),
        (facts(name="PDF"), {}, "Renamed from “Pdf” to “PDF”"),
        (facts(category="QA {x}"), {}, "Moved from office to QA {x}"),
        (
            facts(name="PDF", category="docs", description="All."),
            {"by": ("Ann", "Bob", "Eve")},
            "Ann and 2 others renamed “Pdf” to “PDF”, moved to docs, the description changed",
        ),
        (facts(), {"by": ("Ann",), "note": "again"}, "Ann published v3: “again”"),
        (facts(), {}, "v3 was published"),
        (facts(), {"feedback": 2}, "v3 was published · 2 new feedback items"),
    ],
)
def test_one_sentence_says_who_what_and_why(new: VersionFacts, told: dict[str, Any], expected: str) -> None:
    assert sentence(new, **told) == expected


def test_the_sentence_says_what_is_newly_asked_for() -> None:
    old, new = facts(capabilities=[]), facts(capabilities=["3:tool:Bash"], description="All.")
    assert sentence(new, old) == "The description was changed · asks for more: tool Bash"


def test_where_nothing_changed_nothing_is_said_and_feedback_alone_is() -> None:
    assert describe([]) == ""
    assert describe([ChangeItem("new_feedback", "1 new feedback item", None)]) == "1 new feedback item"


texts = st.text(max_size=6)
versions = st.builds(
    VersionFacts,
    name=texts,
    description=texts,
    category=st.none() | texts,
    content=st.none() | texts,
    files=st.dictionaries(st.sampled_from(["SKILL.md", "a.sh", "b.md", "c"]), st.sampled_from("12")).map(
        lambda known: tuple(SkillFile(path, 1, digest) for path, digest in known.items())
    ),
    capabilities=st.none() | st.lists(st.sampled_from(["1:tool:Read", "3:tool:Bash", "2:host:a.io"]), unique=True),
)


@given(versions, versions, st.lists(texts.filter(bool), max_size=3), st.none() | texts)
def test_any_two_versions_make_one_line_for_each_change_and_a_sentence(
    old: VersionFacts, new: VersionFacts, authors: list[str], note: str | None
) -> None:
    items = compare(old, new)
    assert len({item.type for item in items}) == len(items)
    assert compare(old, old) == []
    assert sentence(new, old, by=tuple(authors), note=note)


def pair(number: int) -> Pair:
    return Pair("acme", "pdf", number, number + 1)


def kept(comparisons: Comparisons, numbers: range) -> list[int]:
    return [number for number in numbers if comparisons.find(pair(number)) is not None]


def test_comparisons_are_kept_up_to_a_number_and_those_asked_for_last_stay() -> None:
    comparisons = Comparisons(max_comparisons=3)
    for number in range(3):
        comparisons.keep(pair(number), ())
    comparisons.find(pair(0))
    comparisons.keep(pair(3), ())
    assert kept(comparisons, range(4)) == [0, 2, 3]


def test_comparisons_are_kept_up_to_a_size() -> None:
    comparisons = Comparisons(max_characters=10_000)
    for number in range(10):
        comparisons.keep(pair(number), (ChangeItem("description_updated", "", "x" * 2_000, "y" * 1_000),))
    assert kept(comparisons, range(10)) == [8, 9]
    comparisons.keep(pair(10), (ChangeItem("description_updated", "", "x" * 20_000),))
    assert kept(comparisons, range(11)) == []
