"""Forged tokens, cookies and forms: none lets anybody in, and none records a view."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from time import time
from typing import Any

import asyncpg
import jwt
import pytest

from everyskill.handles import Tenant
from everyskill.web.auth.sessions import SESSION_COOKIE
from tests.support.databases import Clone
from tests.support.http_clients import AUDIENCE, ISSUER, SECRET, claims_of
from tests.support.live_service import RunService, client_at, sign_in
from tests.support.skills import publish

pytestmark = pytest.mark.usefixtures("newest_server")


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def made(header: dict[str, Any], claims: Any, secret: str = SECRET) -> str:
    """A token of any header and claims, signed by HMAC-SHA-256 whatever the header says."""
    unsigned = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
    return f"{unsigned}.{encoded(hmac.digest(secret.encode(), unsigned.encode(), sha256))}"


HS256 = {"alg": "HS256", "typ": "JWT"}


def forged_headers() -> Iterator[str]:
    """Good claims under a header that asks to be read otherwise."""
    for algorithm in (
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "hs256",
        "HS256 ",
        "HS384",
        "HS512",
        "RS256",
        "ES256",
        "PS256",
    ):
        token = made(HS256 | {"alg": algorithm}, claims_of())
        yield token
        yield token.rpartition(".")[0] + "."
        yield token.rpartition(".")[0]
    odd: list[Any] = [None, 0, True, [], ["HS256"], {"alg": "HS256"}]
    yield from (made(HS256 | {"alg": algorithm}, claims_of()) for algorithm in odd)
    for kid in ("../../../dev/null", "/dev/null", "' UNION SELECT ''--", "", "0"):
        for secret in ("", "0", "\0"):
            yield made(HS256 | {"kid": kid}, claims_of(), secret)
    own = {"kty": "oct", "k": encoded(b"mine")}
    for brought in ({"jwk": own}, {"jku": "http://127.0.0.1:9/keys"}, {"x5u": "http://127.0.0.1:9/"}, {"x5c": ["x"]}):
        yield made({**HS256, **brought}, claims_of(), "mine")
    critical: list[dict[str, Any]] = [{"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"crit": "exp"}]
    yield from (made(HS256 | more, claims_of()) for more in critical)


def forged_claims() -> Iterator[str]:
    """Well signed, for somebody else or another time."""
    now = time()
    bad: dict[str, list[Any]] = {
        "iss": [
            ISSUER.rstrip("/"),
            ISSUER.upper(),
            ISSUER + "x",
            f" {ISSUER}",
            "",
            None,
            [ISSUER, "x"],
            1,
            {"iss": ISSUER},
        ],
        "aud": [
            AUDIENCE[:-1],
            AUDIENCE + "x",
            AUDIENCE.upper(),
            "",
            [],
            ["x"],
            None,
            {AUDIENCE: 1},
            1,
            "everyskill:session",
        ],
        "exp": [now - 60, 0, -1, "never", "", None, [], {}, True, float("inf"), float("nan")],
        "nbf": [now + 3_600, "never", float("inf"), [now]],
        "iat": ["never", now + 10**6],
        "sub": [None, "", 0, [], ["ann"], {"id": "ann"}, "a\0b", "x" * 256, "\ud800"],
        "tenant": [
            None,
            "",
            0,
            ["acme"],
            "ACME",
            "acme ",
            "acme\0",
            "Acme",
            "globex",
            "x" * 256,
            "acme/../acme",
            "%61cme",
        ],
    }
    for name, values in bad.items():
        for value in values:
            yield made(HS256, claims_of(**{name: value}))
    no_claims: list[Any] = [[], "x", 1, None, {}]
    yield from (made(HS256, claims) for claims in no_claims)


def damaged() -> Iterator[str]:
    """A good token after something happened to it."""
    good = jwt.encode(claims_of(), SECRET)
    header, body, signature = good.split(".")
    yield from (good[:length] for length in range(0, len(good) - 1, 23))
    yield from (
        good.swapcase(),
        good.upper(),
        good.lower(),
        good[::-1],
        good + ".x",
        "." + good,
        f"{header}..{signature}",
    )
    yield from (f"{body}.{header}.{signature}", f"{header}.{body}.{signature}.{signature}.{signature}", good * 2)
    yield from (f"{header}.{body}.{signature[:-2]}", f"{header}.{body}.{'A' * len(signature)}")
    yield from (f"{header}.{encoded(json.dumps(claims_of(user)).encode())}.{signature}" for user in ("bob", "root"))
    yield from (made(HS256, claims_of(), SECRET[:-1]), made(HS256, claims_of(), ""), made(HS256, claims_of(), "secret"))
    yield from ("null", "{}", "a.b.c", "..", "....", "Bearer", "undefined", encoded(SECRET.encode()))


async def test_no_forged_token_lets_anybody_in(
    run_service: RunService, clone: Clone, acme: Tenant, globex: Tenant
) -> None:
    await clone_closed(clone, "globex")
    tokens = [*forged_headers(), *forged_claims(), *damaged()]
    assert len(tokens) > 150
    service = await run_service()
    async with client_at(service) as client:
        for number, token in enumerate(tokens):
            if token and token.isprintable() and token.isascii():
                answer = await client.get("/v1/whats-new/count", headers={"Authorization": f"Bearer {token}"})
                assert answer.status_code == 401, token
                answer = await client.get("/v1/whats-new/count", headers={"Cookie": f"{SESSION_COOKIE}={token}"})
                assert answer.status_code == 401, token
            if number % 3 == 0:
                answer = await client.post("/sign-in", data={"token": token})
                assert (answer.status_code, "set-cookie" in answer.headers) == (401, False), token
        good = jwt.encode(claims_of(), SECRET)
        answer = await client.get("/v1/whats-new/count", headers={"Authorization": f"Bearer {good}"})
        assert answer.status_code == 200
        assert service.errors == []
    assert {user.id for user in await acme.list_users()} == {"ann", "bob"}


async def clone_closed(clone: Clone, tenant_id: str) -> None:
    connection = await asyncpg.connect(clone.superuser_url)
    await connection.execute("UPDATE tenants SET is_active = false WHERE id = $1", tenant_id)
    await connection.close()


FORM = "application/x-www-form-urlencoded"


def forged_writes(token: str, other: str) -> Iterator[tuple[dict[str, str], bytes]]:
    """Headers and body of writes that carry the session's cookie and not its token, or come from another site."""
    first = "-" if token[0] == "_" else "_"
    wrong = [
        "",
        "x",
        other,
        token[:-1],
        token + "x",
        token.swapcase(),
        token[::-1],
        first + token[1:],
        "null",
        token * 2,
    ]
    for given in wrong:
        yield {"X-CSRF-Token": given}, b""
        yield {"Content-Type": FORM}, f"csrf_token={given}".encode()
    for name in ("X-CSRFToken", "CSRF-Token", "X-XSRF-Token", "csrf_token", "X-CSRF"):
        yield {name: token}, b""
    yield {}, b""
    for kind in ("text/plain", "multipart/form-data; boundary=x", "application/json", ""):
        yield {"Content-Type": kind}, f"csrf_token={token}".encode()
    for field in (f"CSRF_TOKEN={token}", f"csrf_token[]={token}", f"csrf_token=x&csrf_token={token}"):
        yield {"Content-Type": FORM}, field.encode()
    for site in ("cross-site", "same-site", "", "Same-Origin", "none, cross-site"):
        yield {"X-CSRF-Token": token, "Sec-Fetch-Site": site}, b""
    for origin in ("null", "http://evil.example.org", "https://127.0.0.1.evil.example.org", "", "http://127.0.0.1"):
        yield {"X-CSRF-Token": token, "Origin": origin}, b""


