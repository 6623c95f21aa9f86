"""Authenticates requests by a bearer token or a session cookie, and by nothing else."""

from litestar.di import NamedDependency

from everyskill.errors import TenantInactive, TenantNotFound, UserNotFound
from everyskill.handles import Database, Tenant
from everyskill.web.auth.identity import Identity
from everyskill.web.auth.sessions import SAFE_METHODS, check_csrf, check_site, read_session
from everyskill.web.auth.tokens import TokenVerifier
from everyskill.web.auth.users import UserCache
from everyskill.web.concurrency import claim_place
from everyskill.web.refusals import InvalidToken, NotAllowed, NotJson, NotSignedIn
from everyskill.web.requests import AnyRequest

# What a handler declares as `identity` and as `tenant`: the user who sent the request, and that user's tenant.
CurrentIdentity = NamedDependency[Identity]
CurrentTenant = NamedDependency[Tenant]


async def provide_identity(request: AnyRequest) -> Identity:
    """The user who sent the request, authenticated once a request.

    Raises NotSignedIn, InvalidToken, CsrfFailed or KeysUnavailable.
    """
    if "user" not in request.scope:
        request.scope["user"] = await _authenticate(request)
    identity: Identity = request.scope["user"]
    return identity


async def provide_tenant(request: AnyRequest, identity: CurrentIdentity) -> Tenant:
    """The tenant of the user who sent the request."""
    database: Database = request.app.state.database
    return database.tenant(identity.tenant_id)


async def check_request(request: AnyRequest) -> None:
    """Runs before a handler of the API, so that the body of an unauthenticated request is never read.

    Raises NotJson for a body that does not say it is JSON, and what provide_identity raises. It is a `before_request`
    hook and not a guard, because Litestar copies the handler on every request that has guards.
    """
    await provide_identity(request)
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if request.method not in SAFE_METHODS and has_body and request.content_type[0] != "application/json":
        raise NotJson


def require_role(identity: Identity, role: str) -> None:
    """Raises NotAllowed for a user of another role."""
    if identity.role != role:
        raise NotAllowed(role)


async def authenticate_token(request: AnyRequest, token: str) -> Identity:
    """The user of a bearer token, who is added to the tenant if new. Raises InvalidToken or KeysUnavailable."""
    tokens: TokenVerifier | None = request.app.state.tokens
    users: UserCache = request.app.state.users
    if tokens is None:
        raise InvalidToken
    claims = await tokens.verify(token.strip())
    claim_place(request.scope, claims.tenant_id)
    try:
        user = await users.admit(claims.tenant_id, claims.user_id, email=claims.email, name=claims.name)
    except (TenantNotFound, TenantInactive) as error:
        raise InvalidToken from error
    return Identity(
        claims.tenant_id,
        user.id,
        claims.role or user.role,
        claims.name or user.name,
        claimed_role=claims.role,
        expires_at=claims.expires_at,
    )


async def _authenticate(request: AnyRequest) -> Identity:
    check_site(request)
    header = request.headers.get("Authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        return await authenticate_token(request, token if scheme.lower() == "bearer" else "")
    identity = await _authenticate_session(request)
    await check_csrf(request, identity)
    return identity


async def _authenticate_session(request: AnyRequest) -> Identity:
    session = read_session(request)
    if session is None:
        raise NotSignedIn
    claim_place(request.scope, session.tenant_id)
    users: UserCache = request.app.state.users
    try:
        user = await users.find(session.tenant_id, session.user_id)
        generation = await users.find_session_generation(session.tenant_id, session.user_id)
    except (TenantNotFound, TenantInactive, UserNotFound) as error:
        raise NotSignedIn from error
    if session.generation < generation:
        raise NotSignedIn
    return Identity(session.tenant_id, user.id, session.role or user.role, session.name or user.name)
