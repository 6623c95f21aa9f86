"""What's New goes on from where it ended the last time, and neither misses nor repeats anything for it."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from everyskill.database.feed import checkpoint
from everyskill.database.feed.checkpoint import Checkpoint
from everyskill.database.feed.first_page import FIND_FIRST_PAGES
from everyskill.database.feed.limits import FeedLimits
from everyskill.database.feed.walk import walk_feed
from everyskill.errors import InvalidLimit, SkillNotFound
from everyskill.handles import Tenant
from tests.support.databases import Clone
from tests.support.locks import publishing_held_open, together, until_somebody_waits
from tests.support.skills import publish

SLUGS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")


@pytest.fixture
def feed_limits() -> FeedLimits:
    """Three views are many already, so that small catalogs have checkpoints."""
    return FeedLimits(max_lookups=2)


@pytest.fixture
async def ids(acme: Tenant) -> dict[str, str]:
    """Skills by slug; ann and bob have seen the first version of each."""
    skills = {slug: (await publish(acme, slug)).skill_id for slug in SLUGS}
    for user_id in ("ann", "bob"):
        for skill_id in skills.values():
            await acme.visit_skill(user_id, skill_id)
        # The first of all feeds makes the row, the next ones fill it.
        assert await feed(acme, user_id) == []
    return skills


async def feed(tenant: Tenant, user_id: str = "ann", limit: int = 10) -> list[str]:
    return [item.skill_slug for item in await tenant.get_whats_new_for_user(user_id, limit)]


async def kept(owner: asyncpg.Connection, user_id: str = "ann") -> Checkpoint | None:
    question = "SELECT visible_at, pending_skill_ids, complete_above, token FROM feed_checkpoints WHERE user_id = $1"
    row = await owner.fetchrow(question, user_id)
    return None if row is None or row["visible_at"] is None else Checkpoint(*row)


async def test_a_feed_that_was_read_to_its_end_is_not_walked_again(
    acme: Tenant, ids: dict[str, str], queries: list[str]
) -> None:
    await publish(acme, "beta", "two")
    assert await feed(acme) == ["beta"]
    await publish(acme, "delta", "two")
    queries.clear()
    assert await feed(acme) == ["delta", "beta"]
    assert [query for query in queries if query.startswith("SELECT")] == [FIND_FIRST_PAGES.text]


async def test_a_checkpoint_is_made_anew_when_too_much_has_changed(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection
) -> None:
    assert await feed(acme) == []
    first = await kept(owner)
    for slug in SLUGS[:3]:
        await publish(acme, slug, "two")
    assert await feed(acme) == ["gamma", "beta", "alpha"]
    second = await kept(owner)
    assert first is not None
    assert second is not None
    assert first.pending_skill_ids == []
    assert second.pending_skill_ids == [ids[slug] for slug in ("gamma", "beta", "alpha")]


async def test_who_saw_little_needs_no_checkpoint(acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection) -> None:
    await acme.add_user("new")
    await acme.visit_skill("new", ids["beta"])
    await publish(acme, "beta", "two")
    assert await feed(acme, "new") == ["beta"]
    assert await kept(owner, "new") is None


async def test_s1_a_first_look_at_an_older_version_is_in_the_feed(acme: Tenant, ids: dict[str, str]) -> None:
    late = await publish(acme, "late")
    await publish(acme, "late", "two")
    assert await feed(acme) == []
    await acme.record_skill_view("ann", late.skill_id, 1)
    assert await feed(acme) == ["late"]


async def test_s5_a_first_look_at_an_earlier_moment_is_in_the_feed(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection
) -> None:
    late = await publish(acme, "late")
    rendered = await owner.fetchval("SELECT clock_timestamp()")
    await publish(acme, "late", "two")
    assert await feed(acme) == []
    await acme.record_skill_view("ann", late.skill_id, None, viewed_at=rendered)
    assert await feed(acme) == ["late"]


async def test_s4_a_version_that_becomes_known_later_is_in_the_feed(acme: Tenant, ids: dict[str, str]) -> None:
    late = await publish(acme, "late")
    await publish(acme, "late", "two")
    await acme.record_skill_view("ann", late.skill_id, None)
    assert await feed(acme) == []
    await acme.record_skill_view("ann", late.skill_id, 1)
    assert await feed(acme) == ["late"]


async def test_s11_what_was_hidden_while_the_feed_was_read_is_in_it_again_when_it_is_shown(
    acme: Tenant, ids: dict[str, str]
) -> None:
    await publish(acme, "beta", "two")
    await acme.archive_skill("beta")
    await publish(acme, "delta", "two")
    assert await feed(acme) == ["delta"]
    await acme.restore_skill("beta")
    assert await feed(acme) == ["delta", "beta"]


async def test_what_is_seen_leaves_the_feed_although_it_waited_there(acme: Tenant, ids: dict[str, str]) -> None:
    for slug in ("beta", "delta"):
        await publish(acme, slug, "two")
    page = await acme.get_whats_new_page("ann")
    await acme.visit_skill("ann", ids["beta"])
    assert await feed(acme) == ["delta"]
    await acme.mark_all_seen("ann", page.as_of)
    assert await feed(acme) == []


@pytest.mark.parametrize("feed_limits", [FeedLimits(max_lookups=2, max_pending=3)])
async def test_a_long_feed_is_known_for_its_first_pages_and_read_on_behind_them(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection
) -> None:
    for slug in SLUGS:
        await publish(acme, slug, "two")
    newest_first = list(reversed(SLUGS))
    assert await feed(acme, limit=2) == newest_first[:2]
    known = await kept(owner)
    assert known is not None
    assert known.pending_skill_ids == [ids[slug] for slug in newest_first[:3]]
    assert known.complete_above is not None
    for slug in newest_first[:2]:
        await acme.visit_skill("ann", ids[slug])
    assert await feed(acme, limit=1) == newest_first[2:3]
    assert await feed(acme, limit=3) == newest_first[2:5]
    first = await acme.get_whats_new_page("ann", limit=2)
    second = await acme.get_whats_new_page("ann", limit=2, cursor=first.next_cursor)
    assert [item.skill_slug for item in first.items + second.items] == newest_first[2:]
    assert second.next_cursor is None
    assert await acme.count_whats_new("ann") == 4


@pytest.mark.parametrize("feed_limits", [FeedLimits(max_lookups=2, max_pending=3)])
async def test_whose_long_feed_was_known_for_its_first_pages_gets_all_of_it_once_few_skills_are_left(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection
) -> None:
    for slug in SLUGS:
        await publish(acme, slug, "two")
    await feed(acme, limit=2)
    known = await kept(owner)
    assert known is not None
    assert known.complete_above is not None
    await owner.execute("DELETE FROM skills WHERE NOT slug = ANY($1)", SLUGS[:2])
    assert await feed(acme) == [SLUGS[1], SLUGS[0]]


async def test_the_count_goes_no_further_than_asked(acme: Tenant, ids: dict[str, str]) -> None:
    for slug in SLUGS[:4]:
        await publish(acme, slug, "two")
    assert [await acme.count_whats_new("ann", at_most) for at_most in (1, 3, 4, 100, None)] == [1, 3, 4, 4, 4]
    with pytest.raises(InvalidLimit):
        await acme.count_whats_new("ann", 0)


async def test_a_feed_that_cannot_be_saved_is_read_all_the_same(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection
) -> None:
    await owner.execute("REVOKE UPDATE ON feed_checkpoints FROM everyskill_app")
    await publish(acme, "beta", "two")
    assert await feed(acme) == ["beta"]
    assert await kept(owner) is None


async def test_whoever_is_deleted_and_comes_back_has_no_checkpoint(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection
) -> None:
    await feed(acme)
    assert await kept(owner) is not None
    await owner.execute("DELETE FROM users WHERE id = 'ann'")
    assert await owner.fetchval("SELECT count(*) FROM feed_checkpoints WHERE user_id = 'ann'") == 0


@pytest.mark.parametrize("act", ["record", "visit"])
async def test_a_view_under_way_while_the_feed_was_read_is_never_missed(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection, clone: Clone, act: str
) -> None:
    """The view's statement sees version 1, the feed sees version 2 and no view: neither has anything new to tell."""
    late = await publish(acme, "late")
    holder = await asyncpg.connect(clone.superuser_url)
    holding = holder.transaction()
    await holding.start()
    await holder.execute(
        "INSERT INTO user_skill_views (tenant_id, user_id, skill_id) VALUES ('acme', 'ann', $1)", late.skill_id
    )
    acts = {"record": acme.record_skill_view("ann", late.skill_id, 1), "visit": acme.visit_skill("ann", late.skill_id)}
    recording = asyncio.ensure_future(acts.pop(act))
    for unused in acts.values():
        unused.close()
    await until_somebody_waits(clone)
    await publish(acme, "late", "two")
    assert await feed(acme) == []
    assert await kept(owner) is None
    await holding.rollback()
    await recording
    await holder.close()
    assert await feed(acme) == ["late"]


