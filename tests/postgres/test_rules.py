"""The rules S1 to S17 of what "changed since I last looked" means, one promise a test, each naming its rule."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from msgspec.structs import replace

from everyskill.database.feed.walk import FIND_ITEMS_AFTER
from everyskill.database.people.users import insert_user
from everyskill.database.transactions import TenantConnection
from everyskill.errors import DatabaseReadOnly, SkillNotFound, UserNotFound
from everyskill.handles import Tenant
from everyskill.model import Outcome, Role, SkillFile, SkillStatus
from tests.support.skills import folder, is_badged, publish

DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)
ALL_ITEMS = {
    "tenant_id": "acme",
    "user_id": "ann",
    "after_updated_at": datetime(9999, 1, 1, tzinfo=UTC),
    "after_skill_id": "",
    "limit": 10,
}


async def clock(owner: asyncpg.Connection) -> datetime:
    """The database's clock."""
    now: datetime = await owner.fetchval("SELECT clock_timestamp()")
    return now


async def age(owner: asyncpg.Connection, skill_id: str, by: timedelta) -> None:
    """Makes a skill's last update, and every view of it, older."""
    await owner.execute("UPDATE skills SET updated_at = updated_at - $2::interval WHERE id = $1", skill_id, by)
    await owner.execute(
        "UPDATE user_skill_views SET last_viewed_at = last_viewed_at - $2::interval WHERE skill_id = $1", skill_id, by
    )


async def view_count(tenant: Tenant, user_id: str, skill_id: str) -> int:
    view = await tenant.get_user_view(user_id, skill_id)
    return 0 if view is None else view.view_count


# -- S1 -----------------------------------------------------------------------------------------------------------


async def test_s1_a_skill_never_viewed_is_not_updated(acme: Tenant) -> None:
    skill = await publish(acme)
    await publish(acme, content="two")
    assert not await is_badged(acme, "ann", skill.skill_id)


