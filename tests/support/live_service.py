"""A live service with settings of the test's own, and its clients."""

import re
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import httpx
import jwt

from tests.support.http_clients import SECRET, claims_of
from tests.support.service_process import SECONDS, Service

RunService: TypeAlias = Callable[..., Awaitable[Service]]


def client_at(
    service: Service, headers: dict[str, str] | None = None, *, seconds: float = SECONDS
) -> httpx.AsyncClient:
    """A client of the service over its socket, with redirects left to the test."""
    return httpx.AsyncClient(base_url=service.url, headers=headers, timeout=seconds)


async def sign_in(browser: httpx.AsyncClient, user: str = "ann", **claims: str) -> str:
    """Signs a browser in, as a person does; the token that its forms must repeat."""
    token = jwt.encode(claims_of(user, **claims), SECRET)
    assert (await browser.post("/sign-in", data={"token": token})).status_code == 303
    found = re.search(r'name="csrf_token" value="([^"]+)"', (await browser.get("/")).text)
    assert found is not None
    return found[1]