async def test_a_feed_that_was_being_read_when_its_checkpoint_was_invalidated_leaves_none(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection
) -> None:
    late = await publish(acme, "late")
    await publish(acme, "late", "two")
    async with acme._transactions.read() as connection:
        _, found = await walk_feed(connection, "ann", limit=10, max_pending=32)
    assert found is not None
    await acme.record_skill_view("ann", late.skill_id, 1)
    async with acme._transactions.write_at_once() as connection:
        await checkpoint.save(connection, "ann", found)
    assert await kept(owner) is None
    assert await feed(acme) == ["late"]


async def test_a_checkpoint_is_invalidated_as_often_as_needed(acme: Tenant, ids: dict[str, str]) -> None:
    late = [await publish(acme, slug) for slug in ("late", "later")]
    for skill in late:
        await publish(acme, skill.slug, "two")
    await acme.record_skill_view("ann", late[0].skill_id, 1)
    async with acme._transactions.read() as connection:
        _, found = await walk_feed(connection, "ann", limit=10, max_pending=32)
    assert found is not None
    await acme.record_skill_view("ann", late[1].skill_id, 1)
    async with acme._transactions.write_at_once() as connection:
        await checkpoint.save(connection, "ann", found)
    assert await feed(acme) == ["later", "late"]


