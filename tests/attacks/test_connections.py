"""Clients that open connections and do not send, do not read, or do not stop: others go on being served."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from everyskill.handles import Tenant
from tests.support.databases import Clone
from tests.support.http_clients import bearer
from tests.support.live_service import RunService, client_at
from tests.support.locks import locked_view
from tests.support.service_process import SECONDS, Service
from tests.support.skills import publish

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(service: Service, sent: bytes = b"", *, buffer: int | None = None) -> Stream:
    """A connection on which this was sent; `buffer` is how much the kernel receives that nobody reads."""
    address = httpx.URL(service.url)
    client = socket.socket()
    if buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(client, (address.host, address.port))
    except OSError:
        client.close()
        raise
    # The stream reads as much as its limit and then leaves the rest to the kernel.
    reader, writer = await asyncio.open_connection(sock=client, limit=1024)
    writer.write(sent)
    return reader, writer


@asynccontextmanager
async def connections(
    service: Service, number: int, sent: bytes = b"", buffer: int | None = None
) -> AsyncIterator[list[Stream]]:
    streams = [await connect(service, sent, buffer=buffer) for _ in range(number)]
    try:
        yield streams
    finally:
        for _, writer in streams:
            writer.transport.abort()


def caller_of(service: Service, tenant: str = "acme") -> httpx.AsyncClient:
    return client_at(service, bearer(tenant=tenant))


async def is_closed_by_the_service(stream: Stream) -> bool:
    reader, _ = stream
    try:
        async with asyncio.timeout(SECONDS):
            while await reader.read(65_536):
                pass
    except ConnectionError:
        pass
    return True


def request(path: str, *headers: str, method: str = "GET", body: str = "") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", body]).encode()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: local", request("/health/live") + b"GET / HT"])
async def test_a_head_that_does_not_end_closes_its_connection(run_service: RunService, sent: bytes) -> None:
    service = await run_service(head_timeout=1)
    async with connections(service, 3, sent) as streams:
        assert all([await is_closed_by_the_service(stream) for stream in streams])


async def test_a_body_that_follows_its_refusal_closes_its_connection(run_service: RunService) -> None:
    service = await run_service(head_timeout=1)
    head = request("/v1/views/lookup", "Content-Type: application/json", "Content-Length: 1000000", method="POST")
    async with connections(service, 1, head) as [(reader, writer)]:
        assert b" 401 " in await reader.readline()
        trickling = asyncio.create_task(trickle(writer))
        assert await is_closed_by_the_service((reader, writer))
        trickling.cancel()


async def trickle(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b" ")
        await asyncio.sleep(0.05)


async def test_silent_connections_give_way_to_new_ones(run_service: RunService, acme: Tenant) -> None:
    service = await run_service(connection_limit=20)
    async with caller_of(service) as known:
        assert (await known.get("/v1/skills")).status_code == 200
        async with connections(service, 60), caller_of(service) as newcomer:
            assert (await newcomer.get("/v1/skills")).status_code == 200
            # The connection that has sent requests before was not the one to go.
            assert (await known.get("/v1/skills")).status_code == 200
    _, lines = await service.stop()
    assert [line["event"] for line in lines].count("too many connections") == 1


async def test_more_connections_than_files_are_no_end(run_service: RunService, acme: Tenant) -> None:
    service = await run_service(max_files=256)
    async with connections(service, 400, b"GET / HTTP/1.1\r\n"), caller_of(service) as caller:
        for _ in range(5):
            assert (await caller.get("/v1/skills")).status_code == 200
    _, lines = await service.stop()
    assert len(lines) < 20, lines


async def test_a_process_that_may_open_no_more_files_says_so_once_a_minute(
    run_service: RunService, acme: Tenant
) -> None:
    service = await run_service(max_files=64)
    async with connections(service, 400):
        await asyncio.sleep(3)
    async with caller_of(service) as caller:
        assert (await caller.get("/v1/skills")).status_code == 200
    _, lines = await service.stop()
    warned = sorted(str(line["event"]) for line in lines if line["level"] != "info")
    assert warned == ["connection not accepted", "too many connections"]


async def test_a_client_that_does_not_read_keeps_nobody_waiting(run_service: RunService, acme: Tenant) -> None:
    service = await run_service(busy_limit=10, send_timeout=2)
    asking = request("/schema") * 100
    async with connections(service, 20, asking, buffer=4096) as streams, caller_of(service) as caller:
        for _ in range(20):
            assert (await caller.get("/v1/skills")).status_code == 200
            await asyncio.sleep(0.02)
        reader, _ = streams[0]
        await asyncio.sleep(4)
        received = await reader.read()
        assert received.count(b"HTTP/1.1 200") < 100


async def test_a_slow_reader_gets_all_that_was_asked(run_service: RunService) -> None:
    service = await run_service()
    reader, writer = await connect(
        service, request("/schema") * 9 + request("/schema", "Connection: close"), buffer=4096
    )
    received = b""
    async with asyncio.timeout(SECONDS):
        while more := await reader.read(60_000):
            received += more
            await asyncio.sleep(0.001)
    assert received.count(b"HTTP/1.1 200") == 10
    writer.close()


async def test_bodies_of_strangers_keep_nobody_out(run_service: RunService, acme: Tenant) -> None:
    service = await run_service(busy_limit=10, unauthenticated_limit=4)
    form = ("Content-Type: application/x-www-form-urlencoded", "Content-Length: 100")
    async with connections(service, 30, request("/sign-in", *form, method="POST", body="t")) as streams:
        async with caller_of(service) as caller:
            for _ in range(5):
                assert (await caller.get("/v1/skills")).status_code == 200
            # Who sends a whole form is not kept waiting either.
            assert (await caller.post("/sign-in", data={"token": "none"})).status_code == 401
        # The oldest had to give way.
        assert b" 408 " in await streams[0][0].readline()


async def test_one_tenant_has_half_of_the_places(
    run_service: RunService, acme: Tenant, globex: Tenant, clone: Clone
) -> None:
    service = await run_service(busy_limit=8)
    skill = await publish(acme)
    path = f"/v1/skills/{skill.skill_id}/views"
    async with caller_of(service) as ann, caller_of(service, "globex") as other:
        await ann.post(path)
        async with locked_view(clone, "ann"):
            waiting = [asyncio.create_task(ann.post(path)) for _ in range(20)]
            for _ in range(20):
                assert (await other.get("/v1/skills")).status_code == 200
        answers = [(await task).status_code for task in waiting]
    assert set(answers) == {204, 503}
    assert answers.count(204) == 4


class Visitor:
    """Sends one request after another, on a connection as long as it lasts, and notes what was never answered."""

    def __init__(self, service: Service, *, keeps_alive: bool) -> None:
        self._service = service
        self._request = request("/v1/skills", *(f"{k}: {v}" for k, v in bearer().items()))
        if not keeps_alive:
            self._request = self._request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        self.answered = self.cut_off = 0

    async def run(self) -> None:
        while True:
            try:
                reader, writer = await connect(self._service)
            except ConnectionRefusedError:
                return
            while await self._ask(reader, writer):
                pass
            writer.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection takes another request."""
        try:
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            [length] = [int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
            await reader.readexactly(length)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.cut_off += 1
            return False
        self.answered += 1
        return b"connection: close" not in head.lower()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_stop_cuts_no_request_off(
    run_service: RunService, acme: Tenant, number: signal.Signals
) -> None:
    service = await run_service()
    visitors = [Visitor(service, keeps_alive=bool(number % 2)) for number in range(16)]
    async with asyncio.TaskGroup() as running:
        for visitor in visitors:
            running.create_task(visitor.run())
        while min(visitor.answered for visitor in visitors) < 5:  # noqa: ASYNC110 - they count on
            await asyncio.sleep(0.01)
        code, _ = await service.stop(number)
    assert code == 0
    assert sum(visitor.cut_off for visitor in visitors) == 0
