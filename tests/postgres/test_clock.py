"""What changed is never lost and no badge stays, though the clock of the database is moved."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from everyskill.handles import Tenant
from tests.support.databases import Clone, cloned
from tests.support.moved_clock import MovedClock, needs_faketime
from tests.support.skills import is_badged, publish

pytestmark = needs_faketime


@pytest.fixture
async def clone(moved_clock: MovedClock) -> AsyncIterator[Clone]:
    """A migrated database of this test's own, on that server."""
    async with cloned(moved_clock.server) as clone:
        yield clone


async def feed(tenant: Tenant) -> list[str]:
    return [item.skill_slug for item in await tenant.get_whats_new_for_user("ann")]


async def test_s8_what_is_published_after_the_clock_was_set_back_survives_mark_all_of_a_page_from_before(
    moved_clock: MovedClock, acme: Tenant
) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    page = await acme.get_whats_new_page("ann")
    moved_clock.set(-1)
    await publish(acme, content="two")
    assert await acme.mark_all_seen("ann", page.as_of) == 0
    assert await is_badged(acme, "ann", skill.skill_id)
    assert await feed(acme) == ["pdf"]


async def test_s1_what_was_published_while_the_clock_was_ahead_loses_its_badge_when_it_is_seen(
    moved_clock: MovedClock, acme: Tenant
) -> None:
    ids = [(await publish(acme, slug)).skill_id for slug in ("a", "b", "c", "d", "e", "f")]
    for skill_id in ids:
        await acme.record_skill_view("ann", skill_id, None if skill_id == ids[3] else 1)
    moved_clock.set(1)
    for slug in ("a", "b", "c", "d", "e", "f"):
        await publish(acme, slug, "two")
    moved_clock.set(0)
    await acme.visit_skill("ann", ids[0])
    await acme.record_skill_view("ann", ids[1], 2)
    await acme.record_skill_view("ann", ids[2], 2, datetime.now(UTC))
    # No version is that new: it is taken for the newest.
    await acme.record_skill_view("ann", ids[5], 3, datetime.now(UTC))
    page = await acme.get_skill_page("ann", "d")
    await acme.record_skill_view("ann", ids[3], None, page.as_of)
    assert await feed(acme) == ["e"]
    assert await acme.mark_all_seen("ann", (await acme.get_whats_new_page("ann")).as_of) == 1
    assert await acme.get_updated_skill_ids("ann", ids) == set()


async def test_s11_what_is_edited_while_hidden_after_the_clock_was_set_back_is_in_the_feed_once_shown(
    moved_clock: MovedClock, acme: Tenant, owner: asyncpg.Connection
) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    moved_clock.set(-2)
    await acme.archive_skill("pdf")
    await publish(acme, content="two")
    moved_clock.set(-3)
    restored = await acme.restore_skill("pdf")
    assert restored.updated_at > await owner.fetchval(
        "SELECT max(created_at) - interval '1 second' FROM skill_versions"
    )
    assert await feed(acme) == ["pdf"]


async def test_no_publication_waits_until_a_clock_that_is_set_back_has_passed_its_moment(
    acme: Tenant, moved_clock: MovedClock
) -> None:
    is_over = False

    async def publish_on() -> None:
        number = 0
        while not is_over:
            number += 1
            await publish(acme, content=f"{number}")

    publishing = asyncio.create_task(publish_on())
    # Sooner or later while a publication waits for its moment.
    for hours in range(20):
        moved_clock.set(-hours)
        await asyncio.sleep(0.05)
    is_over = True
    async with asyncio.timeout(20):
        await publishing
