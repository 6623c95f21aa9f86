"""Clients that open connections and do not send, do not read, or do not stop: others go on being served."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import httpx
import psutil
import pytest
import uvicorn
from litestar import Litestar
from litestar.types import ASGIApp
from litestar.utils.scope.state import ScopeState
from msgspec.structs import replace
from uvicorn.server import ServerState

from everyskill.handles import Database, Tenant
from everyskill.web.concurrency import Place, Places, take_place
from everyskill.web.connections import BoundedProtocol, ConnectionLimits
from everyskill.web.middleware.admission import with_admission
from everyskill.web.once_per_minute import OncePerMinute
from everyskill.web.refusals import TooBusy
from tests.support.databases import Clone, add_tenant
from tests.support.http_clients import SETTINGS, bearer, client_of
from tests.support.live_service import RunService, client_at
from tests.support.locks import locked_view
from tests.support.raw_connections import connect, connections, is_closed_by_the_service, read_all, request
from tests.support.service_process import SECONDS, Service
from tests.support.skills import publish

PIECES = {"free_pieces": 1_000, "piece_bytes": 32}
FORM = "application/x-www-form-urlencoded"


def caller_of(service: Service, tenant: str = "acme") -> httpx.AsyncClient:
    return client_at(service, bearer(tenant=tenant))


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


async def test_connections_that_ask_now_and_then_keep_no_newcomer_out(run_service: RunService, acme: Tenant) -> None:
    service = await run_service(connection_limit=20)
    async with connections(service, 20, request("/health/live")) as streams:
        for reader, _ in streams:
            assert b" 200 " in await reader.readline()
        for _ in range(5):
            async with caller_of(service) as newcomer:
                assert (await newcomer.get("/v1/skills")).status_code == 200


async def test_newcomers_at_the_same_time_do_not_drive_each_other_out(run_service: RunService, acme: Tenant) -> None:
    service = await run_service(connection_limit=20)
    async with connections(service, 20, request("/health/live")) as streams:
        for reader, _ in streams:
            assert b" 200 " in await reader.readline()
        async with connections(service, 5) as newcomers:
            for reader, writer in newcomers:
                writer.write(request("/health/live"))
                assert b" 200 " in await reader.readline()


async def test_more_connections_than_files_are_no_end(run_service: RunService, acme: Tenant) -> None:
    service = await run_service(max_files=256)
    async with connections(service, 400, b"GET / HTTP/1.1\r\n"), caller_of(service) as caller:
        for _ in range(5):
            assert (await caller.get("/v1/skills")).status_code == 200
    _, lines = await service.stop()
    assert len(lines) < 20, lines


async def test_a_burst_of_connections_runs_out_of_no_files(run_service: RunService, acme: Tenant) -> None:
    service = await run_service(max_files=256)
    async with caller_of(service) as caller, connections(service, 128, request("/health/live")) as known:
        for reader, _ in known:
            assert b" 200 " in await reader.readline()
        # All are there before it accepts the first.
        service.process.send_signal(signal.SIGSTOP)
        async with connections(service, 400):
            service.process.send_signal(signal.SIGCONT)
            assert (await caller.get("/v1/skills")).status_code == 200
    _, lines = await service.stop()
    assert [line["event"] for line in lines if line["level"] != "info"] == ["too many connections"]


async def test_a_process_that_may_open_no_more_files_says_so_once_a_minute(
    run_service: RunService, acme: Tenant
) -> None:
    service = await run_service(max_files=64)
    # All are there before it accepts the first: one by one, they would give way to each other.
    service.process.send_signal(signal.SIGSTOP)
    async with connections(service, 400):
        service.process.send_signal(signal.SIGCONT)
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
        await asyncio.sleep(4)
        assert (await read_all(streams[0])).count(b"HTTP/1.1 200") < 100


async def test_what_a_late_client_does_not_read_is_not_kept_for_it(run_service: RunService) -> None:
    service = await run_service(send_timeout=1)
    # The answers are 1.2 MB, which the kernel would take.
    async with connections(service, 1, request("/schema") * 20, buffer=4096) as [stream]:
        await asyncio.sleep(4)
        assert len(await read_all(stream)) < 50_000


class Unread(asyncio.Transport):
    """The buffer of a client that does not read: full as soon as a response's head is in it, before its body."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: BoundedProtocol | None = None
        self.writes_pause = True
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:  # noqa: ARG002 - whatever it is
        assert self.protocol is not None
        if self.writes_pause:
            self.protocol.pause_writing()

    def abort(self) -> None:
        self.is_aborted = True

    def close(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.is_aborted

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def connected(
    config: uvicorn.Config, state: ServerState, *, writes_pause: bool = True, limit: int = 1
) -> tuple[BoundedProtocol, Unread]:
    """Another connection of a service that takes one."""
    transport = Unread()
    limits = ConnectionLimits(connections=limit, head_seconds=10, send_seconds=1, unread_bytes=2**20)
    warn = OncePerMinute(asyncio.get_running_loop().time)
    protocol = BoundedProtocol(config=config, server_state=state, app_state={}, limits=limits, warn=warn, **PIECES)
    transport.protocol = protocol
    transport.writes_pause = writes_pause
    protocol.connection_made(transport)
    return protocol, transport


@asynccontextmanager
async def stuck_in_a_response() -> AsyncIterator[tuple[BoundedProtocol, Unread]]:
    """A connection that stands still in the middle of its response, since nobody reads."""
    config = uvicorn.Config(answer, interface="asgi3", ws="none", log_config=None, proxy_headers=False)
    config.load()
    state = ServerState()
    protocol, transport = connected(config, state)
    protocol.data_received(request("/health/live", method="HEAD"))
    await asyncio.sleep(0.01)
    assert protocol.is_working
    try:
        yield protocol, transport
    finally:
        protocol.connection_lost(None)
        await asyncio.gather(*state.tasks)


async def test_who_trickles_and_does_not_read_is_late_all_the_same() -> None:
    async with stuck_in_a_response() as (protocol, transport):
        protocol.data_received(b"G")
        protocol.close_if_late(asyncio.get_running_loop().time() + 2)
        assert transport.is_aborted


async def test_who_does_not_read_gives_way_to_newcomers() -> None:
    async with stuck_in_a_response() as (protocol, transport):
        _, newcomer = connected(protocol.config, protocol.server_state)
        assert (transport.is_aborted, newcomer.is_aborted) == (True, False)


async def test_room_is_made_for_several_newcomers_at_once() -> None:
    config = uvicorn.Config(answer, interface="asgi3", ws="none", log_config=None, proxy_headers=False)
    config.load()
    state = ServerState()
    transports = [connected(config, state, limit=256)[1] for _ in range(257)]
    # The four oldest, for the one that was too many and the next three.
    assert [transport.is_aborted for transport in transports] == [True] * 4 + [False] * 253
    assert not [each for _, each in (connected(config, state, limit=256) for _ in range(3)) if each.is_aborted]
    assert len(state.connections) == 256


async def test_little_is_read_at_once() -> None:
    sizes: list[int] = []

    class Noting(BoundedProtocol):
        def data_received(self, data: bytes) -> None:
            sizes.append(len(data))

    config = uvicorn.Config(answer, interface="asgi3", ws="none", log_config=None, proxy_headers=False)
    config.load()
    loop = asyncio.get_running_loop()
    limits = ConnectionLimits(connections=1, head_seconds=10, send_seconds=1, unread_bytes=2**20)
    warn = OncePerMinute(loop.time)
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b" " * 100_000)
        transport, _ = await loop.connect_accepted_socket(
            lambda: Noting(config=config, server_state=ServerState(), app_state={}, limits=limits, warn=warn, **PIECES),
            ours,
        )
        while sum(sizes) < 100_000:  # noqa: ASYNC110 - the protocol counts on
            await asyncio.sleep(0.01)
        transport.abort()
    assert max(sizes) <= 32 * 1024


