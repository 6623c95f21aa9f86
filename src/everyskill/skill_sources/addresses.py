"""Reaches addresses: checks scheme and host, connects to the address that was checked, and bounds size and time."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

from msgspec import Struct

from everyskill.errors import AddressRefused, SourceUnavailable
from everyskill.extras import extra
from everyskill.skill_sources.bounds import MAX_REDIRECTS, Bounds
from everyskill.skill_sources.source import shown_address

with extra("cli"):
    import httpx

_PORTS = {"https": 443, "http": 80, "ssh": 22}
# IPv4 in IPv6, for networks that have only that.
_NAT64 = IPv6Network("64:ff9b::/96")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Target(Struct, frozen=True):
    """An address that may be reached, and where its host's name leads; None where that was not asked."""

    address: str
    host: str
    port: int
    ip: str | None


def shown(address: str) -> str:
    """An address as messages name it."""
    return shown_address(urlsplit(address))


async def check_address(address: str, bounds: Bounds) -> Target:
    """Resolves the host. Raises AddressRefused for what may not be reached, SourceUnavailable for a name of nobody."""
    parts = urlsplit(address)
    if parts.scheme not in bounds.schemes:
        raise AddressRefused(shown(address), f"{parts.scheme} is not allowed, but for --allow-scheme {parts.scheme}")
    try:
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    except ValueError as error:
        raise AddressRefused(shown(address), "its port is none") from error
    if bounds.private_hosts:
        return Target(address, host, port, None)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(bounds.max_seconds):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise SourceUnavailable(shown(address), "its host is not known") from error
    ips = [str(entry[4][0]) for entry in found]
    if not all(_is_public(ip) for ip in ips):
        raise AddressRefused(shown(address), "its host is in a private network; --allow-private-hosts allows that")
    return Target(address, host, port, ips[0])


class Downloads:
    """What is downloaded for one source: all of it shares one bound of bytes and one of seconds."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._left = bounds.max_bytes
        self._deadline = asyncio.get_running_loop().time() + bounds.max_seconds
        # The system's certificates, where a company has its own; httpx would take those of Mozilla.
        self._certificates = ssl.create_default_context()

    async def fetch(self, address: str, to: BinaryIO) -> None:
        """Writes what stands at an address. Raises AddressRefused and SourceUnavailable."""
        async with self._within_time(address), self._open(address) as (response, _):
            if not response.is_success:
                raise SourceUnavailable(shown(address), f"it answers with status {response.status_code}")
            # As it was sent: what is packed all the same is never unpacked.
            async for chunk in response.aiter_raw():
                self._left -= len(chunk)
                if self._left < 0:
                    raise SourceUnavailable(shown(address), f"it has more than {self._bounds.max_bytes:,} bytes")
                to.write(chunk)

    async def follow(self, address: str) -> Target:
        """Where an address leads in the end, whatever it answers there. Raises AddressRefused, SourceUnavailable."""
        async with self._within_time(address), self._open(address) as (_, target):
            return target

    @asynccontextmanager
    async def _within_time(self, address: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout_at(self._deadline):
                yield
        except TimeoutError as error:
            raise SourceUnavailable(
                shown(address), f"it took more than {self._bounds.max_seconds:g} seconds"
            ) from error
        except httpx.HTTPError as error:
            raise SourceUnavailable(shown(address), f"{type(error).__name__}: {error}".rstrip(".: ")) from error
        except httpx.InvalidURL as error:
            raise AddressRefused(shown(address), "it is no address") from error

    @asynccontextmanager
    async def _open(self, address: str) -> AsyncIterator[tuple[httpx.Response, Target]]:
        # Not through a proxy, which would look the host up by itself and reach what was not checked.
        timeout = httpx.Timeout(None, connect=self._bounds.max_seconds / 2)
        async with httpx.AsyncClient(verify=self._certificates, timeout=timeout, trust_env=False) as client:
            for _ in range(MAX_REDIRECTS + 1):
                target = await check_address(address, self._bounds)
                url, headers, extensions = _pinned(target)
                async with client.stream("GET", url, headers=headers, extensions=extensions) as response:
                    if response.status_code not in _REDIRECTS or "location" not in response.headers:
                        yield response, target
                        return
                    address = urljoin(address, response.headers["location"])
        raise AddressRefused(shown(address), f"it leads on more than {MAX_REDIRECTS} times")


def _pinned(target: Target) -> tuple[httpx.URL, dict[str, str], dict[str, str]]:
    # A name may lead elsewhere when it is asked again. The certificate is still that of the name.
    url, headers = httpx.URL(target.address), {"Accept-Encoding": "identity"}
    if target.ip is None:
        return url, headers, {}
    return url.copy_with(host=target.ip), headers | {"Host": url.netloc.decode("ascii")}, {"sni_hostname": url.host}


def _is_public(text: str) -> bool:
    ip = ip_address(text.partition("%")[0])
    if isinstance(ip, IPv6Address):
        if embedded := ip.ipv4_mapped or ip.sixtofour:
            return _is_public(str(embedded))
        if ip in _NAT64:
            return _is_public(str(ip_address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast
