"""Much work for a few bytes: forms, texts and diffs that once held up the service for everybody."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import httpx
import pytest

from everyskill.handles import Tenant
from tests.support.http_clients import bearer, code_of
from tests.support.live_service import RunService, client_at
from tests.support.service_process import SECONDS, Service
from tests.support.skills import publish

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
PAGE = {"Accept": "text/html"}
MEBIBYTE = 1024 * 1024

# What each of these attacks is sent so often that it takes seconds.
REPEATED = 16


@pytest.fixture
async def attacker(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """Ann of acme."""
    async with client(service, bearer()) as attacker:
        yield attacker


@pytest.fixture
async def other(service: Service, globex: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """Ann of another tenant, where there is a skill in two versions."""
    for content in ("# one", "# two"):
        await publish(globex, content=content)
    async with client(service, bearer(tenant="globex")) as other:
        # Her first request alone, so that she is known.
        await other.get("/v1/skills")
        yield other


def client(service: Service, headers: dict[str, str]) -> httpx.AsyncClient:
    return client_at(service, headers, seconds=3 * SECONDS)


@pytest.mark.parametrize(
    ("body", "statuses"),
    [(b"%&" * (2 * MEBIBYTE), {413}), (b"a&" * (MEBIBYTE // 2), {413}), (b"%&" * 32_000, {400})],
    ids=["4 MiB", "1 MiB", "64 KiB"],
)
async def test_a_form_of_many_fields_is_refused_unread(
    service: Service, other: httpx.AsyncClient, body: bytes, statuses: set[int]
) -> None:
    async with client(service, FORM) as stranger:
        sent = asyncio.create_task(status_of(stranger.post("/sign-in", content=body)))
        assert (await other.get("/v1/skills")).status_code == 200
        # None: it did not wait for the rest.
        assert await sent in {*statuses, None}


async def test_a_form_of_percent_signs_is_refused_unread(service: Service) -> None:
    async with client(service, FORM) as stranger:
        refused = await stranger.post("/sign-in", content=b"token=" + b"%" * 65_000)
    assert (refused.status_code, code_of(refused)) == (400, "bad_escape")


async def test_a_large_body_is_decoded_beside_the_event_loop(ann: httpx.AsyncClient, acme: Tenant) -> None:
    small, large = ({"skill_ids": ["x" * 200] * number} for number in (10, 1_000))
    may_end = threading.Event()
    busy = asyncio.create_task(acme.run_in_worker(may_end.wait))
    waiting = asyncio.create_task(ann.post("/v1/views/lookup", json=large))
    assert (await ann.post("/v1/views/lookup", json=small)).status_code == 200
    # It has its tenant's turn, as all that is much work.
    assert not waiting.done()
    may_end.set()
    assert (await waiting).status_code == 200
    await busy


UPLOAD = b'{"name": "a", "description": "b", "content": "c", '
FAULTS = {
    "another kind": (b"[" + b"[]," * MEBIBYTE, {}),
    "unknown": (UPLOAD + b'"x": [' + b"[]," * MEBIBYTE, {}),
    "no files": (UPLOAD + b'"files": [' + b"{}," * MEBIBYTE, {"key": "files[0]"}),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_nothing_is_made_of_what_follows_the_first_fault_of_a_body(
    service: Service, acme: Tenant, name: str
) -> None:
    body, named = FAULTS[name]
    async with client(service, bearer("bob", role="admin") | JSON) as admin:
        # It is not even JSON: nobody reads to the end, which is missing.
        refused = await admin.put("/v1/skills/pdf", content=body)
    [error] = refused.json()["errors"]
    assert error.pop("message")
    assert (refused.status_code, error) == (400, {"source": "body", **named})


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v1/skills/pdf", b"{" + b'"name": "a", ' * 300_000 + UPLOAD[1:-2] + b"}"),
        ("PUT", "/v1/skills/pdf", UPLOAD + b'"files": [' + b'{"path": "\\\\", "size": 1, "hash": ""}, ' * 50_000),
        ("POST", "/v1/views/lookup", b'{"skill_ids": [' + b'"\\\\", ' * 140_000 + b'"a"]}'),
    ],
    ids=["repeated names", "files", "ids"],
)
async def test_a_body_of_more_parts_than_any_may_have_is_refused_undecoded(
    service: Service, acme: Tenant, method: str, path: str, body: bytes
) -> None:
    async with client(service, bearer("bob", role="admin") | JSON) as admin:
        refused = await admin.request(method, path, content=body)
        assert (refused.status_code, code_of(refused)) == (400, "too_many_parts")
        # As many quotes within a text are one part.
        await publish(acme, content="one")
        quoted = await admin.put("/v1/skills/pdf", json={"name": "a", "description": "b", "content": '"' * MEBIBYTE})
        assert quoted.status_code == 200


HOSTILE_TEXTS = {
    "link references": "[a]: " + "x" * 60_000 + "\n\n" + "[a] " * 16_000,
    "lazy quotes": ">" * 20 + "a\n" + "b\n" * 50_000,
    "tables": "a|b\n-|-\n" * 15_000,
}


@pytest.mark.parametrize("name", HOSTILE_TEXTS)
async def test_texts_that_are_endless_to_render_leave_others_served(
    attacker: httpx.AsyncClient, other: httpx.AsyncClient, acme: Tenant, name: str
) -> None:
    slugs = [f"skill-{number}" for number in range(REPEATED)]
    for number, slug in enumerate(slugs):
        await publish(acme, slug, content=f"{number}\n\n{HOSTILE_TEXTS[name]}")
    pages = [asyncio.create_task(attacker.get(f"/skills/{slug}", headers=PAGE)) for slug in slugs]
    await asyncio.wait(pages, return_when=asyncio.FIRST_COMPLETED)
    served = await other.get("/skills/pdf", headers=PAGE)
    assert "<h2>two</h2>" in served.text
    assert not all(page.done() for page in pages)
    for page in await asyncio.gather(*pages):
        assert page.status_code == 200
        assert len(page.content) < MEBIBYTE


async def test_diffs_that_take_long_to_search_leave_others_served(
    attacker: httpx.AsyncClient, other: httpx.AsyncClient, acme: Tenant
) -> None:
    # The worst for the search: lines that come again and again, each second one new.
    old = [f"line {number % 100}" for number in range(1_000)]
    new = [line for number in range(500) for line in (f"line {number % 100}", f"new {number}")]
    for content in (old, new):
        await publish(acme, content="\n".join(content))
    asked = [asyncio.create_task(attacker.get("/v1/skills/pdf/diff?from=1&to=2")) for _ in range(REPEATED)]
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    [diff] = (await other.get("/v1/skills/pdf/diff?from=1&to=2")).json()
    assert diff["lines"][1:] == [["removed", "# one"], ["added", "# two"]]
    assert not all(each.done() for each in asked)
    assert {each.status_code for each in await asyncio.gather(*asked)} == {200}


@pytest.mark.parametrize("path", ["/skills/pdf/diff?from=1&to=2", "/v1/skills/pdf/diff?from=1&to=2", "/skills/pdf"])
async def test_a_diff_of_megabytes_is_not_shown(
    attacker: httpx.AsyncClient, other: httpx.AsyncClient, acme: Tenant, path: str
) -> None:
    for version in "ab":
        skill = await publish(acme, content=f'<"{version}"> &\n' * 90_000)
        await acme.record_skill_view("ann", skill.skill_id, 1)
    shown = await attacker.get(path, headers=PAGE)
    assert "180,000 lines" in shown.text or '"too_large":180000' in shown.text
    # The page of the skill holds its text, and nothing of the other version.
    assert len(shown.content) < (5 * MEBIBYTE if path == "/skills/pdf" else MEBIBYTE // 16)
    assert (await other.get("/skills/pdf/diff?from=1&to=2", headers=PAGE)).status_code == 200


async def test_a_diff_is_shown_up_to_the_lines_that_the_operator_set(run_service: RunService, acme: Tenant) -> None:
    for content in ("one", "two", "two\nthree\nfour\nfive\nsix"):
        skill = await publish(acme, content=content)
    await acme.record_skill_view("ann", skill.skill_id, 2)
    service = await run_service(diff_lines=3)
    async with client(service, bearer()) as ann:
        [shown], [large] = [(await ann.get(f"/v1/skills/pdf/diff?from={old}&to={old + 1}")).json() for old in (1, 2)]
        assert (len(shown["lines"]), large) == (3, {**large, "lines": None, "too_large": 4})
        assert "Too large to show: 4 lines" in (await ann.get("/skills/pdf", headers=PAGE)).text


async def status_of(answer: Coroutine[Any, Any, httpx.Response]) -> int | None:
    try:
        return (await answer).status_code
    except httpx.WriteError:
        return None


@pytest.mark.parametrize("path", ["/v1/skills/pdf", "/v1/skills/pdf/diff?from=1&to=2"])
async def test_large_texts_that_one_tenant_reads_leave_others_served(
    attacker: httpx.AsyncClient, other: httpx.AsyncClient, acme: Tenant, path: str
) -> None:
    for number in range(2):
        await publish(acme, content=("\U0001f600" * 1_000 + f"{number}\n") * 1_000)
    await attacker.get("/v1/skills")
    asked = [asyncio.create_task(attacker.get(path)) for _ in range(60)]
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    assert (await other.get("/v1/skills")).status_code == 200
    # It came before most of what was asked before it.
    assert sum(each.done() for each in asked) < len(asked) // 2
    assert {each.status_code for each in await asyncio.gather(*asked)} == {200}
