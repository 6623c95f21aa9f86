"""Requests that a proxy may read otherwise than the service, or that have no end: refused, and never read as two."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from everyskill.handles import Tenant
from everyskill.web.messages import StrictProtocol
from tests.support.http_clients import bearer
from tests.support.live_service import RunService
from tests.support.raw_connections import connections, is_closed_by_the_service, request
from tests.support.service_process import SECONDS, Service

PIECES = {"free_pieces": 1_000, "piece_bytes": 32}
LINE = b"GET /health/live HTTP/1.1\r\n"
HEAD = LINE + b"Host: localhost\r\n"
CHUNKED = "Transfer-Encoding: chunked"
FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Content-Type: application/json"
AUTHORIZED = [f"{name}: {value}" for name, value in bearer().items()]


def form(*headers: str, body: str = "0\r\n\r\n") -> bytes:
    """What a stranger may send, and the service reads to its end."""
    return request("/sign-in", FORM, *headers, method="POST", body=body)


def chunks(body: str) -> bytes:
    return form(CHUNKED, body=body)


def to(target: str, *, method: str = "GET") -> bytes:
    return request(target, method=method)


REFUSED = {
    "both lengths": form("Content-Length: 5", CHUNKED),
    "both lengths, chunked first": form(CHUNKED, "Content-Length: 5"),
    "two lengths": form("Content-Length: 5", "Content-Length: 6", body="token="),
    "one length twice": form("Content-Length: 5", "Content-Length: 5", body="token"),
    "a list of lengths": form("Content-Length: 5, 5", body="token"),
    "a length with a sign": form("Content-Length: +5", body="token"),
    "a length below zero": form("Content-Length: -1"),
    "a length in hex": form("Content-Length: 0x5", body="token"),
    "an empty length": form("Content-Length: "),
    "a length of no 64 bits": form("Content-Length: " + "9" * 30),
    "an unknown coding": form("Transfer-Encoding: xchunked"),
    "a coding behind chunked": form("Transfer-Encoding: chunked, identity"),
    "a coding before chunked": form("Transfer-Encoding: gzip, chunked"),
    "chunked twice": form(CHUNKED, CHUNKED),
    "a coding, then chunked": form("Transfer-Encoding: gzip", CHUNKED),
    "identity, then chunked": form("Transfer-Encoding: identity", CHUNKED),
    "two codings, then chunked": form("Transfer-Encoding: identity", "Transfer-Encoding: gzip", CHUNKED),
    "chunked behind a control character": form("Transfer-Encoding: \x0bchunked"),
    "chunked on a folded line": form("Transfer-Encoding:\r\n chunked"),
    "chunked in HTTP/1.0": chunks("0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "a space before the colon": form("Transfer-Encoding : chunked"),
    "a folded line": HEAD + b"X: a\r\n b\r\n\r\n",
    "a folded first line": LINE + b" Host: localhost\r\n\r\n",
    "line feeds alone": HEAD.replace(b"\r\n", b"\n") + b"\n",
    "a line feed alone": HEAD + b"X: a\n\r\n",
    "a line feed at the end": HEAD + b"\n",
    "a carriage return alone": HEAD + b"X: a\rY: b\r\n\r\n",
    "no colon": HEAD + b"X\r\n\r\n",
    "no name": HEAD + b": a\r\n\r\n",
    "NUL in a name": HEAD + b"X\0: a\r\n\r\n",
    "NUL in a value": HEAD + b"X: a\0b\r\n\r\n",
    "a control character in a value": HEAD + b"X: a\x01b\r\n\r\n",
    "no Host": LINE + b"\r\n",
    "two Hosts": HEAD + b"Host: localhost\r\n\r\n",
    "two Hosts in HTTP/1.0": HEAD.replace(b"1.1", b"1.0") + b"Host: localhost\r\n\r\n",
    "two Authorizations": request("/v1/skills", *AUTHORIZED, "Authorization: Bearer x"),
    "two spaces before the address": HEAD.replace(b"GET ", b"GET  ") + b"\r\n",
    "two spaces behind the address": HEAD.replace(b" HTTP", b"  HTTP") + b"\r\n",
    "RTSP": HEAD.replace(b"HTTP/1.1", b"RTSP/1.0") + b"\r\n",
    "ICE": HEAD.replace(b"GET", b"SOURCE").replace(b"HTTP/1.1", b"ICE/1.0") + b"\r\n",
    "NUL in the address": to("/\0"),
    "a control character in the address": to("/\x01"),
    "a space in the address": to("/ /"),
    "a byte above 127 in the address": to("/é"),
    "a byte above 127 in the query": to("/health/live?é"),
    "a fragment": to("/health/live#/v1"),
    "an absolute address": to("http://localhost/health/live"),
    "no address": to("*", method="OPTIONS"),
    "no slash": to("health/live"),
    "CONNECT": to("localhost:80", method="CONNECT"),
    "CONNECT to a path": to("/health/live", method="CONNECT"),
    "an unknown method": to("/health/live", method="BREW"),
    "a small method": to("/health/live", method="get"),
    "an odd method": to("/health/live", method="G@T"),
    "NUL in the method": to("/health/live", method="G\0T"),
    "HTTP/0.9": b"GET /health/live\r\n\r\n",
    "HTTP/0.9 by name": HEAD.replace(b"1.1", b"0.9") + b"\r\n",
    "HTTP/1.2": HEAD.replace(b"1.1", b"1.2") + b"\r\n",
    "HTTP/2": HEAD.replace(b"1.1", b"2.0") + b"\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a chunk of no size": chunks("\r\n\r\n"),
    "a chunk of a negative size": chunks("-1\r\n\r\n"),
    "a chunk of a marked size": chunks("0x5\r\ntoken\r\n0\r\n\r\n"),
    "a chunk of no 64 bits": chunks("f" * 17 + "\r\n"),
    "a chunk larger than it says": chunks("4\r\ntoken\r\n0\r\n\r\n"),
    "a chunk that ends in a line feed": chunks("5\r\ntoken\n0\r\n\r\n"),
    "a chunk size that ends in a line feed": chunks("5\ntoken\r\n0\r\n\r\n"),
    "a space behind a chunk size": chunks("5 \r\ntoken\r\n0\r\n\r\n"),
    "an extension of a chunk that ends in a line feed": chunks("5;a\ntoken\r\n0\r\n\r\n"),
    "NUL in an extension of a chunk": chunks("5;a\0\r\ntoken\r\n0\r\n\r\n"),
    "a close behind the chunks": chunks("0\r\nConnection: close\r\n\r\n"),
    "an upgrade behind the chunks": chunks("0\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"),
    "a length behind the chunks": chunks("0\r\nContent-Length: 5\r\n\r\n"),
}


async def answer_of(service: Service, sent: bytes) -> bytes:
    """All that the service answers until it closes the connection."""
    async with connections(service, 1, sent) as [(reader, _)]:
        return await asyncio.wait_for(reader.read(), SECONDS)


async def test_what_others_may_read_otherwise_is_refused_and_hides_no_request(run_service: RunService) -> None:
    service = await run_service()
    answers = {name: await answer_of(service, sent + request("/health/live")) for name, sent in REFUSED.items()}
    wrong = {
        name: answer
        for name, answer in answers.items()
        if not answer.startswith(b"HTTP/1.1 400 ") or answer.count(b"HTTP/1.1 ") != 1
    }
    assert wrong == {}
    _, lines = await service.stop()
    assert [line["level"] for line in lines if line["event"] == "invalid request"] == ["warning"]
    assert service.errors == []


ENDLESS = {
    "a header": (HEAD + b"X: ", b"x" * 1000),
    "headers": (HEAD, b"X: x\r\n"),
    "a name": (HEAD, b"x" * 1000),
    "an address": (b"GET /", b"x" * 1000),
    "empty lines": (b"", b"\r\n"),
    "an extension of a chunk": (chunks("5;"), b"x" * 1000),
    "extensions of chunks": (form(CHUNKED, body=""), b"1;" + b"x" * 5_600 + b"\r\nx\r\n"),
    "the size of a chunk": (chunks("0"), b"0" * 1000),
    "trailers": (chunks("0\r\n"), b"X: x\r\n"),
    "a trailer": (chunks("0\r\nX: "), b"x" * 1000),
}


async def test_what_does_not_end_is_cut_off(run_service: RunService) -> None:
    service = await run_service(head_timeout=1_000, body_timeout=1_000)
    answers = {
        name: await answer_of(service, begin + more * (17_000 // len(more))) for name, (begin, more) in ENDLESS.items()
    }
    assert {name: answer.partition(b"\r\n")[0] for name, answer in answers.items()} == dict.fromkeys(
        ENDLESS, b"HTTP/1.1 431 Request Header Fields Too Large"
    )
    assert service.errors == []


async def test_a_trailer_is_not_larger_than_a_head(run_service: RunService) -> None:
    service = await run_service()
    answer = await answer_of(service, chunks("0\r\nX: " + "x" * 17_000 + "\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_thousands_of_empty_headers_are_refused(run_service: RunService) -> None:
    service = await run_service()
    answer = await answer_of(service, HEAD + b"a:\r\n" * 4_000 + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_trailer_is_no_header_of_any_request(run_service: RunService, acme: Tenant) -> None:
    service = await run_service()
    trailers = "".join(f"{header}\r\n" for header in AUTHORIZED)
    sent = request("/v1/views/lookup", JSON, CHUNKED, method="POST", body=f"0\r\n{trailers}\r\n")
    answer = await answer_of(service, sent + request("/v1/skills", "Connection: close"))
    assert answer.count(b"HTTP/1.1 401 ") == answer.count(b"HTTP/1.1 ") == 2


@pytest.mark.parametrize("length", ["Content-Length: 19", CHUNKED])
async def test_who_asks_for_another_protocol_is_answered_in_this_one(
    run_service: RunService, acme: Tenant, length: str
) -> None:
    service = await run_service()
    body = '{"skill_ids":["a"]}'
    upgrade = ("Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    if length == CHUNKED:
        body = f"13\r\n{body}\r\n0\r\n\r\n"
    sent = request("/v1/views/lookup", *AUTHORIZED, *upgrade, JSON, length, method="POST", body=body)
    answer = await answer_of(service, sent + request("/health/live", *upgrade[1:], "Connection: Upgrade, close"))
    assert answer.count(b"HTTP/1.1 200 ") == answer.count(b"HTTP/1.1 ") == 2
    _, lines = await service.stop()
    assert [line for line in lines if line["level"] != "info"] == []


async def test_who_waits_for_leave_to_send_a_body_gets_it_or_a_refusal(run_service: RunService, acme: Tenant) -> None:
    service = await run_service()
    headers = (JSON, "Content-Length: 19", "Expect: 100-continue")
    async with connections(service, 1, request("/v1/views/lookup", *AUTHORIZED, *headers, method="POST")) as [stream]:
        reader, writer = stream
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b'{"skill_ids":["a"]}')
        assert b" 200 " in await asyncio.wait_for(reader.readline(), SECONDS)
    async with connections(service, 1, request("/v1/views/lookup", *headers, method="POST")) as [(reader, _)]:
        assert b" 401 " in await asyncio.wait_for(reader.readline(), SECONDS)


async def test_nobody_is_told_to_continue_in_http_1_0(run_service: RunService, acme: Tenant) -> None:
    service = await run_service()
    headers = (JSON, "Content-Length: 19", "Expect: 100-continue")
    sent = request("/v1/views/lookup", *AUTHORIZED, *headers, method="POST", body='{"skill_ids":["a"]}')
    answer = await answer_of(service, sent.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_no_forwarded_scheme_decides_about_the_cookie(run_service: RunService, acme: Tenant) -> None:
    service = await run_service()
    sent = form("X-Forwarded-Proto: https", "Content-Length: {}", "Connection: close", body="token={}")
    token = bearer()["Authorization"].removeprefix("Bearer ")
    answer = await answer_of(service, sent.decode().format(len(token) + 6, token).encode())
    assert b"\r\nset-cookie: " in answer.lower()
    assert b"; secure" not in answer.lower()


async def test_head_is_answered_as_get_without_a_body(run_service: RunService, acme: Tenant) -> None:
    service = await run_service()
    head = request("/v1/skills", *AUTHORIZED, method="HEAD")
    answer = await answer_of(service, head + request("/health/live", "Connection: close"))
    assert answer.count(b"HTTP/1.1 200 ") == answer.count(b"\r\n\r\n") == 2
    assert b"content-length: 0" not in answer
    assert service.errors == []


async def test_an_operator_may_allow_smaller_pieces(run_service: RunService, acme: Tenant) -> None:
    service = await run_service(piece_bytes=1)
    pieces = "".join(f"1\r\n{character}\r\n" for character in '{"skill_ids":["a"]}' + " " * 2_000)
    headers = (*AUTHORIZED, JSON, CHUNKED, "Connection: close")
    answer = await answer_of(service, request("/v1/views/lookup", *headers, method="POST", body=f"{pieces}0\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_chunk_of_blank_lines_is_one_piece(run_service: RunService, acme: Tenant) -> None:
    service = await run_service()
    body = '{"skill_ids":["a"]}' + "\r\n\r\n" * 60_000
    headers = (*AUTHORIZED, JSON, CHUNKED, "Connection: close")
    sent = request("/v1/views/lookup", *headers, method="POST", body=f"{len(body):x}\r\n{body}\r\n0\r\n\r\n")
    assert (await answer_of(service, sent)).startswith(b"HTTP/1.1 200 ")


async def test_the_rest_of_a_refused_body_in_small_pieces_is_not_read(run_service: RunService) -> None:
    service = await run_service(head_timeout=1_000)
    head = request("/v1/views/lookup", JSON, CHUNKED, method="POST")
    async with connections(service, 1, head) as [(reader, writer)]:
        assert b" 401 " in await reader.readline()
        writer.write(("20\r\n" + "x" * 32 + "\r\n").encode() * 2_000)
        assert await is_closed_by_the_service((reader, writer))


async def test_the_rest_of_a_refused_body_leaves_time_to_read_the_refusal(run_service: RunService) -> None:
    service = await run_service()
    sent = request("/v1/views/lookup", JSON, "Content-Length: 1000000", method="POST", body="x" * 1_000_000)
    answer = await answer_of(service, sent + request("/health/live", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize(("version", "header"), [(b"1.1", "Connection: close"), (b"1.0", "Connection: keep-alive")])
async def test_who_asks_to_close_and_goes_on_sending_gets_to_read_the_refusal(
    run_service: RunService, version: bytes, header: str
) -> None:
    service = await run_service()
    sent = request("/v1/views/lookup", JSON, "Content-Length: 1000000", header, method="POST")
    async with connections(service, 1, sent.replace(b"HTTP/1.1", b"HTTP/" + version)) as [(reader, writer)]:
        assert b" 401 " in await reader.readline()
        for _ in range(100):
            writer.write(b"x" * 10_000)
            await writer.drain()
        # Closed in order, behind the body.
        answer = await asyncio.wait_for(reader.read(), SECONDS)
    assert b"connection: close" in answer
    assert b"not_signed_in" in answer


async def test_who_asks_to_close_and_sends_no_body_keeps_no_connection(run_service: RunService, acme: Tenant) -> None:
    service = await run_service(connection_limit=20, head_timeout=1_000)
    sent = request("/v1/views/lookup", JSON, "Content-Length: 1000000", "Connection: close", method="POST")
    async with connections(service, 40, sent) as streams:
        assert b" 401 " in await streams[-1][0].readline()
        async with connections(service, 1, request("/health/live", "Connection: close")) as [(reader, _)]:
            assert b" 200 " in await reader.readline()


async def test_who_waits_for_leave_to_send_a_body_is_not_waited_for(run_service: RunService) -> None:
    service = await run_service(head_timeout=1_000)
    headers = (JSON, "Content-Length: 1000000", "Expect: 100-continue", "Connection: close")
    assert b" 401 " in await answer_of(service, request("/v1/views/lookup", *headers, method="POST"))


class Sent(asyncio.Transport):
    """Where a protocol writes to."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_open = self.is_read = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.is_open = False

    def is_closing(self) -> bool:
        return not self.is_open

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


