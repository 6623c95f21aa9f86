"""Connections that are written to byte by byte, as no client of HTTP does."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx

from tests.support.service_process import SECONDS, Service

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


async def is_closed_by_the_service(stream: Stream) -> bool:
    reader, _ = stream
    try:
        async with asyncio.timeout(SECONDS):
            while await reader.read(65_536):
                pass
    except ConnectionError:
        pass
    return True


async def read_all(stream: Stream) -> bytes:
    """What the service sent until it closed the connection, or reset it."""
    reader, _ = stream
    data = b""
    with suppress(ConnectionError):
        while more := await reader.read(65_536):
            data += more
    return data


def request(path: str, *headers: str, method: str = "GET", body: str = "") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", body]).encode()
