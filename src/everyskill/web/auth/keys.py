"""The keys that verify bearer tokens: one shared secret, or the public keys at a JWKS address."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

import jwt
import structlog

from everyskill.web.refusals import InvalidToken, KeysUnavailable
from everyskill.web.settings import WebSettings

FRESH_SECONDS = 300.0
COOLDOWN_SECONDS = 30.0
FETCH_TIMEOUT = 5.0

_SYMMETRIC = "oct"

_log = structlog.get_logger(__name__)


class Keys(Protocol):
    """Finds the key that verifies a token."""

    async def find(self, header: dict[str, Any]) -> Any:
        """The key that the token's header names. Raises InvalidToken or KeysUnavailable."""


class SharedSecret:
    """One secret for all tokens."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    async def find(self, header: dict[str, Any]) -> Any:  # noqa: ARG002 - the protocol's argument; there is one key
        """The secret, whatever the header says."""
        return self._secret


class PublishedKeys:
    """The public keys at a JWKS address, cached for minutes and fetched again for a key id that is not among them.

    The address is asked at most once in COOLDOWN_SECONDS, whatever tokens say; while it does not answer, the cached
    keys stay good.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = monotonic) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_TIMEOUT)
        self._clock = clock
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = self._attempted_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def find(self, header: dict[str, Any]) -> Any:
        """The key of the header's `kid`; the only key, where the header names none."""
        kid = header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise InvalidToken
        is_fresh = self._clock() - self._fetched_at <= FRESH_SECONDS
        # While another request fetches, a cached key is used and nobody waits.
        if self._cached(kid) is None or not (is_fresh or self._fetching.locked()):
            await self._refresh()
        key = self._cached(kid)
        if key is None:
            raise InvalidToken if self._keys else KeysUnavailable
        return key.key

    def _cached(self, kid: str | None) -> jwt.PyJWK | None:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        async with self._fetching:
            if self._clock() - self._attempted_at < COOLDOWN_SECONDS:
                return
            self._attempted_at = self._clock()
            try:
                # In a thread, because it blocks.
                fetched = await asyncio.to_thread(self._fetch)
            except (jwt.PyJWTError, OSError, ValueError, RecursionError) as error:
                _log.warning("keys not fetched", reason=str(error))
                return
            self._keys, self._fetched_at = fetched, self._clock()

    def _fetch(self) -> dict[str | None, jwt.PyJWK]:
        keys = jwt.PyJWKSet.from_dict(self._client.fetch_data()).keys
        # Never a symmetric key: whoever reads the published set could sign tokens with it.
        return {key.key_id: key for key in keys if key.key_type != _SYMMETRIC and key.public_key_use in {None, "sig"}}


def create_keys(settings: WebSettings) -> Keys | None:
    """The keys that the settings name; None where no bearer tokens are taken."""
    if settings.jwt_secret:
        return SharedSecret(settings.jwt_secret)
    return PublishedKeys(settings.jwks_url) if settings.jwks_url else None