@pytest.mark.parametrize("act", ["TRUNCATE feed_checkpoints", "DELETE FROM feed_checkpoints"])
async def test_a_feed_that_was_being_read_when_its_row_was_thrown_away_leaves_none(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection, act: str
) -> None:
    late = await publish(acme, "late")
    await publish(acme, "late", "two")
    async with acme._transactions.read() as connection:
        _, found = await walk_feed(connection, "ann", limit=10, max_pending=32)
    assert found is not None
    await acme.record_skill_view("ann", late.skill_id, 1)
    await owner.execute(act)
    async with acme._transactions.write_at_once() as connection:
        await checkpoint.save(connection, "ann", found)
    assert await kept(owner) is None
    assert await feed(acme) == ["late"]


async def test_a_publication_under_way_while_the_feed_was_read_is_in_the_next_one(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection, clone: Clone
) -> None:
    async with publishing_held_open(acme, clone, "beta"):
        assert await feed(acme) == []
        assert await kept(owner) is not None
    assert await feed(acme) == ["beta"]


async def test_a_publication_between_the_statements_that_read_the_feed_is_in_the_next_one(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection, clone: Clone
) -> None:
    async def walk() -> Checkpoint | None:
        async with acme._transactions.read() as connection:
            return (await walk_feed(connection, "ann", limit=10, max_pending=32))[1]

    async with owner.transaction():
        # The statement that reads where a checkpoint would begin waits, wherever it stands.
        await owner.execute("LOCK feed_checkpoints")
        walking = asyncio.create_task(walk())
        await until_somebody_waits(clone)
        await publish(acme, "beta", "two")
    found = await walking
    assert found is not None
    async with acme._transactions.write_at_once() as connection:
        await checkpoint.save(connection, "ann", found)
    assert await feed(acme) == ["beta"]


