"""Many skills are published as one is: in one transaction, by as many statements, at one moment."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from everyskill.errors import InvalidArgument, InvalidText, InvalidTimestamp, UserNotFound
from everyskill.handles import Tenant
from everyskill.model import Outcome, SkillFile, SkillFolder
from everyskill.model.capabilities import find_capabilities
from everyskill.model.skills import hash_of_files
from tests.support.skills import folder, is_badged, publish

SLUGS = [f"skill-{number}" for number in range(40)]


def folders(content: str, slugs: list[str] = SLUGS) -> list[SkillFolder]:
    return [folder(slug, content) for slug in slugs]


def with_file(content: bytes, path: str = "run.sh", **fields: Any) -> SkillFolder:
    """A skill with a script beside its SKILL.md."""
    skill = folder(**fields)
    key = sha256(content).hexdigest()
    return replace(skill, files=(*skill.files, SkillFile(path, len(content), key)), contents={key: content})


async def kept(owner: asyncpg.Connection) -> dict[bytes, bool]:
    """The contents that are stored, and whether each is text."""
    rows = await owner.fetch("SELECT content, is_text FROM skill_file_contents")
    return {row["content"]: row["is_text"] for row in rows}


@pytest.mark.parametrize("stage", ["new", "changed", "unchanged"])
async def test_forty_skills_take_as_many_statements_as_one(acme: Tenant, queries: list[str], stage: str) -> None:
    if stage != "new":
        await acme.publish_skills(folders("one", ["pdf", *SLUGS]))
    content = "two" if stage == "changed" else "one"
    queries.clear()
    await acme.publish_skill(folder("pdf", content), author_id="ann")
    for_one = len(queries)
    await acme.publish_skills(folders(content), author_id="ann")
    assert len(queries) == 2 * for_one


async def test_publications_are_told_in_the_order_given_each_with_what_became_of_it(acme: Tenant) -> None:
    await publish(acme, "same")
    await publish(acme, "changed")
    await publish(acme, "hidden")
    await acme.archive_skill("hidden")
    given = [folder("new", "one"), folder("changed", "two"), folder("same", "one"), folder("hidden", "two")]
    told = [(each.slug, each.version, each.outcome, each.status) for each in await acme.publish_skills(given)]
    assert told == [
        ("new", 1, Outcome.ADDED, "published"),
        ("changed", 2, Outcome.UPDATED, "published"),
        ("same", 1, Outcome.UNCHANGED, "published"),
        ("hidden", 2, Outcome.UPDATED, "archived"),
    ]
    assert [publication.outcome for publication in await acme.publish_skills(given)] == [Outcome.UNCHANGED] * 4
    assert await acme.publish_skills([]) == []


async def test_all_become_visible_at_one_moment_and_badge_all_but_their_author(
    acme: Tenant, owner: asyncpg.Connection
) -> None:
    published = await acme.publish_skills(folders("one"))
    for skill in published:
        for user_id in ("ann", "bob"):
            await acme.visit_skill(user_id, skill.skill_id)
    await acme.publish_skills(folders("two"), author_id="ann")
    assert await owner.fetchval("SELECT count(DISTINCT (visible_at, updated_at)) FROM skills") == 1
    assert [await acme.count_whats_new(user) for user in ("ann", "bob")] == [0, len(SLUGS)]


async def test_one_that_cannot_be_published_leaves_all_as_they_were(acme: Tenant, owner: asyncpg.Connection) -> None:
    with pytest.raises(InvalidText):
        await acme.publish_skills([folder("good"), folder("bad", name=" ")])
    with pytest.raises(InvalidArgument, match="different slugs"):
        await acme.publish_skills([folder("good"), folder("good", "two")])
    with pytest.raises(UserNotFound):
        await acme.publish_skills([folder("good")], author_id="nobody")
    assert await owner.fetchval("SELECT count(*) FROM skills") == 0


async def test_publishers_of_the_same_skills_in_other_orders_all_come_through(
    acme: Tenant, owner: asyncpg.Connection
) -> None:
    await acme.publish_skills(folders("one", SLUGS[::2]))
    orders = [SLUGS, SLUGS[::-1], SLUGS[20:] + SLUGS[:20], SLUGS[::3]]
    await asyncio.gather(*(acme.publish_skills(folders(f"text {n}", order)) for n, order in enumerate(orders)))
    assert await owner.fetchval("SELECT count(*) FROM skills") == len(SLUGS)
    question = "SELECT max(version) = count(*) AS whole FROM skill_versions GROUP BY skill_id"
    assert {row["whole"] for row in await owner.fetch(question)} == {True}


async def test_a_version_says_who_made_it_and_why(acme: Tenant) -> None:
    await acme.add_user("carl", name="Carl C.")
    made = datetime(2025, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    front_matter = {"name": "PDF", "license": "MIT", "allowed-tools": ["Read", "Bash"], "about": "x"}
    await acme.publish_skill(
        replace(folder(category="office"), front_matter=front_matter),
        author_name="Grace H.",
        note="Pins the API version",
        authored_at=made,
    )
    await publish(acme, content="two", author_id="carl")
    await publish(acme, content="three", author_id="ann")
    newest, second, first = await acme.list_versions("pdf")
    assert (first.author_name, first.note, first.authored_at) == ("Grace H.", "Pins the API version", made)
    assert (second.author_name, second.created_by, second.note) == ("Carl C.", "carl", None)
    assert (newest.author_name, newest.created_by) == (None, "ann")
    version = await acme.get_version("pdf", 1)
    assert list((version.front_matter or {}).items()) == list(front_matter.items())
    assert (version.category, version.author_name, version.is_quiet) == ("office", "Grace H.", False)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"note": "x" * 501}, InvalidText),
        ({"note": "one\ntwo"}, InvalidText),
        ({"note": " "}, InvalidText),
        ({"author_name": "x" * 201}, InvalidText),
        ({"authored_at": datetime(2025, 1, 1)}, InvalidTimestamp),  # noqa: DTZ001 - a naive one is meant
        ({"quiet": 1}, InvalidArgument),
        ({"source": ""}, InvalidText),
    ],
)
async def test_what_is_said_of_a_version_is_checked(acme: Tenant, fields: dict[str, Any], error: type) -> None:
    with pytest.raises(error):
        await acme.publish_skill(folder(), **fields)


async def test_where_a_skill_comes_from_is_kept_without_a_version(acme: Tenant, owner: asyncpg.Connection) -> None:
    question = "SELECT source, source_path FROM skills"
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    same = await acme.publish_skill(folder(), source="https://example.org/skills.git", source_path="skills/pdf")
    assert (same.outcome, same.version) == (Outcome.UNCHANGED, 1)
    assert tuple(await owner.fetchrow(question) or ()) == ("https://example.org/skills.git", "skills/pdf")
    await acme.publish_skills([folder(content="two")], source="here", source_paths={"pdf": "pdf"})
    await publish(acme, content="three")
    assert tuple(await owner.fetchrow(question) or ()) == ("here", "pdf")
    assert await is_badged(acme, "ann", skill.skill_id)


async def test_each_content_is_kept_once_and_skill_md_in_its_version_alone(
    acme: Tenant, globex: Tenant, owner: asyncpg.Connection
) -> None:
    await acme.publish_skills([with_file(b"echo one\n", slug="a"), with_file(b"echo one\n", "other.sh", slug="b")])
    await acme.publish_skill(with_file(b"\x89PNG\0", "logo.png", slug="c"))
    skill = folder("copy", "text of SKILL.md")
    copied = replace(skill, files=(*skill.files, replace(skill.files[0], path="copy.md")))
    await acme.publish_skill(replace(copied, contents={skill.files[0].hash: b"text of SKILL.md"}))
    assert await kept(owner) == {b"echo one\n": True, b"\x89PNG\0": False}
    await globex.publish_skill(with_file(b"echo one\n"))
    assert await owner.fetchval("SELECT count(*) FROM skill_file_contents") == 3


async def test_the_contents_of_an_older_catalog_are_filled_in_without_a_version(
    acme: Tenant, owner: asyncpg.Connection
) -> None:
    skill = with_file(b"echo one\n")
    await acme.publish_skill(replace(skill, contents={}))
    assert await kept(owner) == {}
    again = await acme.publish_skill(skill)
    assert (again.outcome, again.version) == (Outcome.UNCHANGED, 1)
    assert await kept(owner) == {b"echo one\n": True}


@pytest.mark.parametrize("installed", [False, True])
async def test_what_a_release_reads_otherwise_than_an_older_one_badges_nobody(
    acme: Tenant, owner: asyncpg.Connection, installed: bool
) -> None:
    """The same files: a category that now comes from a manifest, or lines of installers that count no more."""
    content = "---\nname: pdf\nmetadata:\n  github-ref: main\n---\n" if installed else "one"
    skill = replace(folder("pdf", content, category="skills"), front_matter={"name": "pdf"})
    skill_id = (await acme.publish_skill(skill)).skill_id
    await acme.record_skill_view("ann", skill_id, 1)
    whole = hash_of_files(skill.files)
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("UPDATE skill_versions SET capabilities = NULL, category = NULL, content_hash = $1", whole)
    category = "skills" if installed else "documents"
    again = await acme.publish_skill(replace(skill, category=category))
    assert (again.outcome, again.version) == (Outcome.UPDATED, 2)
    assert (await acme.get_version("pdf", 2)).is_quiet
    assert not await is_badged(acme, "ann", skill_id)
    await acme.publish_skill(replace(skill, category="office"))
    assert await is_badged(acme, "ann", skill_id)


@pytest.mark.parametrize("said", [{"description": "Other words."}, {"name": "Other"}, {"category": "office"}])
async def test_what_is_said_on_purpose_over_a_version_of_an_older_release_badges(
    acme: Tenant, owner: asyncpg.Connection, said: dict[str, str]
) -> None:
    skill_id = (await acme.publish_skill(folder())).skill_id
    await acme.record_skill_view("ann", skill_id, 1)
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("UPDATE skill_versions SET capabilities = NULL")
    await acme.publish_skill(replace(folder(), **said))
    assert await is_badged(acme, "ann", skill_id)


async def test_many_megabytes_go_in_several_messages_and_a_known_content_in_none(
    acme: Tenant, owner: asyncpg.Connection, queries: list[str]
) -> None:
    skill = folder()
    contents = {sha256(each).hexdigest(): each for each in (bytes([n]) * 3 * 1024 * 1024 for n in range(1, 5))}
    files = [SkillFile(f"{n}.bin", len(each), key) for n, (key, each) in enumerate(contents.items())]
    whole = replace(skill, files=(*skill.files, *files), contents=contents)
    await acme.publish_skill(whole)
    insert = "INSERT INTO skill_file_contents"
    assert [query.startswith(insert) for query in queries].count(True) == 2
    queries.clear()
    await acme.publish_skill(replace(whole, name="Another"))
    assert [query.startswith(insert) for query in queries].count(True) == 0
    assert await owner.fetchval("SELECT sum(length(content)) FROM skill_file_contents") == 12 * 1024 * 1024


async def test_bytes_that_are_not_those_of_their_hash_are_refused(acme: Tenant) -> None:
    skill = with_file(b"echo one\n")
    with pytest.raises(InvalidText, match="bytes of each hash"):
        await acme.publish_skill(replace(skill, contents=dict.fromkeys(skill.contents, b"echo two\n")))
    with pytest.raises(InvalidArgument):
        await acme.publish_skill(replace(skill, contents=dict.fromkeys(skill.contents, "echo one\n")))
    with pytest.raises(InvalidText, match="JSON"):
        await acme.publish_skill(replace(folder(), front_matter={"x": object()}))
    with pytest.raises(InvalidArgument):
        await acme.publish_skill(replace(folder(), front_matter=["x"]))
    when = {"made": datetime(2025, 1, 1, tzinfo=UTC)}
    await acme.publish_skill(replace(folder(), front_matter=when))
    assert (await acme.get_version("pdf", 1)).front_matter == {"made": "2025-01-01T00:00:00Z"}


async def test_a_version_keeps_what_it_may_do(acme: Tenant) -> None:
    skill = replace(
        with_file(b"curl https://api.example.org/x\n"), front_matter={"name": "Pdf", "allowed-tools": "Bash"}
    )
    await acme.publish_skill(skill)
    found = (await acme.get_version("pdf", 1)).capabilities
    assert found == tuple(find_capabilities(skill))
    assert found