async def test_who_sends_no_http_and_does_not_read_has_a_deadline() -> None:
    config = uvicorn.Config(answer, interface="asgi3", ws="none", log_config=None, proxy_headers=False)
    config.load()
    protocol, transport = connected(config, ServerState(), writes_pause=False)
    protocol.data_received(request("/sign-in", "Transfer-Encoding: chunked", method="POST"))
    protocol.data_received(b"zz\r\n")
    assert protocol.waits_for_client
    protocol.close_if_late(asyncio.get_running_loop().time() + 11)
    assert transport.is_aborted
    protocol.connection_lost(None)
    await asyncio.gather(*protocol.tasks)


async def test_who_does_not_read_holds_no_place() -> None:
    app: Any = with_admission(cast(ASGIApp, answer), replace(SETTINGS, busy_limit=1))
    scope = {"type": "http", "headers": [], "raw_path": b"/", "query_string": b"", "path": "/"}
    statuses: list[int] = []

    async def never_read(message: Any) -> None:
        statuses.append(message["status"])
        await asyncio.Event().wait()

    sending = [asyncio.create_task(app(dict(scope), None, never_read)) for _ in range(3)]
    await asyncio.sleep(0.01)
    for task in sending:
        task.cancel()
    assert statuses == [204, 204, 204]