async def test_a_clock_that_is_set_back_hides_no_publication(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection
) -> None:
    ahead = "now() + interval '10 minutes'"
    await owner.execute(f"UPDATE skills SET updated_at = {ahead}, visible_at = {ahead} WHERE slug = 'alpha'")
    await acme.mark_all_seen("ann", (await acme.get_whats_new_page("ann")).as_of)
    await feed(acme)
    assert await kept(owner) is not None
    for slug in ("beta", "gamma"):
        await publish(acme, slug, "two")
    assert {"beta", "gamma"} <= set(await feed(acme))


async def test_a_feed_waits_for_nobody_to_save_its_checkpoint(
    acme: Tenant, ids: dict[str, str], owner: asyncpg.Connection
) -> None:
    await publish(acme, "beta", "two")
    async with owner.transaction():
        await owner.execute("SELECT FROM feed_checkpoints FOR UPDATE")
        async with asyncio.timeout(10):
            assert await feed(acme) == ["beta"]
    assert await kept(owner) is None


@pytest.mark.parametrize("feed_limits", [FeedLimits(max_lookups=2, max_pending=3)])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 100])
async def test_a_long_feed_is_known_for_its_first_page_whatever_the_limit(
    acme: Tenant, ids: dict[str, str], queries: list[str], limit: int
) -> None:
    for slug in SLUGS:
        await publish(acme, slug, "two")
    listed = await feed(acme, limit=limit)
    assert listed == list(reversed(SLUGS))[:limit]
    queries.clear()
    assert await feed(acme, limit=limit) == listed
    assert [query for query in queries if query.startswith("SELECT")] == [FIND_FIRST_PAGES.text]


@pytest.mark.usefixtures("ids")
@pytest.mark.parametrize("held", ["bob", "somebody in another tenant"])
async def test_views_of_others_under_way_hold_up_nobodys_checkpoint(
    acme: Tenant, globex: Tenant, owner: asyncpg.Connection, clone: Clone, held: str
) -> None:
    theirs = await publish(globex)
    ours = await publish(acme, "late")
    who, tenant, skill = ("bob", acme, ours) if held == "bob" else ("ann", globex, theirs)
    async with owner.transaction():
        await owner.execute(
            "INSERT INTO user_skill_views (tenant_id, user_id, skill_id) VALUES ($1, $2, $3)",
            tenant.tenant_id,
            who,
            skill.skill_id,
        )
        watcher = await asyncpg.connect(clone.superuser_url)
        recording = asyncio.create_task(tenant.record_skill_view(who, skill.skill_id, 1))
        await until_somebody_waits(clone)
        await feed(acme)
        assert await kept(watcher) is not None
        await watcher.close()
    await recording


@pytest.mark.parametrize("feed_limits", [FeedLimits(max_lookups=2, max_pending=2)])
async def test_the_feed_is_exactly_what_has_a_badge_after_random_acts_at_once(
    acme: Tenant, ids: dict[str, str]
) -> None:
    chance = random.Random(4)
    texts = iter(range(10_000))

    async def change() -> None:
        await publish(acme, chance.choice(SLUGS), f"text {next(texts)}")

    async def hide_and_show() -> None:
        slug = chance.choice(SLUGS)
        await acme.archive_skill(slug)
        await acme.restore_skill(slug)

    def view(user_id: str) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            skill_id = ids[chance.choice(SLUGS)]
            try:
                if chance.random() < 0.3:
                    await acme.record_skill_view(user_id, skill_id, chance.randrange(1, 10))
                elif chance.random() < 0.5:
                    await acme.visit_skill(user_id, skill_id)
            except SkillNotFound:
                pass
            await acme.get_whats_new_for_user(user_id, chance.randrange(1, 8))

        return act

    users = [f"reader-{number}" for number in range(6)]
    for user_id in users:
        await acme.add_user(user_id)
    await together(change, hide_and_show, *map(view, users), rounds=40)
    for user_id in users:
        badged = await acme.get_updated_skill_ids(user_id, ids.values())
        listed = [item.skill_id for item in await acme.get_whats_new_for_user(user_id, 100)]
        assert sorted(listed) == sorted(badged)
        assert [item.skill_id for item in await acme.get_whats_new_for_user(user_id, 2)] == listed[:2]