async def test_no_forged_write_is_done_for_whoever_is_signed_in(run_service: RunService, acme: Tenant) -> None:
    skill = await publish(acme)
    paths = [
        f"/v1/skills/{skill.skill_id}/visit",
        "/skills/pdf/seen",
        "/skills/pdf/feedback",
        "/whats-new/seen",
        "/sign-out",
    ]
    service = await run_service()
    async with client_at(service) as ann, client_at(service) as bob:
        token, other = await sign_in(ann), await sign_in(bob, "bob")
        for headers, body in forged_writes(token, other):
            for path in paths:
                answer = await ann.post(path, headers=headers, content=body)
                refused = {403, 415} if path.startswith("/v1/") else {403}
                if body.count(b"csrf_token=") > 1 and not path.startswith("/v1/"):
                    refused = {400}
                assert answer.status_code in refused, (path, headers, body)
                assert "set-cookie" not in answer.headers
        assert (await ann.post(paths[0], params={"csrf_token": token})).status_code == 403
        assert (await ann.get("/v1/whats-new/count")).status_code == 200, "nobody was signed out"
        assert await acme.get_user_view("ann", skill.skill_id) is None
        assert (await ann.post(paths[0], headers={"X-CSRF-Token": token})).status_code == 200
        assert service.errors == []
    assert (await acme.get_skill_page("ann", "pdf")).feedback == []
