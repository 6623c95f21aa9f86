"""Short ways to call the HTTP service as somebody."""

from time import time
from typing import Any

import httpx
import jwt
from litestar import Litestar

from everyskill.web.settings import WebSettings

SECRET = "a secret that is known to these tests alone"
ISSUER = "https://login.example.org/"
AUDIENCE = "everyskill-tests"
SETTINGS = WebSettings(jwt_secret=SECRET, jwt_issuer=ISSUER, jwt_audience=AUDIENCE)


def claims_of(user: str = "ann", tenant: str = "acme", **more: Any) -> dict[str, Any]:
    """What a good token says. A claim given as None is left out."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": user, "tenant": tenant, "exp": time() + 3_600} | more
    return {name: value for name, value in claims.items() if value is not None}


def bearer(user: str = "ann", tenant: str = "acme", **more: Any) -> dict[str, str]:
    """The header of a good token."""
    return authorization(jwt.encode(claims_of(user, tenant, **more), SECRET))


def authorization(token: str) -> dict[str, str]:
    """The header of any token."""
    return {"Authorization": f"Bearer {token}"}


def client_of(app: Litestar, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    """A client of the app that opens no socket."""
    asgi: Any = app
    transport = httpx.ASGITransport(asgi, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="https://skills.example.org", headers=headers)


def code_of(response: httpx.Response) -> str:
    """The code of a problem, which must be one."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    assert response.json()["status"] == response.status_code
    return str(response.json()["code"])
