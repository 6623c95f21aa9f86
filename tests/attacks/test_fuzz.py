"""Requests that nobody would send: whatever they are, the service has an answer and never an error of its own."""

import random
from urllib.parse import quote

from everyskill.handles import Database, Tenant
from everyskill.web.app import create_app
from tests.support.http_clients import SETTINGS, bearer
from tests.support.live_service import RunService, client_at, sign_in
from tests.support.skills import publish

REQUESTS = 400

METHODS = ["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
ODD = [
    "",
    "0",
    "-1",
    "1" * 30,
    "null",
    "true",
    "a\0b",
    "\ud7ff",
    "é" * 80,
    "x" * 300,
    "..",
    "../..",
    "%",
    "%00",
    "%ff",
    "a/b",
    "[]",
]
ODD += [
    "{}",
    "'",
    '"',
    "<x>",
    "\\",
    "1e999",
    "2026-13-45T99:99:99Z",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+14:00",
    "٣",
]
BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"0",
    b'""',
    b"\xff\xfe",
    b"[" * 5_000,
    b'{"a":' * 2_000,
    b'{"version": 1e400}',
    b"a=b&" * 40,
]
BODIES += [
    b'{"version": "1"}',
    b'{"viewed_at": 0}',
    b'{"skill_ids": [null]}',
    b'{"comment": "\\u0000"}',
    b'{"comment": "\\ud800"}',
]
KINDS = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "a/b/c",
    "",
]
NAMES = ["limit", "cursor", "at_most", "from", "to", "since", "skill_id", "text", "category", "visited", "next", "odd"]


def a_request(chance: random.Random, paths: list[str], known: list[str]) -> tuple[str, str, dict[str, str], bytes]:
    """A method, an address, headers and a body, most of them wrong in some way."""
    pieces = [
        quote(chance.choice(known if chance.random() < 0.5 else ODD).encode(), safe="%/")
        if piece.startswith("{")
        else piece
        for piece in chance.choice(paths).split("/")
    ]
    query = "&".join(
        f"{chance.choice(NAMES)}={quote(chance.choice(ODD + known).encode(), safe='%')}"
        for _ in range(chance.randrange(4))
    )
    headers = {"Content-Type": chance.choice(KINDS), "Accept": chance.choice(["*/*", "text/html", "x", ""])}
    headers |= {"If-None-Match": chance.choice(["*", 'W/"x"', ",,,"])} if chance.random() < 0.2 else {}
    return chance.choice(METHODS), "/".join(pieces) + f"?{query}", headers, chance.choice(BODIES)


async def test_no_request_makes_an_error_of_the_service(
    run_service: RunService, database: Database, acme: Tenant
) -> None:
    known = ["pdf", (await publish(acme)).skill_id, (await acme.list_versions("pdf"))[0].id]
    paths = sorted({route.path_format for route in create_app(database, SETTINGS).routes} - {"/sign-out"})
    chance = random.Random(17)
    service = await run_service()
    async with client_at(service) as browser:
        csrf_token = await sign_in(browser)
        writes = {"X-CSRF-Token": csrf_token}
        for number in range(REQUESTS):
            method, target, headers, body = a_request(chance, paths, known)
            who = bearer(role="admin") if number % 2 else writes
            answer = await browser.request(method, target, headers=headers | who, content=body)
            assert answer.status_code < 500, (method, target, headers, body, answer.text)
        assert service.errors == []
        assert (await browser.get("/v1/skills", headers=bearer())).status_code == 200
