"""Asks a service over HTTP/1.1, from a process of its own, on one connection a caller that stays open."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

from benchmarks.driver import Ask


class Client:
    """As little of HTTP as takes the least time: requests in one piece, answers by their Content-Length."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._address = host, port
        self._head = f"Host: {host}:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, path: str, body: bytes) -> bytes:
        """The body of the answer. Raises RuntimeError for any answer but a good one."""
        reader, writer = await self._connected()
        writer.write(f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        head = await reader.readuntil(b"\r\n\r\n")
        if head[9:10] != b"2":
            raise RuntimeError(head.decode())
        _, _, length = head.lower().partition(b"content-length:")
        answer = await reader.readexactly(int(length.partition(b"\r")[0] or 0))
        self._idle.append((reader, writer))
        return answer

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            # Services hang up on connections that were idle for some seconds.
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(*self._address)

    def close(self) -> None:
        """Hangs up."""
        for _, writer in self._idle:
            writer.close()


@asynccontextmanager
async def open_contender(url: str) -> AsyncIterator[dict[str, Ask]]:
    """Record and badges at http://host:port/prefix?token=…"""
    parts = urlsplit(url)
    client = Client(parts.hostname or "", parts.port or 80, parse_qs(parts.query)["token"][0])

    async def record(_: str, skill_id: str, version: int) -> None:
        await client.post(f"{parts.path}/skills/{skill_id}/views", json.dumps({"version": version}).encode())

    async def badges(_: str, skill_ids: Sequence[str]) -> None:
        await client.post(f"{parts.path}/views/lookup", json.dumps({"skill_ids": skill_ids}).encode())

    yield {"record": record, "badges": badges}
    client.close()
