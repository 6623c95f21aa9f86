"""What skills are called: by id, by slug or by an old slug; renamed ones stay themselves, archived ones say so."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from everyskill.errors import (
    EverySkillError,
    InvalidCursor,
    InvalidIdentifier,
    SkillArchived,
    SkillNotFound,
    SlugTaken,
)
from everyskill.handles import Database, Tenant
from everyskill.model import SkillStatus
from everyskill.model.skills import find_slugs
from tests.support.skills import publish

LONG_AGO = datetime.now(UTC) - timedelta(days=365)
Ask = Callable[[Tenant, str], Awaitable[Any]]

# Every call that names a skill, and none that the next one would answer differently for.
CALLS: dict[str, Ask] = {
    "get_skill": lambda t, skill: t.get_skill(skill),
    "get_skill_page": lambda t, skill: t.get_skill_page("ann", skill),
    "get_user_view": lambda t, skill: t.get_user_view("ann", skill),
    "get_changes": lambda t, skill: t.get_changes("ann", skill),
    "list_versions": lambda t, skill: t.list_versions(skill),
    "compare_versions": lambda t, skill: t.compare_versions(skill, 1, 2),
    "count_feedback_since": lambda t, skill: t.count_feedback_since(skill, LONG_AGO),
    "list_feedback": lambda t, skill: t.list_feedback(skill),
}
WRITES: dict[str, Ask] = {
    "record_skill_view": lambda t, skill: t.record_skill_view("ann", skill, 1),
    "visit_skill": lambda t, skill: t.visit_skill("ann", skill),
    "add_feedback": lambda t, skill: t.add_feedback(skill, user_id="ann", comment="Good."),
    "archive_skill": lambda t, skill: t.archive_skill(skill),
    "restore_skill": lambda t, skill: t.restore_skill(skill),
}
each_call = pytest.mark.parametrize("call", CALLS)
each_write = pytest.mark.parametrize("call", WRITES)


async def published_and_seen(tenant: Tenant, slug: str = "pdf") -> str:
    """A skill with two versions and a comment; ann saw the first."""
    skill_id = (await publish(tenant, slug)).skill_id
    await tenant.visit_skill("ann", skill_id)
    await tenant.add_feedback(skill_id, user_id="bob", comment="Good.")
    await publish(tenant, slug, "two")
    return skill_id


def without_moments(value: Any) -> Any:
    """The answer without the moment at which it was given."""
    told = msgspec.to_builtins(value)
    return {key: each for key, each in told.items() if key != "as_of"} if isinstance(told, dict) else told


# -- a slug works wherever an id does ----------------------------------------------------------------------------------


@each_call
@pytest.mark.parametrize("name", ["pdf", "old"])
async def test_a_slug_and_an_old_slug_ask_what_the_id_asks(acme: Tenant, globex: Tenant, call: str, name: str) -> None:
    skill_id = await published_and_seen(acme, "old")
    await acme.rename_skill("old", "pdf")
    for slug in ("pdf", "old"):
        await publish(globex, slug, "theirs")
    ask = CALLS[call]
    assert without_moments(await ask(acme, name)) == without_moments(await ask(acme, skill_id))


@each_write
@pytest.mark.parametrize("name", ["pdf", "old"])
async def test_a_slug_and_an_old_slug_write_to_their_skill(
    acme: Tenant, globex: Tenant, owner: asyncpg.Connection, call: str, name: str
) -> None:
    skill_id = await published_and_seen(acme, "old")
    await acme.rename_skill("old", "pdf")
    for slug in ("pdf", "old"):
        await publish(globex, slug, "theirs")
    if call == "restore_skill":
        await acme.archive_skill(skill_id)
    theirs = await rows_of_globex(owner)
    await WRITES[call](acme, name)
    view, skill = await acme.get_user_view("ann", skill_id), (await acme.get_skill(skill_id, include_hidden=True)).skill
    assert view is not None
    assert view.view_count == (2 if call in {"record_skill_view", "visit_skill"} else 1)
    assert view.last_viewed_version == (2 if call == "visit_skill" else 1)
    assert await acme.count_feedback_since(skill_id, LONG_AGO) == (2 if call == "add_feedback" else 1)
    assert skill.status == (SkillStatus.ARCHIVED if call == "archive_skill" else SkillStatus.PUBLISHED)
    assert await rows_of_globex(owner) == theirs


async def rows_of_globex(owner: asyncpg.Connection) -> list[str]:
    tables = ("skills", "skill_feedback", "user_skill_views", "skill_redirects")
    questions = (
        f"SELECT to_jsonb(t)::text FROM {table} AS t WHERE tenant_id = 'globex' ORDER BY 1" for table in tables
    )
    return [row[0] for question in questions for row in await owner.fetch(question)]


@each_call
async def test_an_id_of_one_skill_that_is_a_slug_of_another_is_the_id(acme: Tenant, call: str) -> None:
    skill_id = await published_and_seen(acme)
    asked = without_moments(await CALLS[call](acme, skill_id))
    await publish(acme, skill_id, "impostor")
    assert without_moments(await CALLS[call](acme, skill_id)) == asked


async def test_badges_come_by_what_was_asked_ids_and_slugs_alike_in_one_query(
    acme: Tenant, globex: Tenant, queries: list[str]
) -> None:
    skill_id, other_id = await published_and_seen(acme), await published_and_seen(acme, "old")
    await acme.rename_skill("old", "csv")
    await publish(acme, "unseen")
    await published_and_seen(globex, "unseen")
    asked = [skill_id, "pdf", "csv", "old", "unseen", "nowhere", "No Slug"]
    await acme.get_view_states("ann", [skill_id])
    queries.clear()
    states = await acme.get_view_states("ann", asked)
    # BEGIN with the tenant, the question, COMMIT.
    assert len(queries) == 3
    ids = {name: state.skill_id for name, state in states.items()}
    assert ids == {skill_id: skill_id, "pdf": skill_id, "csv": other_id, "old": other_id}
    assert all(state.is_updated for state in states.values())
    assert await acme.get_updated_skill_ids("ann", asked) == {skill_id, "pdf", "csv", "old"}
    views = await acme.get_user_views_for_skills("ann", asked)
    assert {name: view.skill_id for name, view in views.items()} == ids
    changes = await acme.get_changes_for_skills("ann", asked)
    assert changes.keys() == {*ids, "unseen"}
    assert changes["pdf"] == changes[skill_id] != []


async def test_ids_that_cannot_be_slugs_are_asked_about_as_ids_alone() -> None:
    uuid = "0b7e1f0c-5a5e-4a51-9d0e-3f0c9a8a2f11"
    assert find_slugs([uuid, uuid.replace("0", "1")]) == ()
    assert find_slugs([uuid, "No Slug", "a_b", f"{uuid}\n{uuid}", "a\nb"]) == []
    likely = ["pdf", "s1", "commands-with-many-more-capabilities", uuid[:-1]]
    assert find_slugs([uuid, *likely]) == likely


async def test_what_is_no_skill_is_not_found_whatever_it_is_called(acme: Tenant, globex: Tenant) -> None:
    skill_id = (await publish(globex, "pdf")).skill_id
    await globex.rename_skill("pdf", "csv")
    for name in (skill_id, "pdf", "csv", "nowhere"):
        for call in {**CALLS, **WRITES}.values():
            try:
                told = await call(acme, name)
            except SkillNotFound as error:
                assert error.skill == name  # noqa: PT017 - the calls that count or look up tell nothing instead
            else:
                assert told in (None, 0)


# -- renamed skills ----------------------------------------------------------------------------------------------------


async def test_a_renamed_skill_keeps_its_id_versions_views_and_feedback_and_badges_nobody(acme: Tenant) -> None:
    skill_id = await published_and_seen(acme)
    await acme.visit_skill("ann", skill_id)
    before = await acme.get_skill(skill_id)
    renamed = await acme.rename_skill("pdf", "portable-documents")
    assert renamed == msgspec.structs.replace(before.skill, slug="portable-documents")
    assert await acme.get_updated_skill_ids("ann", [skill_id]) == set()
    assert await acme.get_whats_new_for_user("ann") == []
    assert await acme.get_changes("ann", "portable-documents") == []
    assert [version.version for version in await acme.list_versions("pdf")] == [2, 1]
    assert await acme.count_feedback_since("pdf", LONG_AGO) == 1


async def test_old_slugs_of_a_chain_all_lead_to_the_skill_and_back_again(acme: Tenant) -> None:
    skill_id = (await publish(acme, "a")).skill_id
    await acme.rename_skill("a", "b")
    await acme.rename_skill("a", "c")
    assert [await acme.find_new_slug(name) for name in ("a", "b", "c", skill_id)] == ["c", "c", None, None]
    await acme.rename_skill(skill_id, "a")
    assert [await acme.find_new_slug(name) for name in ("a", "b", "c")] == [None, "a", "a"]
    assert {(await acme.get_skill(name)).skill.id for name in ("a", "b", "c")} == {skill_id}


async def test_a_new_skill_may_take_an_old_slug_and_then_is_what_it_leads_to(acme: Tenant) -> None:
    first = (await publish(acme, "a")).skill_id
    await acme.rename_skill("a", "b")
    second = (await publish(acme, "a", "another")).skill_id
    assert second != first
    assert (await acme.get_skill("a")).skill.id == second
    # The one that had it last is the one that it leads to.
    await acme.rename_skill("a", "c")
    assert (await acme.get_skill("a")).skill.id == second
    assert (await acme.get_skill("b")).skill.id == first
    # A hidden skill has its slug all the same.
    await publish(acme, "a", "third")
    await acme.archive_skill("a")
    with pytest.raises(SkillNotFound):
        await acme.get_skill("a")


async def test_a_slug_that_a_skill_has_is_refused_though_the_skill_be_hidden(acme: Tenant, globex: Tenant) -> None:
    await publish(acme, "a")
    await publish(acme, "b")
    await acme.archive_skill("b")
    await publish(globex, "c")
    for refused, slug in ((SlugTaken, "b"), (InvalidIdentifier, "No Slug"), (InvalidIdentifier, "")):
        with pytest.raises(refused):
            await acme.rename_skill("a", slug)
    assert await acme.find_new_slug("a") is None
    assert (await acme.rename_skill("a", "a")).slug == "a"
    assert (await acme.rename_skill("a", "c")).slug == "c"


async def test_two_skills_that_are_renamed_to_one_slug_at_once_do_not_both_get_it(acme: Tenant) -> None:
    slugs = [f"skill-{number}" for number in range(6)]
    for slug in slugs:
        await publish(acme, slug)
    answers = await asyncio.gather(*(acme.rename_skill(slug, "one") for slug in slugs), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["Skill", *["SlugTaken"] * 5]
    # Whoever was refused has its slug still.
    assert len([item for item in (await acme.list_skills()).items if item.slug in slugs]) == 5


async def test_two_skills_that_take_each_others_slugs_at_once_are_both_refused(
    acme: Tenant,
) -> None:
    for slug in ("a", "b"):
        await publish(acme, slug)
    answers = await asyncio.gather(acme.rename_skill("a", "b"), acme.rename_skill("b", "a"), return_exceptions=True)
    assert [type(answer) for answer in answers] == [SlugTaken, SlugTaken]


async def test_what_is_published_under_a_slug_while_that_is_taken_away_becomes_a_skill_of_its_own(
    acme: Tenant, owner: asyncpg.Connection
) -> None:
    first = (await publish(acme, "a")).skill_id
    async with owner.transaction():
        await owner.execute("SELECT FROM skills WHERE id = $1 FOR NO KEY UPDATE", first)
        await owner.execute("UPDATE skills SET slug = 'b' WHERE id = $1", first)
        publishing = asyncio.ensure_future(publish(acme, "a", "two"))
        await asyncio.sleep(0.2)
    assert (await publishing).skill_id != first
    assert (await acme.get_skill("b")).skill.published_version == 1


async def test_a_deleted_skill_takes_its_old_slugs_along(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill_id = (await publish(acme, "a")).skill_id
    await acme.rename_skill("a", "b")
    await owner.execute("DELETE FROM skills WHERE id = $1", skill_id)
    assert await owner.fetchval("SELECT count(*) FROM skill_redirects") == 0


# -- archived skills ---------------------------------------------------------------------------------------------------


async def told_of(tenant: Tenant, user_id: str, name: str) -> EverySkillError:
    with pytest.raises(SkillNotFound) as caught:
        await tenant.get_skill_page(user_id, name)
    return caught.value


@pytest.mark.parametrize(
    "ask",
    [
        lambda t, name: t.get_skill_page("ann", name),
        lambda t, name: t.get_skill(name, user_id="ann"),
        lambda t, name: t.get_changes("ann", name),
        lambda t, name: t.visit_skill("ann", name),
        lambda t, name: t.record_skill_view("ann", name, 1),
        lambda t, name: t.add_feedback(name, user_id="ann", comment="Good."),
    ],
    ids=["get_skill_page", "get_skill", "get_changes", "visit_skill", "record_skill_view", "add_feedback"],
)
async def test_who_viewed_an_archived_skill_is_told_so_and_of_its_successor(acme: Tenant, ask: Ask) -> None:
    skill_id = await published_and_seen(acme, "old")
    await acme.rename_skill("old", "pdf")
    await publish(acme, "csv")
    await acme.archive_skill("pdf", successor="csv")
    for name in ("pdf", "old", skill_id):
        with pytest.raises(SkillArchived) as caught:
            await ask(acme, name)
        assert (caught.value.skill, caught.value.name, caught.value.successor) == ("pdf", "Old", "csv")
    view = await acme.get_user_view("ann", skill_id)
    assert view is not None
    assert view.view_count == 1


async def test_nobody_else_learns_that_a_skill_is_archived(acme: Tenant, globex: Tenant) -> None:
    await published_and_seen(acme)
    await published_and_seen(globex)
    await acme.archive_skill("pdf")
    nothing = str(await told_of(acme, "ann", "nothing"))
    for tenant, user_id, name in ((acme, "bob", "pdf"), (acme, "nobody", "pdf")):
        error = await told_of(tenant, user_id, name)
        assert type(error) is SkillNotFound
        assert str(error) == nothing.replace("nothing", "pdf")
    with pytest.raises(SkillNotFound) as caught:
        await acme.get_skill("pdf")
    assert type(caught.value) is SkillNotFound
    # Theirs is not archived.
    assert (await globex.get_skill_page("ann", "pdf")).skill.slug == "pdf"


async def test_a_successor_that_is_hidden_itself_is_not_told(acme: Tenant) -> None:
    await published_and_seen(acme, "a")
    await published_and_seen(acme, "b")
    await acme.archive_skill("a", successor="b")
    await acme.archive_skill("b")
    assert (await told_of(acme, "ann", "a")).successor is None  # type: ignore[attr-defined]
    await acme.restore_skill("b")
    assert (await told_of(acme, "ann", "a")).successor == "b"  # type: ignore[attr-defined]
    with pytest.raises(SkillNotFound):
        # No circle: what is hidden is no successor.
        await acme.archive_skill("b", successor="a")


async def test_a_successor_must_be_another_skill_of_the_tenant(acme: Tenant, globex: Tenant) -> None:
    await publish(acme, "a")
    theirs = (await publish(globex, "b")).skill_id
    for successor in ("b", theirs, "nowhere"):
        with pytest.raises(SkillNotFound):
            await acme.archive_skill("a", successor=successor)
    with pytest.raises(InvalidIdentifier):
        await acme.archive_skill("a", successor="a")
    assert (await acme.get_skill("a")).skill.status is SkillStatus.PUBLISHED


async def test_restoring_forgets_the_successor(acme: Tenant) -> None:
    await published_and_seen(acme, "a")
    await publish(acme, "b")
    await acme.archive_skill("a", successor="b")
    await acme.restore_skill("a")
    await acme.archive_skill("a")
    assert (await told_of(acme, "ann", "a")).successor is None  # type: ignore[attr-defined]


# -- feedback ----------------------------------------------------------------------------------------------------------


async def test_feedback_pages_newest_first_with_the_names_of_its_users(
    acme: Tenant, database: Database, owner: asyncpg.Connection
) -> None:
    await publish(acme)
    await acme.add_user("carl", name="Carl")
    await acme.add_user("dora", name="Dora")
    for user_id in ("ann", "carl", "dora", None):
        await acme.add_feedback("pdf", user_id=user_id, comment=f"by {user_id}")
    # All in one millisecond: the ids decide.
    await owner.execute("UPDATE skill_feedback SET created_at = '2026-01-01'")
    await owner.execute("DELETE FROM users WHERE id = 'dora'")
    items, cursor = [], None
    while True:
        page = await acme.list_feedback("pdf", limit=1, cursor=cursor)
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [item.id for item in items] == sorted(item.id for item in items)
    names = {item.comment: item.user_name for item in items}
    assert names["by carl"] == "Carl"
    assert names["by dora"] is names["by None"] is None
    assert len(names) == 4
    with pytest.raises(InvalidCursor):
        await acme.list_feedback("pdf", cursor="nonsense")
