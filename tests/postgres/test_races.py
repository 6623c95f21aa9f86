"""Promise one under concurrency: no change is missed and no badge is false, whatever order things commit in."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import asyncpg
import pytest

import everyskill
from everyskill.database.catalog.publishing import lock_skills
from everyskill.database.catalog.visible_at import allocate_visible_at, read_clock
from everyskill.database.people.users import find_user
from everyskill.database.views.record import record_views
from everyskill.errors import SkillNotFound, UserNotFound
from everyskill.handles import Tenant
from everyskill.model import NewUserSkillView
from tests.support.databases import Clone
from tests.support.locks import publishing_held_open, together, until_somebody_waits
from tests.support.skills import is_badged, publish

NEXT_VERSION = """
WITH made AS (
    INSERT INTO skill_versions (tenant_id, skill_id, version, name, description, content, content_hash, files)
    SELECT tenant_id, skill_id, version + 1, name, description, 'changed', 'changed', files FROM skill_versions
    RETURNING tenant_id, skill_id, id, version
)
UPDATE skills SET published_version_id = made.id, published_version = made.version, updated_at = now()
  FROM made WHERE skills.id = made.skill_id
"""


async def test_s1_a_writer_that_began_before_the_view_and_committed_after_it_still_badges(
    acme: Tenant, owner: asyncpg.Connection
) -> None:
    skill = await publish(acme)
    # As where the triggers cannot be, which give the moment at the commit.
    await owner.execute("SET session_replication_role = replica")
    async with owner.transaction():
        await owner.execute(NEXT_VERSION)
        await acme.visit_skill("ann", skill.skill_id)
    updated_at = await owner.fetchval("SELECT updated_at FROM skills")
    view = await acme.get_user_view("ann", skill.skill_id)
    assert view is not None
    assert updated_at < view.last_viewed_at, "the race was not staged"
    assert await is_badged(acme, "ann", skill.skill_id)
    assert [item.detail for item in await acme.get_changes("ann", skill.skill_id)][:1] == ["v1 → v2"]


async def test_s8_a_change_under_way_while_the_list_was_read_is_never_marked_unseen(acme: Tenant, clone: Clone) -> None:
    skill = await publish(acme)
    for user_id in ("ann", "bob"):
        await acme.visit_skill(user_id, skill.skill_id)
    async with publishing_held_open(acme, clone, "pdf"):
        reading = asyncio.create_task(acme.get_whats_new_page("ann"))
        await asyncio.sleep(0.05)
    page = await reading
    await acme.mark_all_seen("ann", page.as_of)
    was_shown = skill.skill_id in {item.skill_id for item in page.items}
    assert was_shown or await is_badged(acme, "ann", skill.skill_id)


async def test_s5_a_view_without_a_version_misses_no_publication_under_way(acme: Tenant, clone: Clone) -> None:
    skill = await publish(acme)
    for user_id in ("ann", "bob"):
        await acme.visit_skill(user_id, skill.skill_id)
    await acme.add_user("carol")
    async with publishing_held_open(acme, clone, "pdf"):
        await acme.record_skill_view("carol", skill.skill_id, None)
    assert await is_badged(acme, "carol", skill.skill_id)
    await acme.record_skill_view("carol", skill.skill_id, None)
    assert not await is_badged(acme, "carol", skill.skill_id)


async def test_a_page_view_never_waits_for_a_publisher(acme: Tenant, clone: Clone) -> None:
    skill = await publish(acme)
    for user_id in ("ann", "bob"):
        await acme.visit_skill(user_id, skill.skill_id)
    async with publishing_held_open(acme, clone, "pdf") as publication:
        await acme.record_skill_view("ann", skill.skill_id, 1)
        await acme.visit_skill("ann", skill.skill_id)
        await acme.get_updated_skill_ids("ann", [skill.skill_id])
        await acme.get_whats_new_for_user("ann")
        await acme.get_whats_new_page("ann")
        await acme.add_user("first-time")
        await acme.record_skill_view("first-time", skill.skill_id, 1)
        assert not publication.done()
    assert await is_badged(acme, "ann", skill.skill_id)


async def test_publishers_of_one_tenant_never_hold_up_another(acme: Tenant, globex: Tenant, clone: Clone) -> None:
    skill = await publish(acme)
    for user_id in ("ann", "bob"):
        await acme.visit_skill(user_id, skill.skill_id)
    async with publishing_held_open(acme, clone, "pdf") as publication:
        await publish(globex)
        await globex.get_whats_new_page("ann")
        assert not publication.done()


async def test_publishers_and_visitors_at_once_leave_a_badge_exactly_on_what_was_not_seen(acme: Tenant) -> None:
    skill_id = (await publish(acme)).skill_id
    versions = iter(range(2, 1000))
    seen: dict[str, int] = {}

    async def change() -> None:
        await publish(acme, content=f"text {next(versions)}")

    def visitor(user_id: str) -> Callable[[], Awaitable[None]]:
        async def visit() -> None:
            seen[user_id] = max(seen.get(user_id, 0), (await acme.visit_skill(user_id, skill_id)).version or 0)

        return visit

    await together(change, visitor("ann"), visitor("bob"), visitor("ann"), rounds=25)
    published = (await acme.get_skill("pdf")).skill.published_version
    for user_id, version in seen.items():
        assert await is_badged(acme, user_id, skill_id) is (version != published)
        await acme.visit_skill(user_id, skill_id)
        assert not await is_badged(acme, user_id, skill_id)


async def test_publishers_and_readers_who_mark_all_at_once_lose_nothing(acme: Tenant) -> None:
    slugs = [f"skill-{number}" for number in range(4)]
    ids = {slug: (await publish(acme, slug)).skill_id for slug in slugs}
    for skill_id in ids.values():
        await acme.visit_skill("ann", skill_id)
    shown: set[tuple[str, datetime]] = set()
    texts = iter(range(10_000))

    def publisher(slug: str) -> Callable[[], Awaitable[None]]:
        async def change() -> None:
            await publish(acme, slug, f"text {next(texts)}")

        return change

    async def read_and_mark() -> None:
        page = await acme.get_whats_new_page("ann")
        shown.update((item.skill_id, item.updated_at) for item in page.items)
        await acme.mark_all_seen("ann", page.as_of)

    await together(read_and_mark, *(publisher(slug) for slug in slugs), read_and_mark, rounds=20)
    for slug, skill_id in ids.items():
        updated_at = (await acme.get_skill(slug)).skill.updated_at
        assert (skill_id, updated_at) in shown or await is_badged(acme, "ann", skill_id)


async def test_marking_all_and_recording_at_once_never_deadlock(acme: Tenant) -> None:
    ids = [(await publish(acme, f"skill-{number}")).skill_id for number in range(8)]
    texts = iter(range(10_000))

    async def record() -> None:
        await asyncio.gather(*(acme.record_skill_view("ann", skill_id, 1) for skill_id in reversed(ids)))

    async def change() -> None:
        await publish(acme, "skill-3", f"text {next(texts)}", author_id="ann")

    async def mark() -> None:
        await acme.mark_all_seen("ann", (await acme.get_whats_new_page("ann")).as_of)

    await together(record, change, mark, record, rounds=8)
    views = await acme.get_user_views_for_skills("ann", ids)
    assert {view.view_count for view in views.values()} == {16}


async def test_a_view_whose_transaction_began_before_the_publication_it_saw_has_no_badge(acme: Tenant) -> None:
    skill = await publish(acme)
    view = NewUserSkillView(tenant_id="acme", user_id="ann", skill_id=skill.skill_id)
    async with acme._transactions.write_at_once() as connection:
        # A transaction begins with its first statement.
        await find_user(connection, "ann")
        await publish(acme, content="two")
        await record_views(connection, [view])
    assert not await is_badged(acme, "ann", skill.skill_id)


async def test_a_first_view_meets_no_lock_of_a_publisher(acme: Tenant) -> None:
    skill = await publish(acme)
    view = NewUserSkillView(tenant_id="acme", user_id="ann", skill_id=skill.skill_id)
    async with acme._transactions.write_at_once() as publisher:
        await lock_skills(publisher, ["pdf"])
        # It would raise LockTimeout.
        async with acme._transactions.write_at_once() as visitor:
            assert await record_views(visitor, [view]) == [None]


async def test_a_page_is_of_one_moment_though_a_version_is_published_while_it_is_read(
    acme: Tenant, owner: asyncpg.Connection, clone: Clone
) -> None:
    await publish(acme)
    async with owner.transaction():
        await owner.execute("LOCK skill_versions")
        reading = asyncio.create_task(acme.get_skill_page("ann", "pdf"))
        await until_somebody_waits(clone)
        await owner.execute(NEXT_VERSION)
    page = await reading
    assert [page.skill.published_version, *(version.version for version in page.versions)] == [1, 1]


async def test_a_publishers_moment_has_passed_when_it_goes_on(acme: Tenant) -> None:
    for _ in range(20):
        async with acme._transactions.write_at_once() as connection:
            moment = await allocate_visible_at(connection)
            assert moment <= await read_clock(connection)


async def test_two_publishers_of_a_new_slug_make_one_skill(acme: Tenant) -> None:
    for slug in ("csv", "doc", "pdf"):
        published = await asyncio.gather(*(publish(acme, slug, f"text {number}") for number in range(5)))
        assert len({publication.skill_id for publication in published}) == 1
        assert len(await acme.list_versions(slug)) == 5


async def test_s3_publishers_of_the_same_make_one_version(acme: Tenant) -> None:
    for number in range(10):
        await publish(acme, f"skill-{number}")
        await asyncio.gather(*(publish(acme, f"skill-{number}", "two") for _ in range(4)))
        assert len(await acme.list_versions(f"skill-{number}")) == 2


async def test_s11_a_skill_that_is_restored_while_it_is_published_is_visible(acme: Tenant) -> None:
    for number in range(10):
        await publish(acme, f"skill-{number}")
        await acme.archive_skill(f"skill-{number}")
        await asyncio.gather(publish(acme, f"skill-{number}", "two"), acme.restore_skill(f"skill-{number}"))
        assert (await acme.get_skill(f"skill-{number}")).skill.published_version == 2


async def test_a_servers_own_default_of_isolation_changes_nothing(acme: Tenant, clone: Clone) -> None:
    skill = (await publish(acme)).skill_id
    async with everyskill.connect(f"{clone.direct_url}&default_transaction_isolation=serializable") as database:
        strict = database.tenant("acme")
        await asyncio.gather(
            *(strict.visit_skill("ann", skill) for _ in range(10)),
            *(publish(strict, content=f"text {number}") for number in range(5)),
        )
        seen = await strict.get_user_view("ann", skill)
    assert seen is not None
    assert seen.view_count == 10


DELETE_SKILL = "DELETE FROM skills"
DELETE_ANN = "DELETE FROM users WHERE id = 'ann'"
ACTS: dict[str, Callable[[Tenant, str], Awaitable[object]]] = {
    "visit": lambda tenant, skill: tenant.visit_skill("ann", skill),
    "record": lambda tenant, skill: tenant.record_skill_view("ann", skill, 1),
    "feedback": lambda tenant, skill: tenant.add_feedback(skill, user_id="ann", comment="Good."),
    "publish": lambda tenant, skill: publish(tenant, content="two", author_id="ann"),
}


@pytest.mark.parametrize(
    "case",
    [
        (DELETE_SKILL, "visit", SkillNotFound),
        (DELETE_SKILL, "record", SkillNotFound),
        (DELETE_SKILL, "feedback", SkillNotFound),
        (DELETE_ANN, "visit", UserNotFound),
        (DELETE_ANN, "record", UserNotFound),
        (DELETE_ANN, "feedback", UserNotFound),
        (DELETE_ANN, "publish", UserNotFound),
    ],
)
async def test_what_is_deleted_meanwhile_is_not_found(
    acme: Tenant, owner: asyncpg.Connection, clone: Clone, case: tuple[str, str, type[Exception]]
) -> None:
    deletion, act, refusal = case
    skill = (await publish(acme)).skill_id
    watcher = await asyncpg.connect(clone.superuser_url)
    async with owner.transaction():
        await owner.execute(deletion)
        acting = asyncio.ensure_future(ACTS[act](acme, skill))
        await until_somebody_waits(clone)
    with pytest.raises(refusal):
        await acting
    await watcher.close()
