"""The keys that verify bearer tokens: one shared secret, or the public keys at a JWKS address."""

import asyncio
import json
import ssl
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

import httpx
import jwt
import structlog

from everyskill.web.refusals import InvalidToken, KeysUnavailable
from everyskill.web.settings import DEFAULT_JWKS_BYTES, DEFAULT_JWKS_SECONDS, WebSettings

FRESH_SECONDS = 300.0
COOLDOWN_SECONDS = 30.0
# How many requests may wait while keys are fetched: tokens that nobody knows must not fill the service.
MAX_WAITING = 50

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
    keys stay good. An answer that takes longer than `fetch_seconds` in all, or is larger than `max_bytes`, is
    none.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = monotonic,
        fetch_seconds: float = DEFAULT_JWKS_SECONDS,
        max_bytes: int = DEFAULT_JWKS_BYTES,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._url = url
        self._clock = clock
        self._fetch_seconds = fetch_seconds
        self._max_bytes = max_bytes
        self._max_waiting = max_waiting
        # The system's certificates, where a company has its own; httpx would take those of Mozilla.
        self._certificates = ssl.create_default_context()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = self._attempted_at = float("-inf")
        self._fetching = asyncio.Lock()
        self._waiting = 0

    async def find(self, header: dict[str, Any]) -> Any:
        """The key of the header's `kid`; the only key, where the header names none."""
        kid = header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise InvalidToken
        is_fresh = self._clock() - self._fetched_at <= FRESH_SECONDS
        # While another request fetches, a cached key is used and nobody waits.
        if self._cached(kid) is None or not (is_fresh or self._waiting):
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
        if self._waiting >= self._max_waiting:
            raise KeysUnavailable
        self._waiting += 1
        try:
            async with self._fetching:
                if self._clock() - self._attempted_at >= COOLDOWN_SECONDS:
                    await self._fetch()
        finally:
            self._waiting -= 1

    async def _fetch(self) -> None:
        self._attempted_at = self._clock()
        try:
            async with asyncio.timeout(self._fetch_seconds):
                # In a thread: a mebibyte of keys is seconds of work.
                self._keys = await asyncio.to_thread(_read_keys, await self._download())
        except Exception as error:  # noqa: BLE001 - whatever the address does, the cached keys stay good
            _log.warning("keys not fetched", reason=f"{type(error).__name__}: {error}")
        else:
            self._fetched_at = self._clock()

    async def _download(self) -> bytes:
        # httpx leaves a connection open whose TLS handshake is cancelled; it closes one that it gives up by itself.
        timeout = httpx.Timeout(None, connect=self._fetch_seconds / 2)
        async with (
            httpx.AsyncClient(verify=self._certificates, timeout=timeout) as client,
            client.stream("GET", self._url, headers={"Accept-Encoding": "identity"}) as response,
        ):
            if not response.is_success:
                # httpx would name the address, whose query may hold a key.
                raise ValueError(f"status {response.status_code}")
            body = bytearray()
            # As it was sent: what is packed all the same is never unpacked.
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self._max_bytes:
                    raise ValueError(f"more than {self._max_bytes:,} bytes")
                # Thousands of small chunks arrive at once, and others have their turn in between.
                await asyncio.sleep(0)
        return bytes(body)


def _read_keys(key_set: bytes) -> dict[str | None, jwt.PyJWK]:
    keys = [key for key in json.loads(key_set)["keys"] if isinstance(key, dict) and _verifies(key)]
    return {key.key_id: key for key in jwt.PyJWKSet(keys).keys if _is_long_enough(key)}


def _verifies(key: dict[str, Any]) -> bool:
    # Never a symmetric key or a private one: whoever reads the published set could sign tokens with it.
    return key.get("kty") != "oct" and "d" not in key and key.get("use") in (None, "sig")


def _is_long_enough(key: jwt.PyJWK) -> bool:
    """Of RSA at least 2,048 bits (RFC 7518, 3.3)."""
    fault = key.Algorithm.check_key_length(key.key)
    if fault is not None:
        _log.warning("key refused", kid=key.key_id, reason=fault)
    return fault is None


def create_keys(settings: WebSettings) -> Keys | None:
    """The keys that the settings name; None where no bearer tokens are taken."""
    if settings.jwt_secret:
        return SharedSecret(settings.jwt_secret)
    if settings.jwks_url:
        return PublishedKeys(settings.jwks_url, fetch_seconds=settings.jwks_timeout, max_bytes=settings.jwks_limit)
    return None
