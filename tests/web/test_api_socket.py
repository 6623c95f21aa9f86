"""`everyskill serve` as its own process: over a socket, stopped by a signal, with limits on what comes in."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest

from everyskill.handles import Tenant
from tests.support.databases import Clone
from tests.support.http_clients import bearer
from tests.support.live_service import client_at
from tests.support.service_process import SECONDS, Service, start, started
from tests.support.skills import publish


@pytest.fixture
async def caller(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with client_at(service, bearer()) as client:
        yield client


async def test_a_skill_is_seen_changed_and_told_of(caller: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    assert (await caller.post(f"/v1/skills/{skill.skill_id}/views", json={"version": 1})).status_code == 204
    await publish(acme, content="two")
    [item] = (await caller.get("/v1/whats-new")).json()["items"]
    assert item["skill_id"] == skill.skill_id


async def test_every_request_is_a_line_of_json_with_its_id(
    service: Service, caller: httpx.AsyncClient, acme: Tenant
) -> None:
    await caller.get("/v1/skills?text=secret", headers={"X-Request-ID": "mine"})
    code, lines = await service.stop()
    [line] = [line for line in lines if line["event"] == "request"]
    assert (line["request_id"], line["path"], line["status"], line["tenant_id"]) == ("mine", "/v1/skills", 200, "acme")
    assert "secret" not in json.dumps(lines)
    assert code == 0


async def test_no_address_brings_a_control_character_into_the_log(
    service: Service, caller: httpx.AsyncClient, acme: Tenant
) -> None:
    await caller.get("/v1/a\x9b2Jb\u202ec\u00e9")
    await service.stop()
    [line] = [line for line in service.log if '"request"' in line]
    assert r'"path":"/v1/a\u009b2Jb\u202ecé"' in line
    assert json.loads(line)["path"] == "/v1/a\x9b2Jb\u202ec\u00e9"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_what_is_under_way_is_finished_and_committed(
    service: Service, caller: httpx.AsyncClient, acme: Tenant, owner: asyncpg.Connection, number: signal.Signals
) -> None:
    skill = await publish(acme)
    await caller.get("/v1/skills")
    async with owner.transaction():
        await owner.execute("LOCK TABLE user_skill_views IN ACCESS EXCLUSIVE MODE")
        recording = asyncio.create_task(caller.post(f"/v1/skills/{skill.skill_id}/views"))
        await wait_until_blocked(owner)
        stopping = asyncio.create_task(service.stop(number))
        await wait_until_closed(service.url)
        assert not recording.done()
    assert (await recording).status_code == 204
    assert (await stopping)[0] == 0
    assert await acme.get_user_view("ann", skill.skill_id) is not None


async def wait_until_blocked(owner: asyncpg.Connection) -> None:
    question = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'user_skill_views'::regclass"
    async with asyncio.timeout(SECONDS):
        while not await owner.fetchval(question):  # noqa: ASYNC110 - the database has no event for it
            await asyncio.sleep(0.05)


async def wait_until_closed(url: str) -> None:
    address = httpx.URL(url)
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection(address.host, address.port)
            except OSError:
                return
            writer.close()
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", ["X-Long", "Cookie", "Authorization"])
async def test_headers_beyond_the_limit_are_refused(service: Service, name: str) -> None:
    async with client_at(service) as client:
        response = await client.get("/health/live", headers={name: "x" * 16_384})
        assert response.status_code == 431
        assert (await client.get("/health/live")).status_code == 200


async def test_a_head_without_an_end_is_cut_off(service: Service) -> None:
    address = httpx.URL(service.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 100_000)
    assert (await asyncio.wait_for(reader.readline(), SECONDS)).startswith(b"HTTP/1.1 431 ")
    writer.close()


async def test_a_huge_body_is_refused_over_a_socket(caller: httpx.AsyncClient, acme: Tenant) -> None:
    body = b" " * (5 * 1024 * 1024)
    try:
        response = await caller.post("/v1/views/lookup", content=body, headers={"content-type": "application/json"})
        assert response.status_code == 413
    except httpx.WriteError:
        # It did not wait for the rest.
        pass
    assert (await caller.get("/v1/skills")).status_code == 200


async def test_the_server_does_not_name_itself(caller: httpx.AsyncClient) -> None:
    assert "server" not in (await caller.get("/health/live")).headers


async def refusal(*arguments: str, **variables: str) -> tuple[int, str]:
    process = await start(*arguments, max_files=None, **variables)
    _, err = await asyncio.wait_for(process.communicate(), SECONDS)
    return process.returncode or 0, err.decode()


async def test_demo_sign_in_is_for_loopback_alone() -> None:
    code, err = await refusal("--demo", "--host", "0.0.0.0")
    assert code == 1
    assert "only works on loopback" in err


async def test_a_service_that_nobody_could_use_does_not_start() -> None:
    code, err = await refusal()
    assert code == 1
    assert "EVERYSKILL_JWKS_URL" in err


async def test_a_taken_address_is_named(service: Service, clone: Clone) -> None:
    port = str(httpx.URL(service.url).port)
    code, err = await refusal("--demo", "--port", port, EVERYSKILL_DATABASE_URL=clone.service_url)
    assert code == 1
    assert f"127.0.0.1:{port}" in err


async def test_a_demo_answers_to_names_of_this_machine_alone(newest_server: None, clone: Clone) -> None:
    service = await started(await start("--demo", EVERYSKILL_DATABASE_URL=clone.service_url))
    async with client_at(service) as client:
        assert (await client.get("/health/live")).status_code == 200
        rebound = await client.get("/health/live", headers={"Host": "evil.example.org"})
    assert rebound.status_code == 421
    await service.stop()
