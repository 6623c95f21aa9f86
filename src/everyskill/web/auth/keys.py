"""Where the keys come from that bearer tokens are verified with: a shared secret, or a JWKS address."""

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
FETCH_SECONDS = 5.0

_SYMMETRIC = "oct"

_log = structlog.get_logger(__name__)


class Keys(Protocol):
    """Finds the key that a token's header asks for."""

    async def find(self, header: dict[str, Any]) -> Any:
        """The key. Raises InvalidToken or KeysUnavailable."""


class SharedSecret:
    """One secret for all tokens."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    async def find(self, header: dict[str, Any]) -> Any:  # noqa: ARG002 - there is no choice
        """The secret, whatever the header says."""
        return self._secret


class PublishedKeys:
    """The public keys at a JWKS address: kept for minutes, and fetched anew for a key id that is not among them.

    Whatever tokens say, the address is asked at most once a cooldown; while it does not answer, known keys stay good.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = monotonic) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_SECONDS)
        self._clock = clock
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = self._asked_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def find(self, header: dict[str, Any]) -> Any:
        """The key of the header's `kid`; the only key, where the header names none."""
        kid = header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise InvalidToken
        if not self._knows(kid):
            await self._refresh()
        key = self._pick(kid)
        if key is None:
            raise InvalidToken if self._keys else KeysUnavailable
        return key.key

    def _knows(self, kid: str | None) -> bool:
        is_fresh = self._clock() - self._fetched_at <= FRESH_SECONDS
        # While somebody else asks, a key that was good a moment ago still is.
        return self._pick(kid) is not None and (is_fresh or self._fetching.locked())

    def _pick(self, kid: str | None) -> jwt.PyJWK | None:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        async with self._fetching:
            if self._clock() - self._asked_at < COOLDOWN_SECONDS:
                return
            self._asked_at = self._clock()
            try:
                # Blocking, so off the loop that everybody waits on.
                found = await asyncio.to_thread(self._fetch)
            except (jwt.PyJWTError, OSError, ValueError, RecursionError) as error:
                _log.warning("keys not fetched", reason=str(error))
                return
            self._keys, self._fetched_at = found, self._clock()

    def _fetch(self) -> dict[str | None, jwt.PyJWK]:
        keys = jwt.PyJWKSet.from_dict(self._client.fetch_data()).keys
        # A symmetric key does not belong into a published set: with it, whoever reads the set could sign.
        return {key.key_id: key for key in keys if key.key_type != _SYMMETRIC and key.public_key_use in {None, "sig"}}


def keys_of(settings: WebSettings) -> Keys | None:
    """The keys that the settings name; None where no bearer tokens are taken."""
    if settings.jwt_secret:
        return SharedSecret(settings.jwt_secret)
    return PublishedKeys(settings.jwks_url) if settings.jwks_url else None
