"""Verifies bearer tokens and reads from their claims who is asking."""

from collections.abc import Callable
from time import time
from typing import Any

import jwt
from msgspec import Struct

from everyskill.errors import InvalidInput
from everyskill.model.inputs import MAX_NAME_LENGTH, check_id, check_text
from everyskill.model.tenants import Role
from everyskill.web.auth.keys import Keys
from everyskill.web.refusals import InvalidToken
from everyskill.web.settings import WebSettings

LEEWAY_SECONDS = 10
KNOWN_SECONDS = 30.0
MOST_KNOWN = 10_000
_REQUIRED = ["exp", "iss", "aud", "sub"]


class Bearer(Struct, frozen=True):
    """Whom a token speaks of. `role` is None where it leaves that to the catalog; `until` is in seconds since 1970."""

    tenant_id: str
    user_id: str
    role: Role | None
    name: str | None
    email: str | None
    until: float


class KnownTokens:
    """Reads tokens, and knows for half a minute whom a good one speaks of: a page asks with the same one many times."""

    def __init__(self, settings: WebSettings, keys: Keys, *, clock: Callable[[], float] = time) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock
        self._known: dict[str, tuple[Bearer, float]] = {}

    async def read(self, token: str) -> Bearer:
        """Whom a token speaks of. Raises InvalidToken or KeysUnavailable."""
        bearer, until = self._known.get(token, (None, 0.0))
        if bearer is not None and self._clock() < until:
            return bearer
        bearer = await read_token(token, self._settings, self._keys)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[token] = bearer, min(bearer.until, self._clock() + KNOWN_SECONDS)
        return bearer


async def read_token(token: str, settings: WebSettings, keys: Keys) -> Bearer:
    """Whom a token speaks of. Raises InvalidToken for one that is not good in every respect, or KeysUnavailable."""
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in settings.algorithms:
            raise InvalidToken
        claims = _verify(token, await keys.find(header), settings)
        return _bearer(claims, settings)
    # What a hostile token makes the parsers raise: numbers out of range, nesting without end, ids nothing can store.
    except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError, InvalidInput) as error:
        raise InvalidToken from error


def _verify(token: str, key: Any, settings: WebSettings) -> dict[str, Any]:
    return jwt.decode(
        token,
        key,
        algorithms=list(settings.algorithms),
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
        leeway=LEEWAY_SECONDS,
        options={"require": [*_REQUIRED, settings.tenant_claim]},
    )


def _bearer(claims: dict[str, Any], settings: WebSettings) -> Bearer:
    return Bearer(
        tenant_id=check_id("tenant", claims[settings.tenant_claim]),
        user_id=check_id("sub", claims["sub"]),
        role=_role(claims.get(settings.role_claim)),
        name=_text(claims.get(settings.name_claim)),
        email=_text(claims.get(settings.email_claim)),
        until=float(claims["exp"]),
    )


def _role(claim: object) -> Role | None:
    """A role that we do not know gives the least rights."""
    if claim is None:
        return None
    return Role.ADMIN if claim == Role.ADMIN else Role.MEMBER


def _text(claim: object) -> str | None:
    """A name or an address if it can be stored; nobody is kept out for a strange one."""
    try:
        return check_text("claim", claim, longest=MAX_NAME_LENGTH) if isinstance(claim, str) else None
    except InvalidInput:
        return None
