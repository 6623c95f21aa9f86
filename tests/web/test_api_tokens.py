"""Who comes in: tokens that are good in every respect, and sessions whose writes carry their token."""

import asyncio
import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from time import time
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from litestar import Litestar, Request
from litestar.testing import RequestFactory
from structlog.testing import capture_logs

from everyskill.errors import InvalidSetting, TenantInactive
from everyskill.handles import Database, Tenant
from everyskill.model import Role
from everyskill.web.app import create_app
from everyskill.web.auth.identity import Identity
from everyskill.web.auth.keys import COOLDOWN_SECONDS, FRESH_SECONDS, PublishedKeys, SharedSecret
from everyskill.web.auth.sessions import SESSION_COOKIE, SESSION_SECONDS, close_session, make_csrf_token, open_session
from everyskill.web.auth.tokens import LEEWAY_SECONDS, TokenVerifier
from everyskill.web.auth.users import UserCache
from everyskill.web.refusals import InvalidToken
from everyskill.web.settings import WebSettings
from tests.support.http_clients import (
    AUDIENCE,
    ISSUER,
    SECRET,
    SETTINGS,
    authorization,
    bearer,
    claims_of,
    client_of,
    code_of,
)
from tests.support.skills import publish

ME = "/v1/whats-new/count"