def clients_of(service: Service) -> set[int]:
    """The ports of those who are connected."""
    connections = psutil.Process(service.process.pid).net_connections("tcp")
    return {each.raddr.port for each in connections if each.status == psutil.CONN_ESTABLISHED}


async def test_what_nobody_reads_takes_a_bounded_amount_of_memory(run_service: RunService) -> None:
    service = await run_service(unread_limit=500_000)
    asked = request("/schema") * 100
    async with connections(service, 1, asked, buffer=4096) as [oldest]:
        await asyncio.sleep(1)
        async with connections(service, 20, asked, buffer=4096) as others:
            port = oldest[1].get_extra_info("sockname")[1]
            async with asyncio.timeout(SECONDS):
                # The oldest goes, not the newest.
                while port in clients_of(service) or len(clients_of(service)) > 500_000 // 58_000:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            complete = [(await read_all(stream)).count(b"HTTP/1.1 200") == 100 for stream in others]
    assert complete.count(True) <= 500_000 // 58_000


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


@pytest.mark.parametrize("path", ["/sign-in", "/v1/views/lookup"])
async def test_a_body_in_tiny_pieces_is_not_read_to_its_end(run_service: RunService, acme: Tenant, path: str) -> None:
    service = await run_service()
    kind = "application/json" if path.startswith("/v1") else FORM
    pieces = (
        request(path, f"Content-Type: {kind}", "Transfer-Encoding: chunked", method="POST") + b"1\r\nx\r\n" * 40_000
    )
    async with caller_of(service) as caller, connections(service, 20, pieces):
        started = asyncio.get_running_loop().time()
        assert (await caller.get("/v1/skills")).status_code == 200
        # It took half a second for each of the others.
        assert asyncio.get_running_loop().time() - started < SECONDS / 4
        assert service.errors == []


async def test_a_body_in_many_pieces_of_some_size_is_read(run_service: RunService, acme: Tenant) -> None:
    service = await run_service()
    body = b'{"skill_ids": [' + b'"none",                                                        ' * 2_000 + b'"none"]}'

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 64):
            yield body[start : start + 64]

    async with caller_of(service) as caller:
        headers = {"Content-Type": "application/json"}
        answer = await caller.post("/v1/views/lookup", content=pieces(), headers=headers)
        assert (answer.status_code, answer.json()) == (200, {})


async def test_a_body_of_two_lengths_is_refused_and_hides_no_request(run_service: RunService, acme: Tenant) -> None:
    service = await run_service()
    headers = [*(f"{name}: {value}" for name, value in bearer().items()), "Content-Type: application/json"]
    lengths = ["Content-Length: 5", "Transfer-Encoding: chunked"]
    sent = request("/v1/views/lookup", *headers, *lengths, method="POST", body="0\r\n\r\n") + request("/health/live")
    async with connections(service, 1, sent) as [(reader, _)]:
        received = await asyncio.wait_for(reader.read(), SECONDS)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1 ") == 1


async def test_nonsense_after_an_early_response_is_no_fault_of_ours(run_service: RunService) -> None:
    service = await run_service()
    head = request("/v1/views/lookup", "Content-Type: application/json", "Transfer-Encoding: chunked", method="POST")
    async with connections(service, 1, head) as [(reader, writer)]:
        assert b" 401 " in await reader.readline()
        writer.write(b"zz\r\n")
        assert await is_closed_by_the_service((reader, writer))
        assert service.errors == []


