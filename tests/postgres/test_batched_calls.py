"""Concurrent page views share statements and commits, and nobody can tell but by the time it takes."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

import everyskill
from everyskill.database.views.record import RECORD_VIEWS, record_views
from everyskill.errors import DatabaseUnreachable, Overloaded, SkillNotFound, UserNotFound
from everyskill.handles import Database, Tenant
from everyskill.model import NewUserSkillView, Visit
from everyskill.model.views import combine_views
from tests.support.databases import Clone, add_tenant
from tests.support.locks import locked_view, until_somebody_waits
from tests.support.skills import publish

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def upserts(queries: list[str]) -> int:
    return queries.count(RECORD_VIEWS.text)


def view(version: int | None, minute: int | None) -> NewUserSkillView:
    moment = None if minute is None else LONG_AGO + timedelta(minutes=minute)
    return NewUserSkillView(
        tenant_id="acme", user_id="ann", skill_id="pdf", last_viewed_at=moment, last_viewed_version=version
    )


@given(
    st.lists(st.tuples(st.none() | st.integers(1, 9), st.none() | st.integers(0, 99)), min_size=1).map(
        lambda facts: [view(*fact) for fact in facts]
    )
)
def test_s4_a_combined_view_is_worth_all_of_its_views(views: list[NewUserSkillView]) -> None:
    [combined] = combine_views(views).values()
    moments = [each.last_viewed_at for each in views]
    versions = [each.last_viewed_version for each in views if each.last_viewed_version]
    assert combined.view_count == len(views)
    assert combined.last_viewed_version == max(versions, default=None)
    assert combined.last_viewed_at == (None if None in moments else max(filter(None, moments)))


async def test_s4_at_once_or_one_after_another_the_rows_end_the_same(acme: Tenant, globex: Tenant) -> None:
    chance = random.Random(7)
    skills = {slug: [(await publish(tenant, slug)).skill_id for tenant in (acme, globex)] for slug in ("a", "b", "c")}
    for slug in ("a", "b"):
        for tenant in (acme, globex):
            await publish(tenant, slug, "two")
    views = [
        (
            chance.choice(["ann", "bob"]),
            chance.choice("abc"),
            chance.choice([None, 1, 2, 3]),
            LONG_AGO + timedelta(milliseconds=chance.randrange(10)),
        )
        for _ in range(60)
    ]
    await asyncio.gather(
        *(acme.record_skill_view(user, skills[slug][0], version, moment) for user, slug, version, moment in views)
    )
    for user, slug, version, moment in views:
        await globex.record_skill_view(user, skills[slug][1], version, moment)
    for user in ("ann", "bob"):
        for at_once, in_turn in skills.values():
            one, two = await acme.get_user_view(user, at_once), await globex.get_user_view(user, in_turn)
            assert (one is None) == (two is None)
            if one and two:
                assert (one.last_viewed_at, one.last_viewed_version) == (two.last_viewed_at, two.last_viewed_version)
                assert one.view_count == two.view_count


async def test_views_at_once_share_a_statement_and_a_commit(acme: Tenant, globex: Tenant, queries: list[str]) -> None:
    skills = [(await publish(acme, f"skill-{number}")).skill_id for number in range(20)]
    theirs = (await publish(globex)).skill_id
    queries.clear()
    await asyncio.gather(
        *(acme.record_skill_view(user, skill, 1) for user in ("ann", "bob") for skill in skills),
        globex.record_skill_view("ann", theirs, 1),
    )
    assert upserts(queries) <= 3
    assert sum(query.startswith("BEGIN") for query in queries) <= 2


async def test_a_batch_locks_its_rows_in_one_order_whatever_the_order_of_its_calls(
    acme: Tenant, owner: asyncpg.Connection
) -> None:
    skills = [(await publish(acme, slug)).skill_id for slug in ("a", "b", "c", "d")]
    pairs = [(user, skill) for user in ("ann", "bob") for skill in skills]
    random.Random(1).shuffle(pairs)
    views = [NewUserSkillView(tenant_id="acme", user_id=user, skill_id=skill) for user, skill in pairs]
    await acme._transactions.run(lambda connection: record_views(connection, views))
    # In an empty table rows lie in the order in which they were written.
    question = "SELECT user_id, skill_id FROM user_skill_views ORDER BY {}"
    written, wanted = [await owner.fetch(question.format(order)) for order in ("ctid", "user_id, skill_id")]
    assert written == wanted


async def test_s12_questions_at_once_share_a_query_and_keep_their_answers_apart(
    acme: Tenant, globex: Tenant, queries: list[str]
) -> None:
    skills = [(await publish(acme, f"skill-{number}")).skill_id for number in range(9)]
    theirs = (await publish(globex)).skill_id
    for skill in skills[:3]:
        await acme.record_skill_view("ann", skill, 1)
    await acme.record_skill_view("bob", skills[5], 1)
    await globex.record_skill_view("ann", theirs, 1)
    for number in (0, 5):
        await publish(acme, f"skill-{number}", "two")
    queries.clear()
    asked = asyncio.gather(
        acme.get_user_views_for_skills("ann", skills),
        acme.get_user_views_for_skills("bob", [*skills, *skills]),
        acme.get_user_views_for_skills("nobody", skills),
        globex.get_user_views_for_skills("ann", [*skills, theirs]),
    )
    badges = asyncio.gather(acme.get_updated_skill_ids("ann", skills), acme.get_updated_skill_ids("bob", skills))
    one = await acme.get_user_view("ann", skills[1])
    anns, bobs, nobodys, neighbours = await asked
    assert set(anns) == set(skills[:3])
    assert set(bobs) == {skills[5]}
    assert nobodys == {}
    assert set(neighbours) == {theirs}
    assert [*await badges] == [{skills[0]}, {skills[5]}]
    assert one == anns[skills[1]]
    assert sum(query.startswith("SELECT asked.place") for query in queries) <= 5


async def test_s7_feeds_at_once_share_a_query_and_keep_their_answers_apart(
    acme: Tenant, globex: Tenant, queries: list[str]
) -> None:
    skills = {tenant: [await publish(tenant, f"skill-{number}") for number in range(4)] for tenant in (acme, globex)}
    for tenant, seen in ((acme, skills[acme][:3]), (globex, skills[globex][3:])):
        for user_id, skill in [("ann", each) for each in seen] + [("bob", seen[0])]:
            await tenant.visit_skill(user_id, skill.skill_id)
        for skill in seen:
            await publish(tenant, skill.slug, "two")
    queries.clear()
    asked = [(acme, "ann", 2), (acme, "bob", 10), (globex, "ann", 10), (acme, "ann", 10), (acme, "nobody", 10)]
    feeds = await asyncio.gather(*(tenant.get_whats_new_for_user(user, limit) for tenant, user, limit in asked))
    listed = [[item.skill_id for item in feed] for feed in feeds]
    ours, theirs = ([skill.skill_id for skill in skills[tenant]] for tenant in (acme, globex))
    assert listed == [ours[2:0:-1], ours[:1], theirs[3:], ours[2::-1], []]
    # Each tenant has a statement of its own.
    assert len([query for query in queries if "user_skill_views" in query]) == 2


async def test_s12_view_states_are_views_with_their_badges_for_one_query(
    acme: Tenant, globex: Tenant, queries: list[str]
) -> None:
    seen, updated, hidden, unknown, never = [
        (await publish(acme, slug)).skill_id for slug in ("seen", "updated", "hidden", "unknown", "never")
    ]
    for skill in (seen, updated, hidden):
        await acme.record_skill_view("ann", skill, 1)
    await acme.record_skill_view("ann", unknown, None)
    for slug in ("updated", "hidden"):
        await publish(acme, slug, "two")
    await acme.archive_skill("hidden")
    skills = [seen, updated, hidden, unknown, never]
    queries.clear()
    anns, bobs, neighbours = await asyncio.gather(
        acme.get_view_states("ann", [*skills, seen]),
        acme.get_view_states("bob", skills),
        globex.get_view_states("ann", skills),
    )
    assert sum(query.startswith("SELECT asked.place") for query in queries) <= 3
    assert {skill for skill, state in anns.items() if state.is_updated} == {updated}
    assert all(state.is_updated in (True, False) for state in anns.values())
    views = await acme.get_user_views_for_skills("ann", skills)
    told = {
        skill: (state.skill_id, state.last_viewed_at, state.last_viewed_version, state.view_count)
        for skill, state in anns.items()
    }
    assert told == {
        skill: (view.skill_id, view.last_viewed_at, view.last_viewed_version, view.view_count)
        for skill, view in views.items()
    }
    assert len(told) == 4
    assert (bobs, neighbours) == ({}, {})


async def test_s6_visits_at_once_share_their_statements_and_each_is_told_what_was_before(
    acme: Tenant, globex: Tenant, queries: list[str]
) -> None:
    skills = [(await publish(acme, f"skill-{number}")).skill_id for number in range(5)]
    theirs = (await publish(globex)).skill_id
    for skill in skills:
        await acme.record_skill_view("ann", skill, 1)
    for number in range(5):
        await publish(acme, f"skill-{number}", "two")
    queries.clear()
    visits = await asyncio.gather(
        *(acme.visit_skill(user, skill) for user in ("ann", "bob") for skill in skills),
        globex.visit_skill("ann", theirs),
        acme.visit_skill("ann", "nothing"),
        acme.visit_skill("nobody", skills[0]),
        return_exceptions=True,
    )
    assert upserts(queries) <= 4
    assert [type(outcome) for outcome in visits[-2:]] == [SkillNotFound, UserNotFound]
    told = [[change.detail for change in visit.changes] for visit in visits[:11] if isinstance(visit, Visit)]
    assert told == [["v1 → v2", "+1 \N{MINUS SIGN}1"]] * 5 + [[]] * 6
    assert await acme.get_updated_skill_ids("ann", skills) == set()
    assert {view.view_count for view in (await acme.get_user_views_for_skills("ann", skills)).values()} == {2}


async def test_s14_a_view_that_cannot_be_recorded_fails_alone(acme: Tenant) -> None:
    skill = (await publish(acme)).skill_id
    outcomes = await asyncio.gather(
        acme.record_skill_view("ann", skill, 1),
        acme.record_skill_view("ann", "nothing", 1),
        acme.record_skill_view("nobody", skill, 1),
        acme.record_skill_view("bob", skill, 1),
        acme.record_skill_view("ann", skill, 1),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [
        type(None),
        SkillNotFound,
        UserNotFound,
        type(None),
        type(None),
    ]
    seen = await acme.get_user_view("ann", skill)
    assert seen is not None
    assert seen.view_count == 2


async def test_s18_ids_of_a_class_that_no_encoder_knows_are_ids_like_others(acme: Tenant, globex: Tenant) -> None:
    class Markup(str):
        __slots__ = ()

    class Number(int):
        __slots__ = ()

    ours, theirs = (await publish(acme)).skill_id, (await publish(globex)).skill_id
    ann, marked = Markup("ann"), Markup(ours)
    outcomes = await asyncio.gather(
        *(globex.visit_skill("ann", theirs) for _ in range(5)),
        acme.record_skill_view(ann, marked, Number(1)),
        acme.visit_skill(ann, marked),
        acme.get_user_view(ann, marked),
        acme.get_updated_skill_ids(ann, [marked]),
        acme.get_view_states(ann, [marked]),
        acme.get_changes(ann, marked),
        acme.get_changes_for_skills(ann, [marked]),
        acme.get_whats_new_for_user(ann, Number(3)),
        return_exceptions=True,
    )
    assert [outcome for outcome in outcomes if isinstance(outcome, BaseException)] == []


async def test_s14_a_row_that_the_database_refuses_fails_alone(acme: Tenant, owner: asyncpg.Connection) -> None:
    skills = [(await publish(acme, f"skill-{number}")).skill_id for number in range(12)]
    await owner.execute(f"ALTER TABLE user_skill_views ADD CONSTRAINT odd CHECK (skill_id <> '{skills[7]}') NOT VALID")
    outcomes = await asyncio.gather(
        *(acme.record_skill_view("ann", skill, 1) for skill in skills), return_exceptions=True
    )
    failed = [place for place, outcome in enumerate(outcomes) if outcome is not None]
    assert failed == [7]
    assert isinstance(outcomes[7], asyncpg.CheckViolationError)
    assert set(await acme.get_user_views_for_skills("ann", skills)) == {*skills} - {skills[7]}


async def test_a_skill_that_is_deleted_while_it_is_recorded_is_not_found_and_takes_no_other_along(
    acme: Tenant, owner: asyncpg.Connection, clone: Clone
) -> None:
    doomed, stays = [(await publish(acme, slug)).skill_id for slug in ("doomed", "stays")]
    async with owner.transaction():
        await owner.execute("DELETE FROM skills WHERE id = $1", doomed)
        records = [asyncio.ensure_future(acme.record_skill_view("ann", skill, 1)) for skill in (stays, doomed, stays)]
        await until_somebody_waits(clone)
    outcomes = await asyncio.gather(*records, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), SkillNotFound, type(None)]


async def test_cancelled_callers_harm_nobody_and_leave_nothing_hanging(acme: Tenant, database: Database) -> None:
    skill = (await publish(acme)).skill_id
    chance = random.Random(3)
    records = [asyncio.ensure_future(acme.record_skill_view("ann", skill, 1)) for _ in range(300)]
    questions = [asyncio.ensure_future(acme.get_user_view("ann", skill)) for _ in range(300)]
    storm = chance.sample([*records, *questions], 300)
    for task in storm:
        await asyncio.sleep(0)
        task.cancel()
    async with asyncio.timeout(30):
        outcomes = await asyncio.gather(*records, *questions, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), asyncio.CancelledError, everyskill.UserSkillView}
    acknowledged = sum(task.done() and not task.cancelled() for task in records)
    seen = await acme.get_user_view("ann", skill)
    assert seen is not None
    assert acknowledged <= seen.view_count <= 300
    await database.check()


async def test_closing_waits_for_what_was_asked_and_what_was_acknowledged_is_there(clone: Clone) -> None:
    async with everyskill.connect(clone.service_url) as database:
        acme = await add_tenant(database, "acme")
        skill = (await publish(acme)).skill_id
        records = [asyncio.ensure_future(acme.record_skill_view("ann", skill, 1)) for _ in range(500)]
        await asyncio.sleep(0)
    assert all(task.done() for task in records)
    assert [task.exception() for task in records] == [None] * 500
    with pytest.raises(DatabaseUnreachable):
        await acme.record_skill_view("ann", skill, 1)
    async with everyskill.connect(clone.service_url) as database:
        seen = await database.tenant("acme").get_user_view("ann", skill)
    assert seen is not None
    assert seen.view_count == 500


async def test_s14_a_connection_that_breaks_in_the_middle_records_nothing_and_the_next_call_works(
    acme: Tenant, owner: asyncpg.Connection, clone: Clone
) -> None:
    skill = (await publish(acme)).skill_id
    await acme.record_skill_view("ann", skill, 1)
    async with locked_view(clone, "ann"):
        records = [asyncio.ensure_future(acme.record_skill_view(user, skill, 1)) for user in ("ann", "bob")]
        await until_somebody_waits(clone)
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'",
            clone.name,
        )
        [broken, *_] = await asyncio.gather(*records, return_exceptions=True)
    assert isinstance(broken, DatabaseUnreachable)
    seen = await acme.get_user_view("ann", skill)
    assert seen is not None
    assert seen.view_count == 1
    await acme.record_skill_view("ann", skill, 1)


async def test_somebody_elses_lock_does_not_hold_up_all_views(acme: Tenant, clone: Clone) -> None:
    skill = (await publish(acme)).skill_id
    await acme.record_skill_view("ann", skill, 1)
    async with locked_view(clone, "ann"):
        waiting = asyncio.ensure_future(acme.record_skill_view("ann", skill, 1))
        await until_somebody_waits(clone)
        await asyncio.sleep(0.2)
        async with asyncio.timeout(20):
            await acme.record_skill_view("bob", skill, 1)
        assert not waiting.done()
    await waiting


async def test_a_full_queue_refuses_and_records_nothing(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERYSKILL_QUEUE_SIZE", "2")
    async with everyskill.connect(clone.service_url) as database:
        acme = await add_tenant(database, "acme")
        skill = (await publish(acme)).skill_id
        outcomes = await asyncio.gather(
            *(acme.record_skill_view("ann", skill, 1) for _ in range(9)), return_exceptions=True
        )
        refused = [outcome for outcome in outcomes if outcome is not None]
        assert refused
        assert all(isinstance(outcome, Overloaded) for outcome in refused)
        seen = await acme.get_user_view("ann", skill)
        assert seen is not None
        assert seen.view_count == 9 - len(refused)
