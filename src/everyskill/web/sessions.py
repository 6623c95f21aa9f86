"""The session cookie of the pages: signed, HttpOnly, and with a token that every write must repeat."""

import hmac
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from typing import Any

import jwt
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from msgspec import Struct, ValidationError, convert

from everyskill.web.identity import Identity
from everyskill.web.refusals import CsrfFailed
from everyskill.web.settings import WebSettings, is_loopback

SESSION_COOKIE = "everyskill_session"
CSRF_FIELD = "csrf_token"
CSRF_HEADER = "X-CSRF-Token"
LIFETIME = timedelta(days=7)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_ALGORITHM = "HS256"
_AUDIENCE = "everyskill:session"
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})

Connection = ASGIConnection[Any, Any, Any, Any]


class Session(Struct, frozen=True):
    """What the cookie says. The role is not in it: that is looked up, so that taking it away has an effect."""

    tenant_id: str
    user_id: str
    name: str | None
    csrf: str


def open_session(request: Connection, identity: Identity) -> Cookie:
    """The cookie that signs the person in."""
    return _signed(request, _new_session(identity))


def session_for(request: Connection, identity: Identity) -> tuple[Session, Cookie | None]:
    """The person's session; where the request brought none of theirs, a new one with the cookie that opens it."""
    session = read_session(request)
    if session is not None and (session.tenant_id, session.user_id) == (identity.tenant_id, identity.user_id):
        return session, None
    session = _new_session(identity)
    return session, _signed(request, session)


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
        claims = jwt.decode(token, _key(request), algorithms=[_ALGORITHM], audience=_AUDIENCE, options=options)
        return convert(claims["session"], Session)
    except (jwt.PyJWTError, ValidationError, ValueError, RecursionError):
        return None


async def check_csrf(request: Request[Any, Any, Any], session: Session) -> None:
    """Raises CsrfFailed for a write that does not repeat the session's token: a form in `csrf_token`, a script in
    the header X-CSRF-Token.
    """
    if request.method in SAFE_METHODS:
        return
    given = request.headers.get(CSRF_HEADER)
    if given is None and request.content_type[0] in _FORMS:
        given = (await request.form()).get(CSRF_FIELD)
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(errors="replace"), session.csrf.encode()):
        raise CsrfFailed


def check_site(request: Request[Any, Any, Any]) -> None:
    """Raises CsrfFailed for a write that a browser says another site made: a proxy may have vouched for its sender."""
    if request.method not in SAFE_METHODS and request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise CsrfFailed


def _new_session(identity: Identity) -> Session:
    return Session(identity.tenant_id, identity.user_id, identity.name, token_urlsafe(32))


def _signed(request: Connection, session: Session) -> Cookie:
    claims = {"aud": _AUDIENCE, "exp": datetime.now(UTC) + LIFETIME, "session": _as_dict(session)}
    token = jwt.encode(claims, _key(request), algorithm=_ALGORITHM)
    return _cookie(request, token, max_age=int(LIFETIME.total_seconds()))


def _cookie(request: Connection, value: str, *, max_age: int) -> Cookie:
    plain = request.url.scheme == "http" and is_loopback(request.url.hostname or "")
    return Cookie(
        SESSION_COOKIE, value=value, path="/", max_age=max_age, httponly=True, samesite="lax", secure=not plain
    )


def _key(request: Connection) -> bytes:
    settings: WebSettings = request.app.state.settings
    # A key of its own, also where somebody uses one secret for everything.
    return hmac.digest(settings.session_secret.encode(), _AUDIENCE.encode(), "sha256")


def _as_dict(session: Session) -> dict[str, Any]:
    return {name: getattr(session, name) for name in session.__struct_fields__}
