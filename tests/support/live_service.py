"""A service process on a test's own database, for tests that send it more than a few requests."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import jwt

from tests.support.databases import Clone
from tests.support.http_clients import AUDIENCE, ISSUER, SECRET, claims_of
from tests.support.service_process import SECONDS, Service, start, started


@asynccontextmanager
async def live_service(clone: Clone) -> AsyncIterator[tuple[Service, list[str]]]:
    """The service, and the errors that it logs. Its log is read all the time, or it would wait for that."""
    process = await start(
        EVERYSKILL_DATABASE_URL=clone.service_url,
        EVERYSKILL_JWT_SECRET=SECRET,
        EVERYSKILL_JWT_ISSUER=ISSUER,
        EVERYSKILL_JWT_AUDIENCE=AUDIENCE,
    )
    service = await started(process)
    errors: list[str] = []
    reading = asyncio.create_task(_read_errors(process, errors))
    try:
        yield service, errors
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


async def _read_errors(process: asyncio.subprocess.Process, errors: list[str]) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        errors += [line.decode()] if json.loads(line).get("level") in {"error", "critical"} else []


def client_at(service: Service, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    """A client of the service over its socket, with redirects left to the test."""
    return httpx.AsyncClient(base_url=service.url, headers=headers, timeout=SECONDS)


async def sign_in(browser: httpx.AsyncClient, user: str = "ann", **claims: str) -> str:
    """Signs a browser in, as a person does; the token that its forms must repeat."""
    token = jwt.encode(claims_of(user, **claims), SECRET)
    assert (await browser.post("/sign-in", data={"token": token})).status_code == 303
    found = re.search(r'name="csrf_token" value="([^"]+)"', (await browser.get("/")).text)
    assert found is not None
    return found[1]