async def test_bodies_of_strangers_keep_nobody_out(run_service: RunService, acme: Tenant) -> None:
    # In which time nobody's body is late.
    service = await run_service(busy_limit=10, unauthenticated_limit=4, body_timeout=600)
    form = (f"Content-Type: {FORM}", "Content-Length: 100")
    async with connections(service, 30, request("/sign-in", *form, method="POST", body="t")) as streams:
        async with caller_of(service) as caller:
            for _ in range(5):
                assert (await caller.get("/v1/skills")).status_code == 200
            # Who sends a whole form is not kept waiting either.
            assert (await caller.post("/sign-in", data={"token": "none"})).status_code == 401
        # The oldest had to give way.
        async with asyncio.timeout(SECONDS):
            assert b" 408 " in await streams[0][0].readline()


async def test_one_tenant_has_a_quarter_of_the_places(
    run_service: RunService, acme: Tenant, globex: Tenant, clone: Clone
) -> None:
    service = await run_service(busy_limit=16)
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


async def test_who_hangs_up_before_its_body_has_arrived_frees_its_place(run_service: RunService, acme: Tenant) -> None:
    # A tenant's share are two; in which time no body is late.
    service = await run_service(busy_limit=8, body_timeout=600)
    headers = [f"{name}: {value}" for name, value in bearer().items()]
    headers += ["Content-Type: application/json", "Content-Length: 100"]
    async with caller_of(service) as ann:
        async with connections(service, 2, request("/v1/views/lookup", *headers, method="POST", body="{")):
            await until(ann, 503)
        await until(ann, 200)


async def until(caller: httpx.AsyncClient, status: int) -> None:
    """Asks until the answer has that status."""
    async with asyncio.timeout(SECONDS):
        while (await caller.get("/v1/skills")).status_code != status:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.05)


async def test_bodies_of_one_tenant_take_a_bounded_amount_of_memory(
    run_service: RunService, acme: Tenant, globex: Tenant
) -> None:
    service = await run_service(body_limit=200_000, body_timeout=600)
    headers = [f"{name}: {value}" for name, value in bearer("bob", role="admin").items()]
    headers += ["Content-Type: application/json", "Content-Length: 190000"]
    unfinished = request("/v1/skills/pdf", *headers, method="PUT", body="{" + " " * 189_000)
    async with connections(service, 20, unfinished) as streams:
        heads = [asyncio.create_task(reader.readuntil(b"\r\n\r\n")) for reader, _ in streams]
        async with asyncio.timeout(SECONDS):
            # A quarter of sixteen of the largest bodies.
            while sum(head.done() for head in heads) < 16:  # noqa: ASYNC110 - they count on
                await asyncio.sleep(0.05)
        async with caller_of(service, "globex") as other:
            asked = await other.post("/v1/views/lookup", json={"skill_ids": ["x" * 200] * 200})
            assert asked.status_code == 200
        for refused in (head.result() for head in heads if head.done()):
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nretry-after: 5\r\n" in refused
        for head in heads:
            head.cancel()
    async with caller_of(service) as ann:
        for _ in range(20):
            asked = await ann.post("/v1/views/lookup", json={"skill_ids": ["x" * 200] * 200})
            assert asked.status_code == 200


def test_a_tenant_has_no_more_bytes_of_bodies_than_are_left_to_others() -> None:
    places = Places(replace(SETTINGS, body_limit=10))
    held: list[int] = []
    waiting: list[Place] = []
    for tenant_id in "abcdefgh":
        waiting.append(take_place(cast(Any, {}), places))
        waiting[-1].claim(tenant_id)
        with pytest.raises(TooBusy):  # noqa: PT012 - the last one is refused
            while True:
                waiting[-1].add_to_body(1)
        held.append(places.body_bytes_of[tenant_id])
    # In the end one largest body each.
    assert held == [40, 40, 40, 20, 10, 10, 10, 10]
    for place in waiting:
        place.drop_body()
    assert not places.body_bytes_of


