"""Verifies bearer tokens and reads their claims."""

from collections.abc import Callable
from time import time
from typing import Any

import jwt
from cachetools import TLRUCache
from msgspec import Struct

from everyskill.errors import InvalidInput
from everyskill.model.inputs import MAX_NAME_LENGTH, check_id, check_text
from everyskill.model.tenants import Role
from everyskill.web.auth.keys import Keys
from everyskill.web.refusals import InvalidToken
from everyskill.web.settings import WebSettings

LEEWAY_SECONDS = 10
CACHE_SECONDS = 30.0
MAX_CACHED = 10_000


class TokenClaims(Struct, frozen=True):
    """What a token says of its user. `role` is None where the stored role counts; `expires_at` is a Unix time."""

    tenant_id: str
    user_id: str
    role: Role | None
    name: str | None
    email: str | None
    expires_at: float


class TokenVerifier:
    """Verifies tokens, and caches the claims of a good one for half a minute or until it expires."""

    def __init__(self, settings: WebSettings, keys: Keys, *, clock: Callable[[], float] = time) -> None:
        self._settings = settings
        self._keys = keys
        self._cache: TLRUCache[str, TokenClaims] = TLRUCache(
            MAX_CACHED, ttu=lambda _, claims, now: min(claims.expires_at, now + CACHE_SECONDS), timer=clock
        )

    async def verify(self, token: str) -> TokenClaims:
        """The claims of a token. Raises InvalidToken for one that is not good in every respect, or KeysUnavailable."""
        claims = self._cache.get(token)
        if claims is None:
            claims = self._cache[token] = await self._read(token)
        return claims

    async def _read(self, token: str) -> TokenClaims:
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in self._settings.algorithms:
                raise InvalidToken
            return self._decode(token, await self._keys.find(header))
        # A hostile token makes the parsers raise: numbers out of range, nesting too deep, ids that cannot be stored.
        except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError, InvalidInput) as error:
            raise InvalidToken from error

    def _decode(self, token: str, key: Any) -> TokenClaims:
        settings = self._settings
        claims = jwt.decode(
            token,
            key,
            algorithms=list(settings.algorithms),
            audience=settings.jwt_audience,
            issuer=settings.jwt_issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud", "sub", settings.tenant_claim]},
        )
        return TokenClaims(
            tenant_id=check_id("tenant", claims[settings.tenant_claim]),
            user_id=check_id("sub", claims["sub"]),
            role=_role(claims.get(settings.role_claim)),
            name=_storable_or_none(claims.get(settings.name_claim)),
            email=_storable_or_none(claims.get(settings.email_claim)),
            expires_at=float(claims["exp"]),
        )


def _role(claim: object) -> Role | None:
    """A role that is unknown here gives the least rights."""
    if claim is None:
        return None
    return Role.ADMIN if claim == Role.ADMIN else Role.MEMBER


def _storable_or_none(claim: object) -> str | None:
    """A name or an email address that cannot be stored is dropped; it is no reason to refuse the user."""
    try:
        return check_text("claim", claim, longest=MAX_NAME_LENGTH) if isinstance(claim, str) else None
    except InvalidInput:
        return None
