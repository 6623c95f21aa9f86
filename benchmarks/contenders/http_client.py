"""Asks a service over HTTP/1.1, from a process of its own, on one connection a caller that stays open."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from urllib.parse import parse_qs, urlsplit

import jwt

from benchmarks.dataset import LARGE
from benchmarks.driver import Ask

ISSUER, AUDIENCE = "benchmarks", "everyskill"

# Services hang up on connections that were idle for 5 s, perhaps while the next request is on its way.
MAX_IDLE_SECONDS = 3.0


class Client:
    """As little of HTTP as takes the least time: requests in one piece, answers by their Content-Length."""

    def __init__(self, host: str, port: int, secret: str) -> None:
        self._address = host, port
        self._secret = secret
        self._head = cache(self._make_head)
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, user: str, method: str, path: str, body: bytes = b"") -> bytes:
        """The body of the answer to a user. Raises RuntimeError for any answer but a good one."""
        reader, writer = await self._connected()
        head = f"{method} {path} HTTP/1.1\r\n{self._head(user)}Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answered = await reader.readuntil(b"\r\n\r\n")
        if answered[9:10] != b"2":
            raise RuntimeError(answered.decode())
        _, _, length = answered.lower().partition(b"content-length:")
        answer = await reader.readexactly(int(length.partition(b"\r")[0] or 0))
        self._idle.append((time.monotonic(), reader, writer))
        return answer

    def _make_head(self, user: str) -> str:
        host, port = self._address
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": user, "tenant": LARGE, "exp": time.time() + 86_400}
        token = jwt.encode(claims, self._secret, algorithm="HS256")
        return f"Host: {host}:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            since, reader, writer = self._idle.pop()
            if time.monotonic() - since < MAX_IDLE_SECONDS and not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(*self._address)

    def close(self) -> None:
        """Hangs up."""
        for _, _, writer in self._idle:
            writer.close()


@asynccontextmanager
async def open_contender(url: str) -> AsyncIterator[dict[str, Ask]]:
    """All calls at http://host:port/prefix?secret=…, every user with a token of their own."""
    parts = urlsplit(url)
    client = Client(parts.hostname or "", parts.port or 80, parse_qs(parts.query)["secret"][0])

    async def record(user: str, skill_id: str, version: int) -> None:
        body = json.dumps({"version": version}).encode()
        await client.ask(user, "POST", f"{parts.path}/skills/{skill_id}/views", body)

    async def badges(user: str, skill_ids: Sequence[str]) -> None:
        body = json.dumps({"skill_ids": skill_ids}).encode()
        await client.ask(user, "POST", f"{parts.path}/views/lookup", body)

    async def visit(user: str, skill_id: str) -> None:
        await client.ask(user, "POST", f"{parts.path}/skills/{skill_id}/visit")

    async def whats_new(user: str) -> None:
        await client.ask(user, "GET", f"{parts.path}/whats-new")

    yield {"record": record, "badges": badges, "visit": visit, "whats_new": whats_new}
    client.close()
