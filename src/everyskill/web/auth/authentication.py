"""Decides who is asking, from a bearer token or a session's cookie and from nothing else."""

from typing import Any

from litestar import Request
from litestar.di import NamedDependency

from everyskill.errors import TenantInactive, TenantNotFound, UserNotFound
from everyskill.handles import Database, Tenant
from everyskill.web.auth.identity import Identity
from everyskill.web.auth.members import Members
from everyskill.web.auth.sessions import SAFE_METHODS, Session, check_csrf, check_site, read_session
from everyskill.web.auth.tokens import KnownTokens
from everyskill.web.refusals import InvalidToken, NotAllowed, NotJson, NotSignedIn

_SCHEME = "bearer"
_JSON = "application/json"

AnyRequest = Request[Any, Any, Any]

# What a handler declares to get who is asking, and their tenant.
Asker = NamedDependency[Identity]
House = NamedDependency[Tenant]


async def provide_identity(request: AnyRequest) -> Identity:
    """Who is asking. Raises NotSignedIn, InvalidToken, CsrfFailed or KeysUnavailable."""
    if "user" not in request.scope:
        request.scope["user"] = await _identify(request)
    identity: Identity = request.scope["user"]
    return identity


async def provide_tenant(request: AnyRequest, identity: Asker) -> Tenant:
    """The tenant of who is asking."""
    database: Database = request.app.state.database
    return database.tenant(identity.tenant_id)


async def check_request(request: AnyRequest) -> None:
    """Goes before the handler: nothing of a body is read for somebody unknown, and it must say that it is JSON.

    Not a guard, for each of which Litestar copies the handler on every request.

    Raises NotJson, and what provide_identity raises.
    """
    await provide_identity(request)
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if request.method not in SAFE_METHODS and has_body and request.content_type[0] != _JSON:
        raise NotJson


def require_role(identity: Identity, role: str) -> None:
    """Raises NotAllowed for somebody of another role."""
    if identity.role != role:
        raise NotAllowed(role)


async def identify_token(request: AnyRequest, token: str) -> Identity:
    """Who a bearer token vouches for. Raises InvalidToken or KeysUnavailable."""
    tokens: KnownTokens | None = request.app.state.tokens
    if tokens is None:
        raise InvalidToken
    bearer = await tokens.read(token.strip())
    members: Members = request.app.state.members
    try:
        user = await members.admit(bearer.tenant_id, bearer.user_id, email=bearer.email, name=bearer.name)
    except (TenantNotFound, TenantInactive) as error:
        raise InvalidToken from error
    return Identity(
        bearer.tenant_id, user.id, bearer.role or user.role, bearer.name or user.name, bearer.role, bearer.until
    )


async def _identify(request: AnyRequest) -> Identity:
    check_site(request)
    header = request.headers.get("Authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        return await identify_token(request, token if scheme.lower() == _SCHEME else "")
    session = read_session(request)
    if session is None:
        raise NotSignedIn
    identity = await _by_session(request, session)
    await check_csrf(request, identity)
    return identity


async def _by_session(request: AnyRequest, session: Session) -> Identity:
    members: Members = request.app.state.members
    try:
        user = await members.find(session.tenant_id, session.user_id)
    except (TenantNotFound, TenantInactive, UserNotFound) as error:
        raise NotSignedIn from error
    return Identity(session.tenant_id, user.id, session.role or user.role, session.name or user.name)
