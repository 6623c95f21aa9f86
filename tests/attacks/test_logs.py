"""A log that nobody reads, or nobody can read any more: requests go on being answered."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from prometheus_client import REGISTRY

from everyskill.web.log_writer import LogWriter
from tests.support.databases import Clone
from tests.support.http_clients import AUDIENCE, ISSUER, SECRET
from tests.support.service_process import SECONDS, start

# Each stands in the log: together they are more than a pipe and the buffer of its reader take.
REQUESTS = 80
PATH = "/" + "x" * 10_000


@asynccontextmanager
async def unread_service(clone: Clone) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    """A service whose stderr nobody reads."""
    process = await start(
        EVERYSKILL_DATABASE_URL=clone.service_url,
        EVERYSKILL_JWT_SECRET=SECRET,
        EVERYSKILL_JWT_ISSUER=ISSUER,
        EVERYSKILL_JWT_AUDIENCE=AUDIENCE,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), SECONDS)
        async with httpx.AsyncClient(base_url=line.decode().split()[-1], timeout=SECONDS) as client:
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
        # Or the end of the process would not be noticed: stderr is to be read to its end.
        await process.communicate()


@pytest.mark.parametrize("is_gone", [False, True], ids=["stalled", "gone"])
async def test_a_log_that_nobody_reads_holds_up_no_request(newest_server: None, clone: Clone, is_gone: bool) -> None:
    async with unread_service(clone) as (process, client):
        if is_gone:
            process._transport.get_pipe_transport(2).close()  # type: ignore[attr-defined]
        for _ in range(REQUESTS):
            assert (await client.get(PATH)).status_code == 404
        assert (await client.get("/health/live")).status_code == 200
        process.send_signal(signal.SIGTERM)
        # Not process.wait(), which waits for stderr, too.
        async with asyncio.timeout(SECONDS):
            while process.returncode is None:  # noqa: ASYNC110 - there is no other event for it
                await asyncio.sleep(0.05)
        assert process.returncode == 0


def dropped() -> float:
    return REGISTRY.get_sample_value("everyskill_log_lines_dropped_total") or 0.0


def read_to_end(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as reader:
        return reader.read()


def test_what_is_logged_is_written_in_order_before_the_end() -> None:
    reading, writing = os.pipe()
    writer = LogWriter(writing)
    lines = [f"{number} \udcff\n" for number in range(1_000)]
    for line in lines:
        writer.write(line)
    writer.close(SECONDS)
    os.close(writing)
    assert read_to_end(reading) == "".join(lines).encode(errors="backslashreplace")


def test_lines_beyond_the_limit_are_dropped_and_counted() -> None:
    reading, writing = os.pipe()
    writer, before = LogWriter(writing, max_waiting=10_000_000), dropped()
    line = "x" * 999_999 + "\n"
    for _ in range(30):
        writer.write(line)
    # What the thread took holds up the end only as long as it may.
    writer.close(0)
    lost = int(dropped() - before)
    text = os.read(reading, 1_000_000)
    while text.count(b"\n") < 30 - lost:
        text += os.read(reading, 1_000_000)
    assert 10 <= lost <= 20
    os.close(writing)
    os.close(reading)


def test_a_log_that_cannot_be_written_is_counted_and_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer, before = LogWriter(writing), dropped()
    writer.write("one\n")
    writer.close(SECONDS)
    os.close(writing)
    assert dropped() - before == 1