async def test_an_idle_connection_keeps_no_body(app: Litestar) -> None:
    scopes: list[Any] = []

    async def note(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await app(scope, receive, send)

    async with client_of(cast(Litestar, note), bearer()) as ann:
        assert (await ann.post("/v1/views/lookup", json={"skill_ids": ["x" * 200] * 200})).status_code == 200
    # The server keeps the scope until the next request.
    assert "x" * 200 not in repr(vars_of(ScopeState.from_scope(scopes[0])))


def vars_of(state: ScopeState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in state.__slots__}


async def test_however_many_tenants_are_stuck_others_are_served(
    run_service: RunService, database: Database, acme: Tenant, clone: Clone
) -> None:
    service = await run_service(busy_limit=8)
    names = [f"stuck-{number}" for number in range(6)]
    tenants = [await add_tenant(database, name) for name in names]
    paths = [f"/v1/skills/{(await publish(tenant)).skill_id}/views" for tenant in tenants]
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(caller_of(service, name)) for name in names]
        other = await stack.enter_async_context(caller_of(service))
        for caller, path in zip(callers, paths, strict=True):
            await caller.post(path)
        async with locked_view(clone, "ann"):
            asked = [(caller, path) for caller, path in zip(callers, paths, strict=True) for _ in range(10)]
            waiting = [asyncio.create_task(caller.post(path)) for caller, path in asked]
            for _ in range(20):
                assert (await other.get("/v1/skills")).status_code == 200
        answers = [(await task).status_code for task in waiting]
    # Two of each tenant found a place: together more than the limit.
    assert answers.count(204) == 12


def test_a_tenant_has_no_more_places_than_are_left_to_others() -> None:
    places = Places(replace(SETTINGS, busy_limit=100))
    shares: list[int] = []
    for tenant_id in "abcdefgh":
        with pytest.raises(TooBusy):  # noqa: PT012 - some are refused in the end
            while True:
                place = take_place(cast(Any, {}), places)
                try:
                    place.claim(tenant_id)
                except TooBusy:
                    place.leave()
                    raise
        shares.append(places.taken_by[tenant_id])
    assert shares == [25, 25, 25, 12, 10, 10, 10, 10]
    assert not places.are_full


async def test_a_stranger_who_gives_way_frees_its_place_before_others_come() -> None:
    places = Places(replace(SETTINGS, unauthenticated_limit=1))
    with pytest.raises(TimeoutError):  # noqa: PT012 - the block is what times out
        async with asyncio.timeout(10) as first:
            with take_place(cast(Any, {}), places).waiting_for_body(first):
                with take_place(cast(Any, {}), places).waiting_for_body(asyncio.timeout(10)):
                    assert places.taken == 1
                await asyncio.sleep(10)


async def test_a_stranger_whose_time_is_up_gives_way_without_an_error() -> None:
    place = take_place(cast(Any, {}), Places(replace(SETTINGS, unauthenticated_limit=1)))
    admitted: list[Place] = []

    def admit_another() -> None:
        with place.waiting_for_body(asyncio.timeout(10)):
            admitted.append(place)

    with pytest.raises(TimeoutError):  # noqa: PT012 - the block is what times out
        async with asyncio.timeout(10) as late:
            with place.waiting_for_body(late):
                late.reschedule(0)
                # Until the next turn of the loop it is up, and its task has not noticed.
                asyncio.get_running_loop().call_soon(admit_another)
                await asyncio.Event().wait()
    assert admitted


async def test_a_stranger_whose_body_arrives_as_it_gives_way_counts_for_no_tenant() -> None:
    places = Places(replace(SETTINGS, unauthenticated_limit=1))
    place, body = take_place(cast(Any, {}), places), asyncio.Event()

    async def sign_in() -> None:
        async with asyncio.timeout(10) as timeout:
            with place.waiting_for_body(timeout):
                await body.wait()
        place.claim("acme")

    stranger = asyncio.create_task(sign_in())
    await asyncio.sleep(0)
    body.set()
    with take_place(cast(Any, {}), places).waiting_for_body(asyncio.timeout(10)), pytest.raises(TooBusy):
        await stranger
    place.leave()
    assert not places.taken_by


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
            except ConnectionError:
                # Refused, or reset while the listener closes: nothing was sent yet.
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
