"""A tenant's user asks every route for what another tenant has, and learns no more than of what nobody has."""

import re
from itertools import product
from typing import Any

import asyncpg
import httpx
import pytest

from everyskill.database.policies import TENANT_COLUMNS
from everyskill.handles import Database, Tenant
from everyskill.web.app import create_app
from tests.support.http_clients import SETTINGS, bearer
from tests.support.live_service import RunService, client_at, sign_in
from tests.support.skills import publish

LATE = "2026-01-01T00:00:00Z"
UPLOAD = {"name": "Own", "description": "Own.", "content": "Own."}
# By the last piece of a route: what it wants beside the name in its path.
QUERIES = {
    "diff": ["?from=1&to=1", "?from=1&to=2"],
    "feedback-count": [f"?since={LATE}"],
    "{}": ["", f"?since={LATE}&since_version=1&visited={LATE}"],
}
BODIES: dict[str, dict[str, Any]] = {
    "views": {"version": 1},
    "feedback": {"comment": "hello"},
    "seen": {"version": "1", "viewed_at": LATE},
}
# What differs from one answer to the next, whoever asks.
NOT_COMPARED = {"content-length", "date", "x-request-id", "etag"}


def routes(database: Database) -> list[tuple[str, str]]:
    """Every route with the name of something of a tenant in its path, those that write last."""
    found = {
        (method, re.sub(r"\{[^}]*\}", "{}", route.path_format))
        for route in create_app(database, SETTINGS).routes
        for method in getattr(route, "methods", ())
        if "{" in route.path_format and not route.path_format.startswith(("/static", "/schema"))
    }
    order = ["GET", "OPTIONS", "POST", "PUT"]
    return sorted(found, key=lambda pair: (order.index(pair[0]), pair[1]))


def told(answer: httpx.Response, name: str) -> tuple[int, str, dict[str, str]]:
    """All that an answer says, but for the name that was asked for, the moment, and what is random."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "<moment>", answer.text.replace(name, "<name>"))
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<id>", text)
    headers = {key: value.replace(name, "<name>") for key, value in answer.headers.items() if key not in NOT_COMPARED}
    return answer.status_code, text, headers


async def probe(client: httpx.AsyncClient, method: str, path: str, name: str, csrf_token: str | None) -> list[Any]:
    """The answers of one route to one name."""
    last, target = path.rpartition("/")[2], path.replace("{}", name)
    if method in {"GET", "OPTIONS"}:
        queries = QUERIES["{}"][: 1 if path.startswith("/v1/") else 2] if last == "{}" else QUERIES.get(last, [""])
        return [told(await client.request(method, target + query), name) for query in queries]
    body: dict[str, Any] = UPLOAD if method == "PUT" else BODIES.get(last, {})
    if path.startswith("/v1/"):
        headers = {"X-CSRF-Token": csrf_token} if csrf_token else {}
        return [told(await client.request(method, target, json=body or None, headers=headers), name)]
    return [told(await client.request(method, target, data=body | {"csrf_token": csrf_token}), name)]


async def ask_beside_paths(client: httpx.AsyncClient, name: str, csrf_token: str | None) -> list[Any]:
    """The routes that take names elsewhere."""
    headers = {"X-CSRF-Token": csrf_token} if csrf_token else {}
    return [
        told(await client.get("/v1/views", params={"skill_id": name}), name),
        told(await client.post("/v1/views/lookup", json={"skill_ids": [name]}, headers=headers), name),
        *[told(await client.get("/v1/skills", params={key: name}), name) for key in ("text", "category")],
        *[told(await client.get("/skills", params={key: name}), name) for key in ("text", "category")],
    ]


async def rows_of(owner: asyncpg.Connection, tenant_id: str) -> list[str]:
    return [
        row[0]
        for table, column in TENANT_COLUMNS.items()
        for row in await owner.fetch(f"SELECT to_jsonb(t)::text FROM {table} AS t WHERE {column} = $1", tenant_id)
    ]


@pytest.mark.usefixtures("newest_server", "acme")
async def test_s15_every_route_answers_of_what_is_anothers_as_of_what_is_nowhere(
    run_service: RunService, database: Database, globex: Tenant, owner: asyncpg.Connection
) -> None:
    theirs = await publish(globex, "pdf-of-theirs", category="cat-of-theirs")
    await publish(globex, "pdf-of-theirs", "two", category="cat-of-theirs")
    await globex.visit_skill("ann", theirs.skill_id)
    [version, *_] = await globex.list_versions("pdf-of-theirs")
    pairs = [
        (theirs.skill_id, "00000000-0000-4000-8000-000000000000"),
        (version.id, "00000000-0000-4000-9000-000000000000"),
        ("pdf-of-theirs", "pdf-of-nobody"),
        ("cat-of-theirs", "cat-of-nobody"),
    ]
    before, probes = sorted(await rows_of(owner, "globex")), 0

    service = await run_service()
    async with client_at(service, bearer(role="admin")) as program, client_at(service) as browser:
        askers = [(program, None), (browser, await sign_in(browser, role="admin"))]
        for (client, token), (foreign, missing) in product(askers, pairs):
            answers = [await ask_beside_paths(client, name, token) for name in (foreign, missing)]
            assert answers[0] == answers[1], foreign
            probes += len(answers[0])
        # Routes last of all by which the asker publishes a skill of that name.
        for (method, path), (client, token), (foreign, missing) in product(routes(database), askers, pairs):
            answers = [await probe(client, method, path, name, token) for name in (foreign, missing)]
            assert answers[0] == answers[1], (method, path, foreign)
            assert all(status < 500 for status, *_ in answers[0]), (method, path)
            probes += len(answers[0])
    assert service.errors == []

    assert probes > 200
    assert sorted(await rows_of(owner, "globex")) == before
    assert await owner.fetchval("SELECT count(*) FROM user_skill_views WHERE tenant_id = 'acme'") == 0