class Echo:
    """Answers each request and notes it; with `may_answer` cleared, it takes its time."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, is_complete = b"", False
        while not is_complete:
            message = await receive()
            body, is_complete = body + message["body"], not message["more_body"]
        self.requests.append((scope["method"], scope["path"], body))
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@pytest.fixture
async def connection(echo: Echo) -> AsyncIterator[tuple[StrictProtocol, Sent]]:
    config = uvicorn.Config(echo, interface="asgi3", ws="none", log_config=None, proxy_headers=False)
    config.load()
    protocol = StrictProtocol(
        config=config, server_state=ServerState(), app_state={}, warn=lambda *_, **__: None, **PIECES
    )
    transport = Sent()
    protocol.connection_made(transport)
    yield protocol, transport
    transport.close()
    protocol.connection_lost(None)
    echo.may_answer.set()
    await asyncio.gather(*protocol.tasks)


INNER = "\r\n\r\nGET /inner HTTP/1.1\r\nHost: a\r\n\r\n"
TRAIN = [
    (b"\r\n" + request("/a"), ("GET", "/a", b"")),
    (request("/b", f"Content-Length: {len(INNER)}", method="POST", body=INNER), ("POST", "/b", INNER.encode())),
    (
        request("/c", CHUNKED, method="PUT", body=f"{len(INNER):x};x=y\r\n{INNER}\r\n1\r\nz\r\n0\r\nX: y\r\n\r\n"),
        ("PUT", "/c", INNER.encode() + b"z"),
    ),
    (request("/d", "Connection: Upgrade", "Upgrade: h2c", "Content-Length: 2", body="\r\n"), ("GET", "/d", b"\r\n")),
    (
        request("/e", CHUNKED, method="PUT", body="9\r\n\r\n0\r\n\r\n0\r\r\n00;0\r\nX: \r\n\r\n"),
        ("PUT", "/e", b"\r\n0\r\n\r\n0\r"),
    ),
    (
        request("/f", CHUNKED, "Connection: Upgrade", "Upgrade: h2c", method="PUT", body="02\r\n\r\n\r\n0\r\n\r\n"),
        ("PUT", "/f", b"\r\n"),
    ),
    (request("/g"), ("GET", "/g", b"")),
]


@pytest.mark.parametrize("seed", range(60))
async def test_requests_in_a_row_are_told_apart_wherever_the_network_splits_them(
    connection: tuple[StrictProtocol, Sent], echo: Echo, seed: int
) -> None:
    protocol, transport = connection
    chance = random.Random(seed)
    rest = b"".join(sent for sent, _ in TRAIN)
    while rest:
        # First a byte at a time.
        size = chance.randrange(1, 3 * seed + 2)
        protocol.data_received(rest[:size])
        rest = rest[size:]
        if chance.random() < 0.5:
            await asyncio.sleep(0)
    while len(echo.requests) < len(TRAIN):  # noqa: ASYNC110 - the protocol has no event for it
        await asyncio.sleep(0)
    assert echo.requests == [read for _, read in TRAIN]
    assert not transport.is_closing()


async def test_requests_in_a_row_wait_as_the_bytes_they_are(
    connection: tuple[StrictProtocol, Sent], echo: Echo
) -> None:
    protocol, transport = connection
    echo.may_answer.clear()
    protocol.data_received(request("/a") * 999)
    for _ in range(10):
        await asyncio.sleep(0)
    # The app asked for more, and then there was more.
    protocol.data_received(request("/a"))
    assert (len(echo.requests), len(protocol.tasks), len(protocol.pipeline)) == (1, 1, 0)
    assert not transport.is_read
    echo.may_answer.set()
    async with asyncio.timeout(SECONDS):
        while len(echo.requests) < 1_000:  # noqa: ASYNC110 - the protocol has no event for it
            await asyncio.sleep(0)
    assert transport.is_read
