"""A JWKS address that does its worst: no answer of it holds a request, fills the memory, or ends what is known."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from everyskill.handles import Tenant
from everyskill.web.auth.keys import FRESH_SECONDS, PublishedKeys
from everyskill.web.refusals import KeysUnavailable
from everyskill.web.settings import DEFAULT_JWKS_BYTES
from tests.support.http_clients import authorization, claims_of, code_of
from tests.support.live_service import RunService, client_at

# A test that hangs fails after these.
GUARD_SECONDS = 30
SHORT = 0.3
LONG = 600.0
FLOOD_BYTES = 64 * 1024 * 1024
PIECE = b" " * (64 * 1024)
HEAD = b"HTTP/1.1 200 OK\r\n"

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Endpoint:
    """Answers each connection as it was told to, and counts the connections and the bytes that it could send."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked = 0
        self.sent = 0
        self.url = ""
        self._serving: list[tuple[asyncio.Task[None], asyncio.StreamWriter]] = []

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.append((asyncio.ensure_future(self._serve(reader, writer)), writer))

    async def close(self) -> None:
        for task, writer in self._serving:
            task.cancel()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        self.asked += 1
        with suppress(ConnectionError):
            await self.answer(writer)
        writer.close()

    async def flood(self, writer: asyncio.StreamWriter, piece: bytes) -> None:
        """Sends a piece again and again, at most 64 MiB."""
        piece *= 64 * 1024 // len(piece)
        while self.sent < FLOOD_BYTES:
            writer.write(piece)
            await writer.drain()
            self.sent += len(piece)


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[Endpoint]:
    endpoint = Endpoint(answer)
    server = await asyncio.start_server(endpoint.accept, "127.0.0.1", 0)
    endpoint.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    try:
        async with asyncio.timeout(GUARD_SECONDS):
            yield endpoint
    finally:
        server.close()
        await endpoint.close()


async def trickle(writer: asyncio.StreamWriter, text: bytes) -> None:
    """A byte at a time, each long before any timeout that begins again with it."""
    for position in range(len(text)):
        writer.write(text[position : position + 1])
        await writer.drain()
        await asyncio.sleep(SHORT / 10)


async def say_nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(GUARD_SECONDS)


async def send_a_slow_head(writer: asyncio.StreamWriter) -> None:
    await trickle(writer, HEAD + b"X-Slow: " + b"x" * 10_000)


async def send_a_slow_body(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Length: 10000\r\n\r\n")
    await trickle(writer, b" " * 10_000)


async def keep_saying_continue(writer: asyncio.StreamWriter) -> None:
    for _ in range(GUARD_SECONDS * 100):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 10)
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("answer", [say_nothing, send_a_slow_head, send_a_slow_body, keep_saying_continue])
async def test_an_endpoint_that_never_ends_its_answer_holds_nobody(answer: Answer) -> None:
    async with listening(answer) as endpoint:
        with pytest.raises(KeysUnavailable):
            await PublishedKeys(endpoint.url, fetch_seconds=SHORT).find({"kid": "one"})


async def test_a_tls_handshake_that_never_ends_holds_nobody() -> None:
    async with listening(say_nothing) as endpoint:
        with pytest.raises(KeysUnavailable):
            await PublishedKeys(endpoint.url.replace("http:", "https:"), fetch_seconds=SHORT).find({"kid": "one"})


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (HEAD + b"Content-Length: 400000000\r\n\r\n", b" "),
        (HEAD + b"\r\n", b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b" " * 0x1000 + b"\r\n"),
        (HEAD, b"X-More: and more\r\n"),
        (HEAD + b"X-Endless: ", b"x"),
        (b"HTTP/1.1 302 Found\r\nLocation: /keys\r\n\r\n", b" "),
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", b" "),
    ],
    ids=["a body", "a body without a length", "chunks", "headers", "a header", "a redirect", "an error"],
)
async def test_an_answer_without_an_end_is_read_no_further_than_the_limit(head: bytes, piece: bytes) -> None:
    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await endpoint.flood(writer, piece)

    async with listening(flood) as endpoint:
        with pytest.raises(KeysUnavailable):
            await PublishedKeys(endpoint.url, fetch_seconds=LONG).find({"kid": "one"})
    # What was in the buffers of the two sockets comes on top.
    assert endpoint.sent < DEFAULT_JWKS_BYTES + 16 * 1024 * 1024


async def test_others_have_their_turn_between_a_flood_of_small_chunks() -> None:
    turns_before_the_end = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 10_000 + b"0\r\n\r\n")
        await writer.drain()

    async with listening(flood) as endpoint:
        finding = asyncio.ensure_future(PublishedKeys(endpoint.url, fetch_seconds=LONG).find({"kid": "one"}))
        while not finding.done():
            await asyncio.sleep(0)
            turns_before_the_end += 1
        assert isinstance(finding.exception(), KeysUnavailable)
    assert turns_before_the_end > 10_000


