"""The session cookie of the pages, signed and HttpOnly, and the token that every write of theirs must repeat."""

import hmac
from base64 import urlsafe_b64encode
from time import time
from typing import Any

import jwt
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from msgspec import Struct, ValidationError, convert, to_builtins

from everyskill.model.tenants import Role
from everyskill.web.auth.identity import Identity
from everyskill.web.refusals import CsrfFailed
from everyskill.web.settings import WebSettings, host_name, is_loopback

SESSION_COOKIE = "everyskill_session"
CSRF_FIELD = "csrf_token"
CSRF_HEADER = "X-CSRF-Token"
LIFETIME_SECONDS = 7 * 24 * 60 * 60
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_ALGORITHM = "HS256"
_AUDIENCE = "everyskill:session"
_FORM = "application/x-www-form-urlencoded"
_OUR_SITES = frozenset({"same-origin", "none"})

Connection = ASGIConnection[Any, Any, Any, Any]


class Session(Struct, frozen=True):
    """What the cookie says. `role` is what a token gave; without one it is looked up."""

    tenant_id: str
    user_id: str
    name: str | None
    role: Role | None


def open_session(request: Connection, identity: Identity) -> Cookie:
    """The cookie that signs the person in: for a week, and for no longer than the token that vouched for them."""
    session = Session(identity.tenant_id, identity.user_id, identity.name, identity.claimed_role)
    week = time() + LIFETIME_SECONDS
    until = week if identity.until is None else min(week, identity.until)
    claims = {"aud": _AUDIENCE, "exp": until, "session": to_builtins(session)}
    token = jwt.encode(claims, _key(request, _AUDIENCE), algorithm=_ALGORITHM)
    return _cookie(request, token, max_age=int(until - time()))


def csrf_of(request: Connection, identity: Identity) -> str:
    """What every form of this person must repeat. Nobody else can make it, and it is the same in all their tabs."""
    who = f"{identity.tenant_id}\0{identity.user_id}"
    return urlsafe_b64encode(hmac.digest(_key(request, CSRF_FIELD), who.encode(), "sha256")).decode()


def close_session(request: Connection) -> Cookie:
    """The cookie that signs the person out."""
    return _cookie(request, "", max_age=0)


def read_session(request: Connection) -> Session | None:
    """The session of a request; None where there is none that we signed and that still runs."""
    token = request.cookies.get(SESSION_COOKIE)
    if not token:
        return None
    options: Any = {"require": ["exp", "aud", "session"]}
    try:
        claims = jwt.decode(
            token, _key(request, _AUDIENCE), algorithms=[_ALGORITHM], audience=_AUDIENCE, options=options
        )
        return convert(claims["session"], Session)
    except (jwt.PyJWTError, ValidationError, ValueError, RecursionError):
        return None


async def check_csrf(request: Request[Any, Any, Any], identity: Identity) -> None:
    """Raises CsrfFailed for a write that does not repeat the person's token: a form in `csrf_token`, a script in the
    header X-CSRF-Token.
    """
    if request.method in SAFE_METHODS:
        return
    given = request.headers.get(CSRF_HEADER)
    if given is None and request.content_type[0] == _FORM:
        given = (await request.form()).get(CSRF_FIELD)
    expected = csrf_of(request, identity)
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(errors="replace"), expected.encode()):
        raise CsrfFailed


def check_site(request: Request[Any, Any, Any]) -> None:
    """Raises CsrfFailed for a write that a browser says another site made: a proxy may have vouched for its sender.

    Programs say nothing of a site. Browsers that do not know Sec-Fetch-Site, or speak plain HTTP, send the Origin.
    """
    if request.method in SAFE_METHODS:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        is_ours = site in _OUR_SITES
    else:
        is_ours = origin is None or origin.partition("://")[2] == request.headers.get("Host")
    if not is_ours:
        raise CsrfFailed


def _cookie(request: Connection, value: str, *, max_age: int) -> Cookie:
    plain = request.scope["scheme"] == "http" and is_loopback(host_name(request.headers.get("Host", "")))
    return Cookie(
        SESSION_COOKIE, value=value, path="/", max_age=max_age, httponly=True, samesite="lax", secure=not plain
    )


def _key(request: Connection, purpose: str) -> bytes:
    settings: WebSettings = request.app.state.settings
    # A key for each purpose, also where somebody uses one secret for everything.
    return hmac.digest(settings.session_secret.encode(), purpose.encode(), "sha256")