async def test_s1_a_new_version_badges_whoever_viewed_an_older_one(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    assert not await is_badged(acme, "ann", skill.skill_id)
    await publish(acme, content="two")
    assert await is_badged(acme, "ann", skill.skill_id)


async def test_s1_a_higher_version_badges_even_when_its_time_is_older(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    await owner.execute("UPDATE skills SET updated_at = updated_at - interval '1 hour'")
    assert await is_badged(acme, "ann", skill.skill_id)


async def test_s1_an_unknown_version_leaves_the_test_of_the_time_alone(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill = await publish(acme)
    await acme.record_skill_view("ann", skill.skill_id, None)
    assert not await is_badged(acme, "ann", skill.skill_id)
    await owner.execute("UPDATE user_skill_views SET last_viewed_at = last_viewed_at - interval '1 second'")
    assert await is_badged(acme, "ann", skill.skill_id)


# -- S2 -----------------------------------------------------------------------------------------------------------


async def test_s2_badge_list_feed_count_and_mark_all_agree(acme: Tenant, owner: asyncpg.Connection) -> None:
    expected = set()
    for number in range(6):
        skill = await publish(acme, f"skill-{number}")
        if number % 2:
            await acme.visit_skill("ann", skill.skill_id)
        if number % 3:
            await publish(acme, f"skill-{number}", "two")
        if number % 2 and number % 3:
            expected.add(skill.skill_id)
    listed = (await acme.list_skills("ann")).items
    assert {item.id for item in listed if item.is_updated} == expected
    assert await acme.get_updated_skill_ids("ann", [item.id for item in listed]) == expected
    states = await acme.get_view_states("ann", [item.id for item in listed])
    assert {state.skill_id for state in states.values() if state.is_updated} == expected
    assert {item.skill_id for item in await acme.get_whats_new_for_user("ann")} == expected
    assert await acme.count_whats_new("ann") == len(expected)
    assert await acme.mark_all_seen("ann", await clock(owner)) == len(expected)


async def test_s2_a_count_without_a_bound_goes_beyond_a_hundred(acme: Tenant, owner: asyncpg.Connection) -> None:
    await asyncio.gather(*(publish(acme, f"skill-{number}") for number in range(101)))
    await owner.execute("""
        INSERT INTO user_skill_views (tenant_id, user_id, skill_id, last_viewed_at)
        SELECT tenant_id, 'ann', id, now() - interval '1 day' FROM skills
    """)
    assert [await acme.count_whats_new("ann", at_most) for at_most in (100, None)] == [100, 101]


# -- S3 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["content", "name", "description", "category"])
async def test_s3_every_visible_change_publishes_the_next_version(acme: Tenant, field: str) -> None:
    first = await publish(acme)
    second = await publish(acme, **{field: "changed"})
    assert (first.version, second.version, second.outcome) == (1, 2, Outcome.UPDATED)


async def test_s3_publishing_the_same_again_does_nothing(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    before = await acme.get_skill("pdf")
    assert (await publish(acme)).outcome is Outcome.UNCHANGED
    assert await acme.get_skill("pdf") == before
    assert not await is_badged(acme, "ann", skill.skill_id)


async def test_s3_status_and_counters_publish_nothing(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.add_feedback(skill.skill_id, comment="nice")
    await acme.visit_skill("ann", skill.skill_id)
    await acme.archive_skill("pdf")
    restored = await acme.restore_skill("pdf")
    assert restored.published_version == 1
    assert restored.updated_at == (await acme.list_versions("pdf"))[0].created_at


async def test_s3_version_numbers_count_up_under_concurrent_publishers(acme: Tenant) -> None:
    published = await asyncio.gather(*(publish(acme, content=f"text {number}") for number in range(8)))
    assert sorted(publication.version for publication in published) == list(range(1, 9))
    assert (await acme.get_skill("pdf")).skill.published_version == 8


async def test_s3_the_next_number_follows_the_greatest_though_older_versions_were_deleted(
    acme: Tenant, owner: asyncpg.Connection
) -> None:
    for content in ("one", "two", "three"):
        await publish(acme, content=content)
    await owner.execute("DELETE FROM skill_versions WHERE version < 3")
    assert (await publish(acme, content="four")).version == 4


# -- S4 -----------------------------------------------------------------------------------------------------------


async def test_s4_two_tabs_out_of_order_never_go_back(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill = await publish(acme)
    await publish(acme, content="two")
    now = await clock(owner)
    await acme.record_skill_view("ann", skill.skill_id, 2, now)
    await acme.record_skill_view("ann", skill.skill_id, 1, now - DAY)
    view = await acme.get_user_view("ann", skill.skill_id)
    assert view is not None
    assert (view.last_viewed_version, view.view_count) == (2, 2)
    assert abs(view.last_viewed_at - now) <= MILLISECOND


async def test_s4_time_and_version_each_take_the_greater(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill = await publish(acme)
    await publish(acme, content="two")
    now = await clock(owner)
    await acme.record_skill_view("ann", skill.skill_id, 2, now - DAY)
    await acme.record_skill_view("ann", skill.skill_id, 1, now)
    view = await acme.get_user_view("ann", skill.skill_id)
    assert view is not None
    assert view.last_viewed_version == 2
    assert abs(view.last_viewed_at - now) <= MILLISECOND


async def test_s4_an_unknown_version_never_erases_a_known_one(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.record_skill_view("ann", skill.skill_id, 1)
    await acme.record_skill_view("ann", skill.skill_id, None)
    view = await acme.get_user_view("ann", skill.skill_id)
    assert view is not None
    assert (view.last_viewed_version, view.view_count) == (1, 2)


async def test_s4_concurrent_first_views_are_all_counted_in_one_row(acme: Tenant) -> None:
    skill = await publish(acme)
    await asyncio.gather(*(acme.record_skill_view("ann", skill.skill_id, 1) for _ in range(20)))
    assert await view_count(acme, "ann", skill.skill_id) == 20


# -- S5 -----------------------------------------------------------------------------------------------------------


async def test_s5_a_version_above_the_published_one_is_clamped(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.record_skill_view("ann", skill.skill_id, 99)
    await publish(acme, content="two")
    assert await is_badged(acme, "ann", skill.skill_id)


async def test_s5_a_moment_after_now_is_clamped(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill = await publish(acme)
    await acme.record_skill_view("ann", skill.skill_id, None, datetime.now(UTC) + 365 * DAY)
    view = await acme.get_user_view("ann", skill.skill_id)
    assert view is not None
    assert view.last_viewed_at <= await clock(owner) + MILLISECOND


@pytest.mark.parametrize("version", [1, None])
async def test_s5_an_update_between_render_and_record_still_badges(
    acme: Tenant, owner: asyncpg.Connection, version: int | None
) -> None:
    skill = await publish(acme)
    rendered_at = await clock(owner)
    await publish(acme, content="two")
    await acme.record_skill_view("ann", skill.skill_id, version, rendered_at)
    assert await is_badged(acme, "ann", skill.skill_id)


async def test_s5_viewing_an_old_version_keeps_the_badge(acme: Tenant) -> None:
    skill = await publish(acme)
    await publish(acme, content="two")
    await acme.record_skill_view("ann", skill.skill_id, 1)
    assert await is_badged(acme, "ann", skill.skill_id)


# -- S6 -----------------------------------------------------------------------------------------------------------


async def test_s6_a_visit_tells_what_changed_before_it_and_then_clears_the_badge(acme: Tenant) -> None:
    skill = await publish(acme, description="Old.")
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two", description="New.")
    await acme.add_feedback(skill.skill_id, user_id="bob", comment="good")
    await acme.add_feedback(skill.skill_id, user_id="bob", comment="better")
    visit = await acme.visit_skill("ann", skill.skill_id)
    assert [(item.type, item.label, item.detail) for item in visit.changes] == [
        ("version_bump", "New version published", "v1 → v2"),
        ("instructions_changed", "Instructions changed", "+1 \N{MINUS SIGN}1"),
        ("description_updated", "Description updated", "New."),
        ("new_feedback", "2 new feedback items", None),
    ]
    assert visit.previous is not None
    assert visit.previous.last_viewed_version == 1
    assert await acme.get_changes("ann", skill.skill_id) == []


async def test_s6_a_first_visit_has_nothing_to_compare_with(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.add_feedback(skill.skill_id, comment="good")
    visit = await acme.visit_skill("ann", skill.skill_id)
    assert (visit.previous, visit.changes, visit.version) == (None, [], 1)


async def test_s6_a_visit_that_cannot_be_recorded_changes_nothing(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill = await publish(acme)
    with pytest.raises(UserNotFound):
        await acme.visit_skill("nobody", skill.skill_id)
    assert await owner.fetchval("SELECT count(*) FROM user_skill_views") == 0


# -- S7 -----------------------------------------------------------------------------------------------------------


async def test_s7_the_feed_is_newest_first_and_ties_go_by_skill_id(acme: Tenant, owner: asyncpg.Connection) -> None:
    tied = [(await publish(acme, f"skill-{number}")).skill_id for number in range(8)]
    oldest = (await publish(acme, "oldest")).skill_id
    for skill_id in (*tied, oldest):
        await acme.visit_skill("ann", skill_id)
    await owner.execute("UPDATE user_skill_views SET last_viewed_at = now() - interval '1 day'")
    await owner.execute("UPDATE skills SET updated_at = date_trunc('second', now())")
    await owner.execute("UPDATE skills SET updated_at = now() - interval '1 hour' WHERE id = $1", oldest)
    assert [item.skill_id for item in await acme.get_whats_new_for_user("ann")] == [*sorted(tied), oldest]


@pytest.mark.parametrize(("seconds_inside", "listed"), [(60, 1), (-60, 0)])
async def test_s7_the_window_is_thirty_days(
    acme: Tenant, owner: asyncpg.Connection, seconds_inside: int, listed: int
) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    await age(owner, skill.skill_id, 30 * DAY - timedelta(seconds=seconds_inside))
    assert len(await acme.get_whats_new_for_user("ann")) == await acme.count_whats_new("ann") == listed
    assert await is_badged(acme, "ann", skill.skill_id)


async def test_s7_the_windows_edge_is_inside(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    for offset, listed in ((timedelta(0), 1), (-MILLISECOND, 0)):
        async with owner.transaction():
            await owner.execute(
                "UPDATE skills SET updated_at = date_trunc('ms', now()) - interval '30 days' + $1", offset
            )
            text = FIND_ITEMS_AFTER.text.replace("now()", "date_trunc('ms', now())")
            assert len(await owner.fetch(text, *FIND_ITEMS_AFTER.arguments(ALL_ITEMS))) == listed


async def test_s7_thirty_days_are_720_hours_where_the_clocks_change_too(
    acme: Tenant, owner: asyncpg.Connection
) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    for offset, listed in ((timedelta(0), 1), (-MILLISECOND, 0)):
        async with owner.transaction():
            await owner.execute("SET LOCAL timezone = 'America/New_York'")
            moment = datetime(2026, 11, 21, 12, tzinfo=UTC) - timedelta(days=30) + offset
            await owner.execute("UPDATE skills SET updated_at = $1", moment)
            text = FIND_ITEMS_AFTER.text.replace("now()", "timestamptz '2026-11-21 12:00+00'")
            assert len(await owner.fetch(text, *FIND_ITEMS_AFTER.arguments(ALL_ITEMS))) == listed


async def test_s7_the_window_is_about_the_change_and_not_the_view(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await owner.execute("UPDATE user_skill_views SET last_viewed_at = now() - interval '300 days'")
    await publish(acme, content="two")
    assert [item.skill_id for item in await acme.get_whats_new_for_user("ann")] == [skill.skill_id]


async def test_s7_the_feed_shows_ten_unless_asked_and_pages_without_gap_or_repeat(acme: Tenant) -> None:
    expected: list[str] = []
    for number in range(23):
        skill = await publish(acme, f"skill-{number:02}")
        await acme.visit_skill("ann", skill.skill_id)
        await publish(acme, f"skill-{number:02}", "changed")
        expected.insert(0, skill.skill_id)
    assert [item.skill_id for item in await acme.get_whats_new_for_user("ann")] == expected[:10]
    seen, cursor = [], None
    while True:
        page = await acme.get_whats_new_page("ann", limit=5, cursor=cursor)
        seen += [item.skill_id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == expected


async def test_s7_paging_holds_while_skills_change(acme: Tenant, owner: asyncpg.Connection) -> None:
    for number in range(6):
        skill = await publish(acme, f"skill-{number}")
        await acme.visit_skill("ann", skill.skill_id)
        await publish(acme, f"skill-{number}", "changed")
    await owner.execute("UPDATE skills SET updated_at = date_trunc('day', now())")
    first = await acme.get_whats_new_page("ann", limit=3)
    shown = [item.skill_slug for item in first.items]
    await publish(acme, shown[0], "changed again")
    await acme.archive_skill(shown[1])
    second = await acme.get_whats_new_page("ann", limit=3, cursor=first.next_cursor)
    assert sorted(shown + [item.skill_slug for item in second.items]) == [f"skill-{number}" for number in range(6)]
    assert second.next_cursor is None


# -- S8 -----------------------------------------------------------------------------------------------------------


async def test_s8_what_changed_between_two_pages_stays_when_the_second_is_marked(acme: Tenant) -> None:
    skills = [await publish(acme, f"skill-{number}") for number in range(4)]
    for skill in skills:
        await acme.visit_skill("ann", skill.skill_id)
    for number in range(3):
        await publish(acme, f"skill-{number}", "two")
    first = await acme.get_whats_new_page("ann", limit=2)
    await publish(acme, "skill-3", "two")
    second = await acme.get_whats_new_page("ann", limit=2, cursor=first.next_cursor)
    assert second.as_of == first.as_of
    assert await acme.mark_all_seen("ann", second.as_of) == 3
    assert await is_badged(acme, "ann", skills[3].skill_id)


async def test_s8_marking_all_as_seen_clears_what_the_list_showed_and_counts_no_view(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await acme.visit_skill("bob", skill.skill_id)
    await publish(acme, content="two")
    page = await acme.get_whats_new_page("ann")
    assert await acme.mark_all_seen("ann", page.as_of) == 1
    assert not await is_badged(acme, "ann", skill.skill_id)
    assert await is_badged(acme, "bob", skill.skill_id)
    assert await view_count(acme, "ann", skill.skill_id) == 1


async def test_s8_an_update_between_reading_and_clicking_survives(acme: Tenant) -> None:
    early, late = await publish(acme, "early"), await publish(acme, "late")
    for skill in (early, late):
        await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, "early", "two")
    page = await acme.get_whats_new_page("ann")
    await publish(acme, "late", "two")
    assert await acme.mark_all_seen("ann", page.as_of) == 1
    assert [item.skill_slug for item in await acme.get_whats_new_for_user("ann")] == ["late"]


async def test_s8_a_skill_that_was_hidden_while_the_list_was_read_and_is_shown_again_keeps_its_badge(
    acme: Tenant,
) -> None:
    hidden, shown = await publish(acme, "hidden"), await publish(acme, "shown")
    for skill in (hidden, shown):
        await acme.visit_skill("ann", skill.skill_id)
        await publish(acme, skill.slug, "two")
    await acme.archive_skill("hidden")
    page = await acme.get_whats_new_page("ann")
    await acme.restore_skill("hidden")
    assert await acme.mark_all_seen("ann", page.as_of) == 1
    assert [item.skill_slug for item in await acme.get_whats_new_for_user("ann")] == ["hidden"]


async def test_s8_a_moment_after_now_is_clamped(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    await acme.mark_all_seen("ann", datetime.now(UTC) + 365 * DAY)
    await publish(acme, content="three")
    view = await acme.get_user_view("ann", skill.skill_id)
    assert view is not None
    assert view.last_viewed_at < datetime.now(UTC)
    assert await is_badged(acme, "ann", skill.skill_id)


async def test_s8_marking_for_nobody_is_refused(acme: Tenant) -> None:
    with pytest.raises(UserNotFound):
        await acme.mark_all_seen("nobody", datetime.now(UTC))


# -- S9 -----------------------------------------------------------------------------------------------------------


async def test_s9_authors_get_no_badge_for_their_own_edit_and_no_view_counted(acme: Tenant) -> None:
    skill = await publish(acme)
    for user_id in ("ann", "bob"):
        await acme.visit_skill(user_id, skill.skill_id)
    await publish(acme, content="two", author_id="ann")
    assert not await is_badged(acme, "ann", skill.skill_id)
    assert await is_badged(acme, "bob", skill.skill_id)
    assert await view_count(acme, "ann", skill.skill_id) == 1


async def test_s9_publishing_makes_no_row_for_an_author_without_one(acme: Tenant) -> None:
    skill = await publish(acme, author_id="ann")
    assert await acme.get_user_view("ann", skill.skill_id) is None


# -- S10 ----------------------------------------------------------------------------------------------------------


async def test_s10_reading_never_records(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill = await publish(acme)
    version_id = (await acme.list_versions("pdf"))[0].id
    await acme.get_changes("ann", skill.skill_id)
    await acme.get_user_view("ann", skill.skill_id)
    await acme.get_user_views_for_skills("ann", [skill.skill_id])
    await acme.get_updated_skill_ids("ann", [skill.skill_id])
    await acme.get_whats_new_for_user("ann")
    await acme.get_whats_new_page("ann")
    await acme.count_whats_new("ann")
    await acme.get_version_number(version_id)
    await acme.count_feedback_since(skill.skill_id, datetime.now(UTC))
    await acme.list_skills("ann")
    assert await owner.fetchval("SELECT count(*) FROM user_skill_views") == 0


async def test_s10_a_question_cannot_write_even_if_its_sql_would(acme: Tenant) -> None:
    from everyskill.database.views.record import RECORD_VIEWS  # noqa: PLC0415 - a write, used where one must fail

    skill = await publish(acme)
    values = {"user_ids": ["ann"], "skill_ids": [skill.skill_id]}
    with pytest.raises(DatabaseReadOnly):
        async with acme._transactions.read() as connection:
            await connection.fetch(RECORD_VIEWS, **values, viewed_ats=[None], versions=[1], view_counts=[1])


# -- S11 ----------------------------------------------------------------------------------------------------------


async def test_s11_unpublishing_hides_a_skill_everywhere_and_keeps_its_rows(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    await acme.archive_skill("pdf")
    assert not await is_badged(acme, "ann", skill.skill_id)
    assert await acme.get_whats_new_for_user("ann") == []
    assert await acme.count_whats_new("ann") == 0
    assert (await acme.list_skills("ann")).items == []
    assert await acme.mark_all_seen("ann", datetime.now(UTC)) == 0
    for refused in (
        acme.get_skill("pdf"),
        acme.get_changes("ann", skill.skill_id),
        acme.visit_skill("ann", skill.skill_id),
        acme.record_skill_view("ann", skill.skill_id, 1),
        acme.add_feedback(skill.skill_id, comment="gone?"),
    ):
        with pytest.raises(SkillNotFound):
            await refused
    assert await view_count(acme, "ann", skill.skill_id) == 1


async def test_s11_numbers_are_given_for_the_ids_of_hidden_skills_too(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.add_feedback(skill.skill_id, comment="Good.")
    [version] = await acme.list_versions("pdf")
    await acme.archive_skill("pdf")
    assert await acme.get_version_number(version.id) == 1
    assert await acme.count_feedback_since(skill.skill_id, datetime.now(UTC) - timedelta(days=1)) == 1


async def test_s11_publishing_again_unchanged_badges_nobody(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await acme.archive_skill("pdf")
    await publish(acme)
    restored = await acme.restore_skill("pdf")
    assert restored.status is SkillStatus.PUBLISHED
    assert not await is_badged(acme, "ann", skill.skill_id)


async def test_s11_a_badge_from_before_hiding_is_there_again_after_it(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    await acme.archive_skill("pdf")
    await acme.restore_skill("pdf")
    assert await is_badged(acme, "ann", skill.skill_id)


async def test_s11_a_skill_edited_while_hidden_is_updated_from_when_it_becomes_visible(
    acme: Tenant, owner: asyncpg.Connection
) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await acme.archive_skill("pdf")
    assert (await publish(acme, content="two")).status is SkillStatus.ARCHIVED
    assert not await is_badged(acme, "ann", skill.skill_id)
    before = await clock(owner)
    restored = await acme.restore_skill("pdf")
    assert before < restored.updated_at <= await clock(owner)
    assert await is_badged(acme, "ann", skill.skill_id)
    assert [item.skill_id for item in await acme.get_whats_new_for_user("ann")] == [skill.skill_id]


async def test_s11_with_s9_restoring_badges_everybody_but_who_edited_it_while_hidden(acme: Tenant) -> None:
    skill = await publish(acme)
    for user_id in ("ann", "bob"):
        await acme.visit_skill(user_id, skill.skill_id)
    await acme.archive_skill("pdf")
    await publish(acme, content="two", author_id="ann")
    await acme.restore_skill("pdf")
    assert not await is_badged(acme, "ann", skill.skill_id)
    assert await is_badged(acme, "bob", skill.skill_id)


@pytest.mark.parametrize("table", ["users", "skills"])
async def test_s11_deleting_a_user_or_a_skill_deletes_its_rows(
    acme: Tenant, owner: asyncpg.Connection, table: str
) -> None:
    skill = await publish(acme, author_id="ann")
    await acme.visit_skill("ann", skill.skill_id)
    await acme.add_feedback(skill.skill_id, user_id="ann", comment="mine")
    await owner.execute(f"DELETE FROM {table} WHERE id = $1", "ann" if table == "users" else skill.skill_id)
    assert await owner.fetchval("SELECT count(*) FROM user_skill_views") == 0
    assert await owner.fetchval("SELECT count(*) FROM skill_versions") == (1 if table == "users" else 0)


# -- S12 ----------------------------------------------------------------------------------------------------------


async def test_s12_five_hundred_ids_take_one_query_and_duplicates_are_folded(acme: Tenant, queries: list[str]) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    ids = [skill.skill_id, *(f"id-{number}" for number in range(499))] * 2
    for ask in (
        acme.get_user_views_for_skills,
        acme.get_updated_skill_ids,
        acme.get_view_states,
        acme.get_changes_for_skills,
    ):
        queries.clear()
        await ask("ann", ids)
        assert len([query for query in queries if "user_skill_views" in query]) == 1


async def test_s12_no_ids_take_no_query(acme: Tenant, queries: list[str]) -> None:
    queries.clear()
    assert await acme.get_user_views_for_skills("ann", []) == {}
    assert await acme.get_updated_skill_ids("ann", []) == set()
    assert await acme.get_view_states("ann", []) == {}
    assert await acme.get_changes_for_skills("ann", []) == {}
    assert queries == []


async def test_s12_an_absent_key_means_never_viewed(acme: Tenant) -> None:
    seen, unseen = await publish(acme, "seen"), await publish(acme, "unseen")
    await acme.visit_skill("ann", seen.skill_id)
    views = await acme.get_user_views_for_skills("ann", [seen.skill_id, unseen.skill_id])
    assert views.keys() == {seen.skill_id}


async def test_s12_a_page_of_the_catalog_with_badges_takes_one_query(acme: Tenant, queries: list[str]) -> None:
    for number in range(5):
        await publish(acme, f"skill-{number}")
    queries.clear()
    await acme.list_skills("ann")
    assert len([query for query in queries if "skills" in query]) == 1


# -- S13 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("updated", "viewed", "badged"),
    [(".123600", ".123400", True), (".123400", ".123600", False), (".123656", ".123656", False)],
)
async def test_s13_both_times_are_rounded_alike_before_they_are_compared(
    acme: Tenant, owner: asyncpg.Connection, updated: str, viewed: str, badged: bool
) -> None:
    second = (datetime.now(UTC) - timedelta(seconds=5)).replace(microsecond=0)
    skill = await publish(acme)
    moments = [second + timedelta(seconds=float(part)) for part in (updated, viewed)]
    await owner.execute("UPDATE skills SET updated_at = $1", moments[0])
    await acme.record_skill_view("ann", skill.skill_id, None, moments[1])
    assert await is_badged(acme, "ann", skill.skill_id) is badged


async def test_s13_a_view_is_stored_rounded_to_the_millisecond(acme: Tenant) -> None:
    second = (datetime.now(UTC) - timedelta(seconds=5)).replace(microsecond=0)
    skill = await publish(acme)
    await acme.record_skill_view("ann", skill.skill_id, None, second + timedelta(microseconds=123656))
    view = await acme.get_user_view("ann", skill.skill_id)
    assert view is not None
    assert view.last_viewed_at == second + timedelta(milliseconds=124)


async def test_s13_feedback_is_compared_with_a_rounded_moment(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill = await publish(acme)
    await acme.add_feedback(skill.skill_id, comment="now")
    written: datetime = await owner.fetchval("SELECT created_at FROM skill_feedback")
    assert await acme.count_feedback_since(skill.skill_id, written - timedelta(microseconds=400)) == 0
    assert await acme.count_feedback_since(skill.skill_id, written - timedelta(microseconds=600)) == 1


# -- S14 ----------------------------------------------------------------------------------------------------------


async def test_s14_a_record_call_that_returned_has_been_committed(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill = await publish(acme)
    await acme.record_skill_view("ann", skill.skill_id, 1)
    assert await owner.fetchval("SELECT view_count FROM user_skill_views") == 1


async def test_s14_a_record_call_that_raised_has_changed_nothing(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill = await publish(acme)
    for user_id, skill_id, error in (("nobody", skill.skill_id, UserNotFound), ("ann", "nothing", SkillNotFound)):
        with pytest.raises(error):
            await acme.record_skill_view(user_id, skill_id, 1)
    assert await owner.fetchval("SELECT count(*) FROM user_skill_views") == 0


async def test_s14_what_was_written_before_an_error_of_our_own_is_undone(acme: Tenant) -> None:
    async def add_and_raise(connection: TenantConnection) -> None:
        await insert_user(connection, "carol", email=None, name=None, role=Role.MEMBER)
        raise SkillNotFound("pdf")

    with pytest.raises(SkillNotFound):
        await acme._transactions.run(add_and_raise)
    assert {user.id for user in await acme.list_users()} == {"ann", "bob"}


# -- S16 ----------------------------------------------------------------------------------------------------------


async def test_s16_feedback_is_counted_strictly_after_the_moment(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill = await publish(acme)
    await acme.add_feedback(skill.skill_id, comment="first")
    written: datetime = await owner.fetchval("SELECT created_at FROM skill_feedback")
    assert await acme.count_feedback_since(skill.skill_id, written) == 0
    assert await acme.count_feedback_since(skill.skill_id, written - MILLISECOND) == 1


async def test_s16_feedback_of_the_moment_of_the_view_is_not_new_in_a_change_summary(
    acme: Tenant, owner: asyncpg.Connection
) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await acme.add_feedback(skill.skill_id, user_id="bob", comment="at once")
    move = "UPDATE skill_feedback SET created_at = (SELECT last_viewed_at FROM user_skill_views) + $1::interval"
    await owner.execute(move, timedelta(0))
    assert await acme.get_changes("ann", skill.skill_id) == []
    await owner.execute(move, MILLISECOND)
    assert [item.type for item in await acme.get_changes("ann", skill.skill_id)] == ["new_feedback"]


async def test_s16_a_moment_is_rounded_as_stored_ones_are_so_nothing_of_the_same_millisecond_is_new(
    acme: Tenant, owner: asyncpg.Connection
) -> None:
    skill = await publish(acme)
    await acme.add_feedback(skill.skill_id, comment="first")
    second = (datetime.now(UTC) - timedelta(seconds=5)).replace(microsecond=0)
    await owner.execute("UPDATE skill_feedback SET created_at = $1", second + timedelta(microseconds=123_600))
    for microseconds, count in ((123_400, 1), (123_600, 0), (124_400, 0)):
        since = second + timedelta(microseconds=microseconds)
        assert await acme.count_feedback_since(skill.skill_id, since) == count


async def test_s16_ones_own_feedback_is_no_news(acme: Tenant) -> None:
    skill_id = (await publish(acme)).skill_id
    for user in ("ann", "bob"):
        await acme.visit_skill(user, skill_id)
    for writer in ("ann", "ann", "bob", None):
        await acme.add_feedback(skill_id, user_id=writer, comment="hm")
    for user, label in (("ann", "2 new feedback items"), ("bob", "3 new feedback items")):
        summaries = [
            await acme.get_changes(user, skill_id),
            (await acme.get_skill_page(user, skill_id)).changes,
            (await acme.visit_skill(user, skill_id)).changes,
        ]
        assert [[change.label for change in changes] for changes in summaries] == [[label]] * 3
    since = datetime(2026, 1, 1, tzinfo=UTC)
    assert await acme.count_feedback_since(skill_id, since) == 4
    assert await acme.count_feedback_since(skill_id, since, "ann") == 2


async def test_s16_a_change_summary_counts_to_999(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill_id = (await publish(acme)).skill_id
    await acme.record_skill_view("ann", skill_id, 1, datetime(2026, 1, 1, tzinfo=UTC))
    insert = (
        "INSERT INTO skill_feedback (tenant_id, skill_id, comment) SELECT 'acme', $1, 'x' FROM generate_series(1, $2)"
    )
    for added, label in ((999, "999 new feedback items"), (1, "999+ new feedback items")):
        await owner.execute(insert, skill_id, added)
        summaries = [
            await acme.get_changes("ann", skill_id),
            (await acme.get_skill_page("ann", skill_id)).changes,
        ]
        assert [[change.label for change in changes][-1] for changes in summaries] == [label] * 2
    assert await acme.count_feedback_since(skill_id, datetime(2026, 1, 1, tzinfo=UTC)) == 1_000


async def test_versions_of_thousands_of_files_are_compared(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.record_skill_view("ann", skill.skill_id, 1)
    two = folder(content="two")
    added = tuple(SkillFile(f"files/{number}.md", 1, "0" * 64) for number in range(4_000))
    await acme.publish_skill(replace(two, files=two.files + added))
    wanted = "files/0.md added, files/1.md added, files/10.md added and 3997 more"
    of_many = await acme.get_changes_for_skills("ann", [skill.skill_id])
    for changes in (of_many[skill.skill_id], await acme.get_changes("ann", skill.skill_id)):
        assert [change.detail for change in changes] == [
            "v1 → v2",
            "+1 \N{MINUS SIGN}1",
            wanted,
            # Their contents are not there, so nobody knows what they ask for.
            "unread 4000 files",
        ]
    assert (await acme.visit_skill("ann", skill.skill_id)).changes == changes


# -- S17 ----------------------------------------------------------------------------------------------------------


async def test_s17_a_quiet_version_badges_nobody_and_is_there_for_who_looks(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    before = (await acme.get_skill("pdf")).skill
    published = await acme.publish_skill(folder(content="two"), quiet=True)
    assert (published.outcome, published.version) == (Outcome.UPDATED, 2)
    assert not await is_badged(acme, "ann", skill.skill_id)
    assert await acme.get_whats_new_for_user("ann") == []
    assert await acme.get_changes("ann", skill.skill_id) == []
    found = await acme.get_skill("pdf")
    assert (found.skill.updated_at, found.skill.announced_version) == (before.updated_at, 1)
    assert found.published is not None
    assert (found.published.content, found.published.is_quiet) == ("two", True)
    assert [version.is_quiet for version in await acme.list_versions("pdf")] == [True, False]


async def test_s17_a_badge_stays_when_a_quiet_version_follows(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    await acme.visit_skill("bob", skill.skill_id)
    for content in ("three", "four"):
        await acme.publish_skill(folder(content=content), quiet=True)
    assert await is_badged(acme, "ann", skill.skill_id)
    assert not await is_badged(acme, "bob", skill.skill_id)
    await publish(acme, content="five")
    assert await is_badged(acme, "bob", skill.skill_id)
    assert (await acme.get_skill("pdf")).skill.announced_version == 5


async def test_s17_what_became_visible_quietly_after_a_list_keeps_its_badge_from_mark_all(acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    page = await acme.get_whats_new_page("ann")
    await acme.publish_skill(folder(content="three"), quiet=True)
    assert await acme.mark_all_seen("ann", page.as_of) == 0
    assert await is_badged(acme, "ann", skill.skill_id)


async def test_s17_a_first_version_is_never_quiet(acme: Tenant) -> None:
    await acme.publish_skill(folder(), quiet=True)
    assert [version.is_quiet for version in await acme.list_versions("pdf")] == [False]


@pytest.mark.parametrize(("quiet", "badged"), [([True], False), ([False, True], True), ([True, False], True)])
async def test_s17_with_s11_what_was_edited_quietly_while_hidden_badges_nobody_when_it_is_restored(
    acme: Tenant, quiet: list[bool], badged: bool
) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await acme.archive_skill("pdf")
    for number, is_quiet in enumerate(quiet):
        await acme.publish_skill(folder(content=str(number)), quiet=is_quiet)
    await acme.restore_skill("pdf")
    assert await is_badged(acme, "ann", skill.skill_id) is badged


async def test_s17_with_s9_neither_author_is_badged_for_what_both_wrote_while_it_was_hidden(acme: Tenant) -> None:
    await acme.add_user("carl")
    skill = await publish(acme)
    for user_id in ("ann", "bob", "carl"):
        await acme.visit_skill(user_id, skill.skill_id)
    await acme.archive_skill("pdf")
    await publish(acme, content="two", author_id="ann")
    await acme.publish_skill(folder(content="three"), author_id="bob", quiet=True)
    await acme.restore_skill("pdf")
    assert [await is_badged(acme, user, skill.skill_id) for user in ("ann", "bob", "carl")] == [False, False, True]
