"""The session cookie of the pages, signed and HttpOnly, and the CSRF token that each of their writes must repeat."""

import hmac
from base64 import urlsafe_b64encode
from time import time
from typing import Any

import jwt
from litestar.datastructures import Cookie
from msgspec import Struct, ValidationError, convert
from msgspec.json import encode

from everyskill.model.tenants import Role
from everyskill.web.auth.identity import Identity
from everyskill.web.forms import FormRequest
from everyskill.web.refusals import CsrfFailed
from everyskill.web.requests import AnyConnection, AnyRequest, is_addressed_to_loopback
from everyskill.web.settings import WebSettings

SESSION_COOKIE = "everyskill_session"
CSRF_FIELD = "csrf_token"
CSRF_HEADER = "X-CSRF-Token"
SESSION_SECONDS = 7 * 24 * 60 * 60
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_ALGORITHM = "HS256"
_AUDIENCE = "everyskill:session"
_FORM = "application/x-www-form-urlencoded"
# Of Sec-Fetch-Site: our own pages, and the user's own acts such as a bookmark.
_ALLOWED_SITES = frozenset({"same-origin", "none"})


class Session(Struct, frozen=True):
    """What the cookie holds. `role` is the role that a bearer token gave; None leaves it to the stored one.

    `generation` is how often the user had signed out when the session was opened; a cookie from before there were
    generations has none, and is good until the user signs out.
    """

    tenant_id: str
    user_id: str
    name: str | None
    role: Role | None
    generation: int = 0


def open_session(connection: AnyConnection, identity: Identity, *, generation: int) -> Cookie:
    """The cookie that signs the user in: for a week, but not beyond the end of the token that authenticated them."""
    session = Session(identity.tenant_id, identity.user_id, identity.name, identity.claimed_role, generation)
    now = time()
    expires_at = now + SESSION_SECONDS
    if identity.expires_at is not None:
        expires_at = min(expires_at, identity.expires_at)
    # In UTF-8: with the escapes of jwt.encode, long ids make 11 KB, and browsers drop cookies of more than 4,096 bytes.
    claims = encode({"aud": _AUDIENCE, "exp": expires_at, "session": session})
    token = jwt.PyJWS().encode(claims, _derive_key(connection, _AUDIENCE), algorithm=_ALGORITHM)
    return _cookie(connection, token, max_age=int(expires_at - now))


def close_session(connection: AnyConnection) -> Cookie:
    """The cookie that takes the session from the browser. UserCache.end_sessions ends it, wherever it was copied."""
    return _cookie(connection, "", max_age=0)


def read_session(connection: AnyConnection) -> Session | None:
    """The session of a request; None without a cookie, and for one that is forged, damaged or expired."""
    token = connection.cookies.get(SESSION_COOKIE)
    if not token:
        return None
    key = _derive_key(connection, _AUDIENCE)
    options: Any = {"require": ["exp", "aud", "session"]}
    try:
        claims = jwt.decode(token, key, algorithms=[_ALGORITHM], audience=_AUDIENCE, options=options)
        return convert(claims["session"], Session)
    except (jwt.PyJWTError, ValidationError, ValueError, RecursionError):
        return None


def make_csrf_token(connection: AnyConnection, identity: Identity) -> str:
    """What every form of this user must repeat: the same in all tabs, and derived from `session_secret`."""
    user = f"{identity.tenant_id}\0{identity.user_id}"
    return urlsafe_b64encode(hmac.digest(_derive_key(connection, CSRF_FIELD), user.encode(), "sha256")).decode()


async def check_csrf(request: AnyRequest, identity: Identity) -> None:
    """Raises CsrfFailed for a write that does not repeat the user's CSRF token.

    A form sends it in the field `csrf_token`, a script in the header X-CSRF-Token.
    """
    if request.method in SAFE_METHODS:
        return
    given = request.headers.get(CSRF_HEADER)
    if given is None and isinstance(request, FormRequest) and request.content_type[0] == _FORM:
        given = (await request.form()).get(CSRF_FIELD)
    expected = make_csrf_token(request, identity)
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(errors="replace"), expected.encode()):
        raise CsrfFailed


def check_site(request: AnyRequest) -> None:
    """Raises CsrfFailed for a write that the browser says another site made, however it is authenticated.

    A proxy may add a bearer token to whatever a browser sends. Programs other than browsers send neither header;
    browsers without Sec-Fetch-Site, or on plain HTTP, send Origin.
    """
    if request.method in SAFE_METHODS:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        is_allowed = site in _ALLOWED_SITES
    else:
        is_allowed = origin is None or origin.partition("://")[2] == request.headers.get("Host")
    if not is_allowed:
        raise CsrfFailed


def _cookie(connection: AnyConnection, value: str, *, max_age: int) -> Cookie:
    is_local = connection.scope["scheme"] == "http" and is_addressed_to_loopback(connection.headers)
    return Cookie(
        SESSION_COOKIE, value=value, path="/", max_age=max_age, httponly=True, samesite="lax", secure=not is_local
    )


def _derive_key(connection: AnyConnection, purpose: str) -> bytes:
    """A key for one purpose, so that an operator may use the same secret for bearer tokens and for sessions."""
    settings: WebSettings = connection.app.state.settings
    return hmac.digest(settings.session_secret.encode(), purpose.encode(), "sha256")