def part(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def signed(secret: str = SECRET, **claims: Any) -> str:
    return jwt.encode(claims_of(**claims), secret)


GOOD = signed()
BAD_TOKENS: dict[str, str] = {
    "expired": signed(exp=time() - 60),
    "not yet valid": signed(nbf=time() + 3_600),
    "without an end": signed(exp=None),
    "without an issuer": signed(iss=None),
    "without an audience": signed(aud=None),
    "without a subject": signed(sub=None),
    "without a tenant": signed(tenant=None),
    "of another issuer": signed(iss="https://evil.example.org/"),
    "for another audience": signed(aud="another"),
    "of another secret": signed("another secret that is long enough to be one"),
    "of another algorithm": jwt.encode(claims_of(), SECRET + SECRET, algorithm="HS512"),
    "unsigned": jwt.encode(claims_of(), "", algorithm="none"),
    "with its signature cut off": GOOD.rpartition(".")[0] + ".",
    "with another body": ".".join([GOOD.split(".")[0], part(claims_of("bob")), GOOD.split(".")[2]]),
    "with a subject that is no text": signed(sub=7),
    "with an empty subject": signed(sub=""),
    "with a NUL in its subject": signed(sub="a\0b"),
    "with an over-long subject": signed(sub="x" * 256),
    "with a tenant that is no text": signed(tenant=["acme"]),
    "of a tenant that is not there": signed(tenant="initech"),
    "with an end that is no number": signed(exp="soon"),
    "with an end beyond all numbers": signed(exp=float("inf")),
    "with a deep header": urlsafe_b64encode(b"[" * 9_000).decode() + ".e30.x",
    "with a number of many digits": urlsafe_b64encode(b'{"alg": ' + b"9" * 5_000 + b"}").decode() + ".e30.x",
    "that is none": "hello",
    "that is empty": "",
}


@pytest.mark.parametrize("case", BAD_TOKENS)
async def test_a_bad_token_lets_nobody_in_and_says_no_more(app: Litestar, case: str) -> None:
    async with client_of(app, authorization(BAD_TOKENS[case])) as client:
        response = await client.get(ME)
    assert (response.status_code, code_of(response)) == (401, "invalid_token")
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["detail"] == "This token is not valid here."


@pytest.mark.parametrize("headers", [{}, {"X-Tenant": "acme", "X-User": "ann"}, {"Cookie": f"{SESSION_COOKIE}={GOOD}"}])
async def test_without_a_token_nobody_is_known(app: Litestar, headers: dict[str, str]) -> None:
    async with client_of(app, headers) as client:
        assert code_of(await client.get(ME)) == "not_signed_in"


@pytest.mark.parametrize("header", ["Basic YW5uOmFubg==", GOOD, "Bearer", f"Token {GOOD}"])
async def test_only_a_bearer_header_is_read(app: Litestar, header: str) -> None:
    async with client_of(app, {"Authorization": header}) as client:
        assert (await client.get(ME)).status_code == 401


async def test_nothing_of_a_body_is_read_for_somebody_unknown(app: Litestar) -> None:
    async with client_of(app) as client:
        assert (await client.post("/v1/whats-new/seen", content=b"{")).status_code == 401


async def test_the_tenant_comes_from_the_token_alone(app: Litestar, acme: Tenant, globex: Tenant) -> None:
    skill = await publish(acme)
    async with client_of(app, bearer(tenant="globex") | {"X-Tenant": "acme"}) as client:
        by_header, by_query = [
            await client.post(f"/v1/skills/{skill.skill_id}/visit{query}") for query in ("", "?tenant=acme")
        ]
    assert (code_of(by_header), code_of(by_query)) == ("skill_not_found", "unknown_parameter")
    assert await acme.get_user_view("ann", skill.skill_id) is None


async def test_a_closed_tenant_lets_nobody_in(app: Litestar, owner: asyncpg.Connection) -> None:
    await owner.execute("UPDATE tenants SET is_active = false WHERE id = 'acme'")
    async with client_of(app, bearer()) as client:
        assert code_of(await client.get(ME)) == "invalid_token"


async def test_a_new_user_is_added_on_the_first_request(app: Litestar, acme: Tenant) -> None:
    async with client_of(app, bearer("carol", name="Carol", email="carol@example.org", role="admin")) as client:
        assert (await client.get(ME)).status_code == 200
    carol = await acme.get_user("carol")
    # What a token allows ends with the token; what stays is what an operator gave.
    assert (carol.name, carol.email, carol.role) == ("Carol", "carol@example.org", Role.MEMBER)


async def test_many_first_requests_at_once_add_one_person(app: Litestar, owner: asyncpg.Connection) -> None:
    async with client_of(app, bearer("carol", email="carol@example.org")) as client:
        answers = await asyncio.gather(*(client.get(ME) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert await owner.fetchval("SELECT count(*) FROM users WHERE id = 'carol'") == 1


async def test_somebody_with_anothers_address_is_added_without_it(app: Litestar, acme: Tenant) -> None:
    await acme.add_user("first", email="shared@example.org")
    async with client_of(app, bearer("second", email="shared@example.org")) as client:
        assert (await client.get(ME)).status_code == 200
    assert (await acme.get_user("second")).email is None


@pytest.mark.parametrize("claims", [{"name": "x" * 500}, {"name": "a\0b"}, {"email": 7}, {"name": " "}])
async def test_a_strange_name_keeps_nobody_out(app: Litestar, claims: dict[str, Any]) -> None:
    async with client_of(app, bearer("carol", **claims)) as client:
        assert (await client.get(ME)).status_code == 200


@pytest.mark.parametrize(
    ("claim", "stored", "status"),
    [
        ("admin", "member", 200),
        ("member", "admin", 403),
        ("boss", "admin", 403),
        (None, "admin", 200),
        (None, "member", 403),
    ],
)
async def test_the_tokens_role_goes_before_the_stored_one(
    app: Litestar, acme: Tenant, claim: str | None, stored: str, status: int
) -> None:
    await acme.add_user("carol", role=stored)
    async with client_of(app, bearer("carol", role=claim)) as client:
        response = await client.put("/v1/skills/pdf", json={"name": "x", "description": "x", "content": "x"})
    assert response.status_code == status


# Published keys


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Provider:
    """An identity provider that publishes its keys, and counts who asks."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.asked = 0
        self.is_up = True
        self._server = HTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/keys"

    def publish(self, kid: str, key: rsa.RSAPrivateKey, **more: Any) -> None:
        self.keys.append(json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) | {"kid": kid} | more)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                self.send_response(200 if provider.is_up else 500)
                self.end_headers()
                self.wfile.write(json.dumps({"keys": provider.keys}).encode())

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.close()


@pytest.fixture
def provided(newest_server: None, database: Database, acme: Tenant, provider: Provider) -> Litestar:
    """The service, with the provider's keys in place of a secret."""
    return create_app(database, WebSettings(jwks_url=provider.url, jwt_issuer=ISSUER, jwt_audience=AUDIENCE))


async def test_a_token_of_a_published_key_lets_in(
    provided: Litestar, provider: Provider, private_key: rsa.RSAPrivateKey
) -> None:
    provider.publish("one", private_key)
    token = jwt.encode(claims_of(), private_key, algorithm="RS256", headers={"kid": "one"})
    async with client_of(provided, authorization(token)) as client:
        answers = await asyncio.gather(*(client.get(ME) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert provider.asked == 1


async def test_the_public_key_is_no_secret(
    provided: Litestar, provider: Provider, private_key: rsa.RSAPrivateKey
) -> None:
    provider.publish("one", private_key)
    public = private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    # PyJWT itself would refuse to sign with it, so this is done by hand.
    unsigned = f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(claims_of())}"
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(unsigned.encode(), public)
    token = f"{unsigned}.{urlsafe_b64encode(signature).decode().rstrip('=')}"
    async with client_of(provided, authorization(token)) as client:
        assert code_of(await client.get(ME)) == "invalid_token"


async def test_a_token_brings_no_key_of_its_own(
    provided: Litestar, provider: Provider, private_key: rsa.RSAPrivateKey
) -> None:
    provider.publish("one", private_key)
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(own.public_key()))
    headers = {"kid": "one", "jwk": jwk, "jku": "http://evil.example.org/keys"}
    token = jwt.encode(claims_of(), own, algorithm="RS256", headers=headers)
    async with client_of(provided, authorization(token)) as client:
        assert code_of(await client.get(ME)) == "invalid_token"


async def test_without_keys_no_token_can_be_judged(provided: Litestar, provider: Provider) -> None:
    provider.is_up = False
    token = jwt.encode({}, SECRET, headers={"kid": "one", "alg": "HS256"})
    header = part({"alg": "RS256", "kid": "one"})
    async with client_of(provided, authorization(f"{header}.{token.partition('.')[2]}")) as client:
        response = await client.get(ME)
    assert (response.status_code, code_of(response)) == (503, "keys_unavailable")


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def test_an_unknown_key_is_asked_for_once_a_cooldown(provider: Provider, private_key: rsa.RSAPrivateKey) -> None:
    clock = Clock()
    keys = PublishedKeys(provider.url, clock=clock)
    provider.publish("one", private_key)
    await keys.find({"kid": "one"})
    provider.publish("two", private_key)
    for _ in range(5):
        with pytest.raises(InvalidToken):
            await keys.find({"kid": "two"})
    assert provider.asked == 1
    clock.now += COOLDOWN_SECONDS
    assert await keys.find({"kid": "two"})
    assert provider.asked == 2


async def test_known_keys_stay_good_while_the_provider_is_away(
    provider: Provider, private_key: rsa.RSAPrivateKey
) -> None:
    clock = Clock()
    keys = PublishedKeys(provider.url, clock=clock)
    provider.publish("one", private_key)
    await keys.find({"kid": "one"})
    provider.is_up = False
    clock.now += FRESH_SECONDS + 1
    assert await keys.find({"kid": "one"})
    assert provider.asked == 2


async def test_a_key_that_was_withdrawn_ends(provider: Provider, private_key: rsa.RSAPrivateKey) -> None:
    clock = Clock()
    keys = PublishedKeys(provider.url, clock=clock)
    provider.publish("one", private_key)
    await keys.find({"kid": "one"})
    provider.keys.clear()
    provider.publish("two", private_key)
    clock.now += FRESH_SECONDS + 1
    with pytest.raises(InvalidToken):
        await keys.find({"kid": "one"})


async def test_a_published_secret_a_private_key_and_a_key_for_encryption_are_no_keys(
    provider: Provider, private_key: rsa.RSAPrivateKey
) -> None:
    provider.keys.append({"kty": "oct", "kid": "secret", "k": "c2VjcmV0"})
    provider.keys.append(json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private_key)) | {"kid": "private"})
    provider.publish("enc", private_key, use="enc")
    provider.publish("good", private_key)
    keys = PublishedKeys(provider.url)
    assert await keys.find({"kid": "good"})
    for kid in ("secret", "private", "enc"):
        with pytest.raises(InvalidToken):
            await keys.find({"kid": kid})


async def test_an_rsa_key_that_can_be_broken_is_no_key_and_is_logged(
    provider: Provider, private_key: rsa.RSAPrivateKey
) -> None:
    provider.publish("short", rsa.generate_private_key(public_exponent=65537, key_size=1024))
    provider.publish("good", private_key)
    keys = PublishedKeys(provider.url)
    with capture_logs() as logs, pytest.raises(InvalidToken):
        await keys.find({"kid": "short"})
    assert await keys.find({"kid": "good"})
    [warned] = logs
    assert (warned["event"], warned["kid"]) == ("key refused", "short")
    assert "1024 bits" in warned["reason"]


async def test_keys_are_fetched_through_the_proxy_of_the_environment(
    provider: Provider, private_key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.publish("one", private_key)
    monkeypatch.setenv("http_proxy", provider.url)
    monkeypatch.setenv("no_proxy", "elsewhere.example.org")
    assert await PublishedKeys("http://login.example.org/keys").find({"kid": "one"})
    assert provider.asked == 1


# Settings


@pytest.mark.parametrize(
    "settings",
    [
        {"jwt_secret": "short"},
        {"session_secret": "short"},
        {"jwt_secret": SECRET},
        {"jwt_secret": SECRET, "jwt_issuer": ISSUER},
        {"jwt_secret": SECRET, "jwks_url": "https://x/", "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE},
        {"jwt_secret": SECRET, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_algorithms": "RS256"},
        {"jwks_url": "https://x/", "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_algorithms": "RS256,HS256"},
        {"jwks_url": "https://x/", "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_algorithms": "none"},
        {"jwks_url": "file:///etc/passwd", "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE},
        {"demo_sign_in": True, "host": "0.0.0.0"},
        {"demo_sign_in": True, "host": "skills.example.org"},
    ],
)
def test_settings_that_would_be_unsafe_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting):
        WebSettings(**settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("PORT", "http"),
        ("BODY_LIMIT", "0"),
        ("BODY_TIMEOUT", "0"),
        ("BODY_TIMEOUT", "nan"),
        ("MARKDOWN_LIMIT", "0"),
        ("MARKDOWN_CACHE", "8 MiB"),
        ("RENDER_TIMEOUT", "-1"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=f"EVERYSKILL_{name}"):
        WebSettings.from_environment({f"EVERYSKILL_{name}": value})


def test_what_is_chosen_goes_before_the_environment_though_it_is_nothing() -> None:
    assert WebSettings.from_environment({"EVERYSKILL_PORT": "9000"}, port=0).port == 0
    assert WebSettings.from_environment({"EVERYSKILL_PORT": "9000"}, port=None).port == 9000


# Sessions


def request_to(app: Litestar, server: str = "skills.example.org", scheme: str = "https") -> Request[Any, Any, Any]:
    factory = RequestFactory(app=app, server=server, port=443 if scheme == "https" else 80)
    request: Request[Any, Any, Any] = factory.get("/", headers={"Host": server})
    request.scope["scheme"] = scheme
    return request


def session_of(app: Litestar, user: str = "ann", tenant: str = "acme") -> tuple[dict[str, str], str]:
    """The header of a session's cookie, and the person's token against forgery."""
    identity = Identity(tenant, user, Role.MEMBER)
    cookie = open_session(request_to(app), identity, generation=0)
    return {"Cookie": f"{SESSION_COOKIE}={cookie.value}"}, make_csrf_token(request_to(app), identity)


async def test_a_session_reads_and_with_its_token_writes(app: Litestar, acme: Tenant) -> None:
    skill = await publish(acme)
    cookie, token = session_of(app)
    async with client_of(app, cookie) as client:
        assert (await client.get(ME)).status_code == 200
        response = await client.post(f"/v1/skills/{skill.skill_id}/visit", headers={"X-CSRF-Token": token})
    assert response.status_code == 200


@pytest.mark.parametrize("case", ["none", "wrong", "of somebody else", "of a namesake", "in the address", "not ASCII"])
async def test_a_write_without_the_sessions_token_is_forged(app: Litestar, acme: Tenant, case: str) -> None:
    skill = await publish(acme)
    cookie, token = session_of(app)
    others = {
        "wrong": b"x",
        "of somebody else": session_of(app, "bob")[1].encode(),
        "of a namesake": session_of(app, "ann", "globex")[1].encode(),
        "not ASCII": "é".encode(),
    }
    headers = {b"x-csrf-token": others[case]} if case in others else {}
    query = f"?csrf_token={token}" if case == "in the address" else ""
    async with client_of(app, cookie) as client:
        response = await client.post(f"/v1/skills/{skill.skill_id}/visit{query}", headers=headers)
    assert (response.status_code, code_of(response)) == (403, "csrf_failed")
    assert await acme.get_user_view("ann", skill.skill_id) is None


async def test_a_bearer_token_writes_without_more(ann: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    assert (await ann.post(f"/v1/skills/{skill.skill_id}/visit")).status_code == 200


async def test_a_bad_bearer_token_is_not_saved_by_a_session(app: Litestar) -> None:
    cookie, _ = session_of(app)
    async with client_of(app, cookie | authorization("bad")) as client:
        assert code_of(await client.get(ME)) == "invalid_token"


@pytest.mark.parametrize("case", ["signed by others", "a bearer token", "expired", "tampered", "deep"])
async def test_a_cookie_that_is_not_ours_signs_nobody_in(app: Litestar, case: str) -> None:
    cookie = session_of(app)[0]["Cookie"].partition("=")[2]
    claims = jwt.decode(cookie, options={"verify_signature": False})
    values = {
        "signed by others": jwt.encode(claims, SECRET),
        "a bearer token": GOOD,
        "expired": jwt.encode(claims | {"exp": 1}, SECRET),
        "tampered": cookie[:-4] + "AAAA",
        "deep": urlsafe_b64encode(b"[" * 9_000).decode() + ".e30.x",
    }
    async with client_of(app, {"Cookie": f"{SESSION_COOKIE}={values[case]}"}) as client:
        assert code_of(await client.get(ME)) == "not_signed_in"


async def test_a_sessions_cookie_is_no_bearer_token(app: Litestar) -> None:
    cookie = session_of(app)[0]["Cookie"].partition("=")[2]
    async with client_of(app, authorization(cookie)) as client:
        assert code_of(await client.get(ME)) == "invalid_token"


@pytest.mark.parametrize(("user", "tenant"), [("nobody", "acme"), ("ann", "initech")])
async def test_a_session_ends_with_its_user_and_its_tenant(app: Litestar, user: str, tenant: str) -> None:
    cookie, _ = session_of(app, user, tenant)
    async with client_of(app, cookie) as client:
        assert code_of(await client.get(ME)) == "not_signed_in"


async def test_a_sessions_role_is_the_stored_one(app: Litestar, acme: Tenant) -> None:
    await acme.add_user("carol", role="admin")
    upload = {"name": "x", "description": "x", "content": "x"}
    for user, status in (("carol", 200), ("ann", 403)):
        cookie, token = session_of(app, user)
        async with client_of(app, cookie | {"X-CSRF-Token": token}) as client:
            assert (await client.put("/v1/skills/pdf", json=upload)).status_code == status


def test_the_cookie_is_kept_from_scripts_and_other_sites(app: Litestar) -> None:
    opened = open_session(request_to(app), Identity("acme", "ann", Role.MEMBER), generation=0)
    for cookie in (opened, close_session(request_to(app))):
        assert (cookie.httponly, cookie.samesite, cookie.secure, cookie.path) == (True, "lax", True, "/")


async def test_a_session_of_the_longest_ids_fits_into_a_cookie_that_browsers_keep(
    app: Litestar, owner: asyncpg.Connection
) -> None:
    long, name = "\U0001f600" * 255, "\U0001f600" * 200
    await owner.execute("INSERT INTO tenants (id, slug, name) VALUES ($1, 'long', 'Long')", long)
    await owner.execute("INSERT INTO users (tenant_id, id, role) VALUES ($1, $1, 'member')", long)
    identity = Identity(long, long, Role.MEMBER, name, claimed_role=Role.MEMBER)
    cookie = open_session(request_to(app), identity, generation=2**31)
    # What RFC 6265bis asks browsers to keep: name and value together.
    assert len(SESSION_COOKIE) + len(cookie.value or "") <= 4_096
    async with client_of(app, {"Cookie": f"{SESSION_COOKIE}={cookie.value}"}) as client:
        assert (await client.get(ME)).status_code == 200


@pytest.mark.parametrize(("host", "secure"), [("127.0.0.1", False), ("localhost", False), ("10.0.0.1", True)])
def test_the_cookie_travels_in_the_open_on_loopback_alone(app: Litestar, host: str, secure: bool) -> None:
    request = request_to(app, host, "http")
    assert open_session(request, Identity("acme", "ann", Role.MEMBER), generation=0).secure is secure


async def test_a_role_lives_no_longer_than_the_token_that_gave_it(app: Litestar, acme: Tenant) -> None:
    upload = {"name": "x", "description": "x", "content": "x"}
    for role, status in (("admin", 200), ("member", 403), (None, 403)):
        async with client_of(app) as browser:
            await browser.post("/sign-in", data={"token": jwt.encode(claims_of("eve", role=role), SECRET)})
            token = make_csrf_token(request_to(app), Identity("acme", "eve", Role.MEMBER))
            answer = await browser.put("/v1/skills/pdf", json=upload, headers={"X-CSRF-Token": token})
            assert answer.status_code == status
            answer = await browser.put("/v1/skills/pdf", json=upload, headers=bearer("eve", role=role))
            assert answer.status_code == status


def test_a_session_ends_with_the_token_that_opened_it(app: Litestar) -> None:
    for expires_at, seconds in ((time() + 600, 600), (time() + 10**9, SESSION_SECONDS), (None, SESSION_SECONDS)):
        identity = Identity("acme", "ann", Role.MEMBER, expires_at=expires_at)
        cookie = open_session(request_to(app), identity, generation=0)
        claims = jwt.decode(cookie.value or "", options={"verify_signature": False})
        assert abs(claims["exp"] - time() - seconds) < 60


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example.org"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://skills.example.org"}, 200),
        ({"Origin": "https://skills.example.org", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({}, 200),
    ],
)
async def test_a_write_from_another_site_is_refused_whoever_vouches_for_its_sender(
    ann: httpx.AsyncClient, acme: Tenant, headers: dict[str, str], status: int
) -> None:
    skill = await publish(acme)
    answer = await ann.post(f"/v1/skills/{skill.skill_id}/visit", headers=headers)
    assert answer.status_code == status
    assert (await acme.get_user_view("ann", skill.skill_id) is not None) == (status == 200)


class CountedSecret(SharedSecret):
    """Counts how often a token was verified."""

    asked = 0

    async def find(self, header: dict[str, Any]) -> Any:
        self.asked += 1
        return await super().find(header)


async def test_a_good_token_is_verified_again_after_half_a_minute_and_a_bad_one_each_time() -> None:
    now, keys = time(), CountedSecret(SECRET)
    verifier = TokenVerifier(SETTINGS, keys, clock=lambda: now)
    for seconds, verified in ((0, 1), (29, 1), (2, 2)):
        now += seconds
        assert (await verifier.verify(GOOD)).user_id == "ann"
        assert keys.asked == verified
    for verified in (3, 4):
        with pytest.raises(InvalidToken):
            await verifier.verify(signed(sub=None))
        assert keys.asked == verified


async def test_a_token_is_not_cached_beyond_its_end() -> None:
    now, keys = time(), CountedSecret(SECRET)
    verifier = TokenVerifier(SETTINGS, keys, clock=lambda: now)
    token = signed(exp=now + 20)
    # Good all the while by the clock of PyJWT; by that of the cache it ends meanwhile.
    for seconds, verified in ((0, 1), (19, 1), (2, 2)):
        now += seconds
        assert (await verifier.verify(token)).user_id == "ann"
        assert keys.asked == verified


async def test_a_token_is_good_for_the_leeway_beyond_its_end_and_no_longer() -> None:
    now = time()
    verifier = TokenVerifier(SETTINGS, SharedSecret(SECRET), clock=lambda: now)
    token = signed(exp=now - LEEWAY_SECONDS / 2)
    # Good by the leeway alone.
    assert (await verifier.verify(token)).user_id == "ann"
    assert (await verifier.verify(token)).expires_at < now
    with pytest.raises(InvalidToken):
        await verifier.verify(signed(exp=now - LEEWAY_SECONDS * 2))


async def test_a_user_that_is_known_of_one_tenant_is_not_the_namesake_of_another(
    newest_server: None, database: Database, acme: Tenant, globex: Tenant
) -> None:
    await acme.add_user("carol", role="admin")
    await globex.add_user("carol", role="member")
    users = UserCache(database)
    roles = [(await users.find(tenant, "carol")).role for tenant in ("acme", "globex")]
    roles += [(await users.admit(tenant, "carol", email=None, name=None)).role for tenant in ("globex", "acme")]
    assert roles == [Role.ADMIN, Role.MEMBER, Role.MEMBER, Role.ADMIN]


async def test_a_user_is_looked_up_again_after_half_a_minute(
    newest_server: None, database: Database, acme: Tenant, owner: asyncpg.Connection
) -> None:
    clock = Clock()
    users = UserCache(database, clock=clock)
    await users.find("acme", "ann")
    await owner.execute("UPDATE tenants SET is_active = false WHERE id = 'acme'")
    clock.now += 29
    assert (await users.find("acme", "ann")).id == "ann"
    assert (await users.admit("acme", "ann", email=None, name=None)).id == "ann"
    clock.now += 1
    with pytest.raises(TenantInactive):
        await users.find("acme", "ann")


class SlowUserCache(UserCache):
    """Reads the generation, and says so before it goes on."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.has_read, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def read_session_generation(self, tenant_id: str, user_id: str) -> int:
        generation = await super().read_session_generation(tenant_id, user_id)
        self.has_read.set()
        await self.may_go_on.wait()
        return generation


async def test_a_sign_out_while_another_request_is_authenticated_ends_the_session_at_once(
    newest_server: None, database: Database, acme: Tenant
) -> None:
    users = SlowUserCache(database)
    authenticating = asyncio.create_task(users.find_session_generation("acme", "ann"))
    await users.has_read.wait()
    await users.end_sessions("acme", "ann")
    users.may_go_on.set()
    assert (await authenticating, await users.find_session_generation("acme", "ann")) == (1, 1)
