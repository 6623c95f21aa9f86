"""A connection that breaks in a COMMIT leaves a caller who knows that it does not know, and may repeat (S14)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import asyncpg
import pytest

from everyskill.database.feed.limits import DEFAULT_LIMITS
from everyskill.errors import DatabaseUnreachable, OutcomeUnknown
from everyskill.handles import Tenant
from everyskill.web.app import create_app
from tests.support.cutting_proxy import CuttingProxy, cutting_proxy
from tests.support.databases import Clone, open_database
from tests.support.http_clients import SETTINGS, bearer, client_of
from tests.support.skills import is_badged, publish

both_sides = pytest.mark.parametrize("side", ["before", "after"])
Side = Literal["before", "after"]


@pytest.fixture
async def proxy_and_url(clone: Clone, tmp_path: Path) -> AsyncIterator[tuple[CuttingProxy, str]]:
    """A proxy before the database, and the application's URL through it."""
    async with cutting_proxy(clone.service_url, tmp_path) as found:
        yield found


@pytest.fixture
async def proxied(acme: Tenant, proxy_and_url: tuple[CuttingProxy, str]) -> AsyncIterator[tuple[CuttingProxy, Tenant]]:
    """The proxy, and acme through it."""
    proxy, url = proxy_and_url
    async with open_database(url, DEFAULT_LIMITS) as database:
        yield proxy, database.tenant("acme")


@both_sides
async def test_s14_a_view_whose_commit_is_cut_off_may_be_recorded_and_may_be_repeated(
    acme: Tenant, proxied: tuple[CuttingProxy, Tenant], side: Side
) -> None:
    proxy, tenant = proxied
    skill = await publish(acme)
    proxy.cuts = side
    with pytest.raises(OutcomeUnknown):
        await tenant.record_skill_view("ann", skill.skill_id, 1)
    recorded = await acme.get_user_view("ann", skill.skill_id)
    assert (recorded is not None) is (side == "after")
    await tenant.record_skill_view("ann", skill.skill_id, 1)
    view = await acme.get_user_view("ann", skill.skill_id)
    assert view is not None
    assert (view.last_viewed_version, view.view_count) == (1, 2 if recorded else 1)


@both_sides
async def test_s14_calls_whose_common_commit_is_cut_off_are_all_told_and_none_is_done_twice(
    acme: Tenant, proxied: tuple[CuttingProxy, Tenant], side: Side
) -> None:
    proxy, tenant = proxied
    skill = await publish(acme)
    await tenant.visit_skill("bob", skill.skill_id)
    first = asyncio.create_task(tenant.visit_skill("bob", skill.skill_id))
    await asyncio.sleep(0)
    visits = [asyncio.create_task(tenant.visit_skill("ann", skill.skill_id)) for _ in range(4)]
    await first
    proxy.cuts = side
    answers = await asyncio.gather(*visits, return_exceptions=True)
    assert [type(answer) for answer in answers] == [OutcomeUnknown] * 4
    view = await acme.get_user_view("ann", skill.skill_id)
    assert (view.view_count if view else 0) == (4 if side == "after" else 0)


@both_sides
async def test_s14_a_publication_whose_commit_is_cut_off_may_be_repeated_and_is_published_once(
    acme: Tenant, proxied: tuple[CuttingProxy, Tenant], side: Side
) -> None:
    proxy, tenant = proxied
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    proxy.cuts = side
    with pytest.raises(OutcomeUnknown):
        await publish(tenant, content="two")
    assert await is_badged(acme, "ann", skill.skill_id) is (side == "after")
    again = await publish(tenant, content="two")
    assert (again.version, again.outcome) == (2, "unchanged" if side == "after" else "updated")
    assert len(await acme.list_versions("pdf")) == 2


async def test_s14_a_question_whose_commit_is_cut_off_has_changed_nothing(
    acme: Tenant, proxied: tuple[CuttingProxy, Tenant]
) -> None:
    proxy, tenant = proxied
    await publish(acme)
    proxy.cuts = "before"
    with pytest.raises(DatabaseUnreachable):
        await tenant.get_skill("pdf")


@pytest.mark.parametrize("refusal", ["disk_full", "query_canceled"])
async def test_s14_a_commit_that_the_server_refuses_is_known_to_have_changed_nothing(
    acme: Tenant, owner: asyncpg.Connection, refusal: str
) -> None:
    skill = await publish(acme)
    await owner.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{refusal}', MESSAGE = 'refused'; END $$"
    )
    await owner.execute(
        "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON user_skill_views DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    with pytest.raises(DatabaseUnreachable, match="refused"):
        await acme.record_skill_view("ann", skill.skill_id, 1)
    assert await acme.get_user_view("ann", skill.skill_id) is None


async def test_s14_over_http_it_is_a_problem_of_its_own(
    newest_server: None, acme: Tenant, proxy_and_url: tuple[CuttingProxy, str]
) -> None:
    proxy, url = proxy_and_url
    skill = await publish(acme)
    async with (
        open_database(url, DEFAULT_LIMITS) as database,
        client_of(create_app(database, SETTINGS), bearer()) as ann,
    ):
        await ann.get("/v1/whats-new")
        proxy.cuts = "after"
        answer = await ann.post(f"/v1/skills/{skill.skill_id}/views", json={"version": 1})
    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")
    assert "done" in answer.json()["detail"]