async def test_a_packed_answer_is_not_unpacked() -> None:
    async def bomb(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Content-Encoding: gzip\r\n\r\n" + packed)
        await writer.drain()

    packed = gzip.compress(b'{"keys": [' + b" " * FLOOD_BYTES + b"]}")
    assert len(packed) < DEFAULT_JWKS_BYTES
    async with listening(bomb) as endpoint:
        with pytest.raises(KeysUnavailable):
            await PublishedKeys(endpoint.url, fetch_seconds=LONG).find({"kid": "one"})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b'{"keys": null}',
        b'{"keys": [1, null, []]}',
        b'{"keys": [{"kty": "RSA", "n": 5, "e": []}]}',
        b'{"keys": [{"kty": []}]}',
        b'{"keys": [{"kty": "RSA", "kid": [], "use": []}]}',
        b'{"keys": ' + b"[" * 100_000,
        b'{"keys": ' + b"9" * 100_000 + b"}",
        b"\xff\xfe",
    ],
    ids=lambda content: repr(content)[:40],
)
async def test_an_answer_that_is_no_set_of_keys_is_none(content: bytes) -> None:
    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"\r\n" + content)
        await writer.drain()

    async with listening(send) as endpoint:
        with pytest.raises(KeysUnavailable):
            await PublishedKeys(endpoint.url).find({"kid": "one"})


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_set(private_key: rsa.RSAPrivateKey) -> bytes:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private_key.public_key()))
    body = json.dumps({"keys": [public | {"kid": "one"}]}).encode()
    return HEAD + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


async def test_few_requests_wait_for_keys_and_the_others_are_refused_at_once(private_key: rsa.RSAPrivateKey) -> None:
    may_answer = asyncio.Event()

    async def answer_later(writer: asyncio.StreamWriter) -> None:
        await may_answer.wait()
        writer.write(key_set(private_key))
        await writer.drain()

    async with listening(answer_later) as endpoint:
        keys = PublishedKeys(endpoint.url, fetch_seconds=LONG, max_waiting=3)
        finding = [asyncio.ensure_future(keys.find({"kid": "one"})) for _ in range(10)]
        refused, waiting = await asyncio.wait(finding, return_when=asyncio.FIRST_COMPLETED)
        assert (len(refused), len(waiting)) == (7, 3)
        assert all(isinstance(one.exception(), KeysUnavailable) for one in refused)
        may_answer.set()
        assert len(await asyncio.gather(*waiting)) == 3
        assert endpoint.asked == 1


async def test_who_is_known_is_served_while_others_wait_for_keys(private_key: rsa.RSAPrivateKey) -> None:
    now = 0.0
    has_hung = asyncio.Event()

    async def answer_once(writer: asyncio.StreamWriter) -> None:
        if endpoint.asked > 1:
            has_hung.set()
            await say_nothing(writer)
        writer.write(key_set(private_key))
        await writer.drain()

    async with listening(answer_once) as endpoint:
        keys = PublishedKeys(endpoint.url, clock=lambda: now, fetch_seconds=LONG, max_waiting=3)
        await keys.find({"kid": "one"})
        now += FRESH_SECONDS + 1
        strangers = [asyncio.ensure_future(keys.find({"kid": f"unknown-{number}"})) for number in range(10)]
        await has_hung.wait()
        assert await keys.find({"kid": "one"})
        for stranger in strangers:
            stranger.cancel()


async def send_a_huge_body(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Length: 400000000\r\n\r\n")
    for _ in range(FLOOD_BYTES // len(PIECE)):
        writer.write(PIECE)
        await writer.drain()


@pytest.mark.parametrize("answer", [send_a_slow_body, send_a_huge_body])
async def test_a_live_service_answers_whatever_its_endpoint_does(
    run_service: RunService, acme: Tenant, private_key: rsa.RSAPrivateKey, answer: Answer
) -> None:
    token = jwt.encode(claims_of(), private_key, algorithm="RS256", headers={"kid": "one"})
    async with listening(answer) as endpoint:
        service = await run_service(jwks_url=endpoint.url)
        async with client_at(service, authorization(token)) as client:
            asking = [asyncio.ensure_future(client.get("/v1/skills")) for _ in range(100)]
            assert (await client.get("/health/live")).status_code == 200
            answers = await asyncio.gather(*asking)
        _, log = await service.stop()
    assert {code_of(response) for response in answers} == {"keys_unavailable"}
    assert endpoint.asked == 1
    assert len([line for line in log if line["event"] == "keys not fetched"]) == 1


async def refuse_to_answer(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


async def send_no_text(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b'\r\n{"keys": "' + b"hush\xff" * 1_000)


@pytest.mark.parametrize("answer", [refuse_to_answer, send_no_text])
async def test_neither_the_query_of_the_address_nor_its_answer_is_logged(
    run_service: RunService, acme: Tenant, private_key: rsa.RSAPrivateKey, answer: Answer
) -> None:
    token = jwt.encode(claims_of(), private_key, algorithm="RS256", headers={"kid": "one"})
    async with listening(answer) as endpoint:
        service = await run_service(jwks_url=f"{endpoint.url}?key=hush")
        async with client_at(service, authorization(token)) as client:
            assert (await client.get("/v1/skills")).status_code == 503
        _, log = await service.stop()
    assert [line["event"] for line in log if line["level"] == "warning"] == ["keys not fetched"]
    assert "hush" not in str(log)
