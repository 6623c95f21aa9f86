"""Counts the requests in progress and the bytes of their bodies, in all and of each tenant.

Those that wait for the body of somebody unknown are counted too.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from time import monotonic
from typing import Any, cast

from litestar.types import Scope

from everyskill.web.refusals import TooBusy
from everyskill.web.settings import WebSettings

_KEY = "everyskill.place"
# How many requests each tenant may have however many others have.
_FEW = 10
# How many of the largest bodies may be in memory.
_LARGEST_BODIES = 16


class Places:
    """How many requests are in progress, of whom, and which of them wait for bodies of nobody known.

    A tenant has a quarter at most, and no more than are left to the others. A few of each find a place whatever others
    ask: so many tenants that are stuck may exceed the limit, by those few each.
    """

    def __init__(self, settings: WebSettings) -> None:
        self.limit = settings.busy_limit
        self.limit_of_unauthenticated = settings.unauthenticated_limit
        self.largest_body = settings.body_limit
        self.taken = 0
        self.taken_by: Counter[str] = Counter()
        self.body_bytes_of: Counter[str] = Counter()
        self.unauthenticated: dict[Place, asyncio.Timeout] = {}

    @property
    def are_full(self) -> bool:
        """Whether nobody is admitted: so many requests are in progress of nobody known yet."""
        return self.taken - self.taken_by.total() >= self.limit

    def limit_of_tenant(self) -> int:
        """How many requests any one tenant may have at the moment."""
        quarter = max(self.limit // 4, 1)
        return max(min(_FEW, quarter), min(quarter, self.limit - self.taken))

    def body_bytes_of_tenant(self) -> int:
        """How many bytes the bodies of any one tenant may have at the moment: one body always finds room."""
        limit = _LARGEST_BODIES * self.largest_body
        return max(self.largest_body, min(limit // 4, limit - self.body_bytes_of.total()))


class Place:
    """The place of one request, which counts against its tenant as soon as that is known."""

    __slots__ = ("body_bytes", "is_left", "places", "started", "tenant_id")

    def __init__(self, places: Places) -> None:
        self.places = places
        self.started = monotonic()
        self.tenant_id: str | None = None
        self.is_left = False
        self.body_bytes = 0
        places.taken += 1

    def claim(self, tenant_id: str) -> None:
        """Counts the request against its tenant. Raises TooBusy where that has its share, and where this gave way."""
        if self.tenant_id is not None:
            return
        if self.is_left or self.places.taken_by[tenant_id] >= self.places.limit_of_tenant():
            raise TooBusy
        self.places.taken_by[tenant_id] += 1
        self.tenant_id = tenant_id

    def leave(self) -> None:
        """Frees the place, once."""
        if self.is_left:
            return
        self.is_left = True
        self.places.taken -= 1
        if self.tenant_id is not None:
            self.places.taken_by[self.tenant_id] -= 1
            if not self.places.taken_by[self.tenant_id]:
                del self.places.taken_by[self.tenant_id]

    def add_to_body(self, size: int) -> None:
        """Counts a piece of the body. Raises TooBusy where its tenant has too much in memory; strangers have forms."""
        if self.tenant_id is None or not size:
            return
        if self.places.body_bytes_of[self.tenant_id] + size > self.places.body_bytes_of_tenant():
            raise TooBusy
        self.places.body_bytes_of[self.tenant_id] += size
        self.body_bytes += size

    def drop_body(self) -> None:
        """Counts the body no longer."""
        if self.body_bytes and self.tenant_id is not None:
            self.places.body_bytes_of[self.tenant_id] -= self.body_bytes
            if not self.places.body_bytes_of[self.tenant_id]:
                del self.places.body_bytes_of[self.tenant_id]

    @contextmanager
    def waiting_for_body(self, timeout: asyncio.Timeout) -> Iterator[None]:
        """Where too many wait whose tenant is not known, the oldest of them gives way."""
        waiting = self.places.unauthenticated
        if self.tenant_id is not None:
            yield
            return
        if len(waiting) >= self.places.limit_of_unauthenticated:
            oldest = min(waiting, key=lambda other: other.started)
            its_timeout = waiting.pop(oldest)
            # At once: many may come before its task runs.
            oldest.leave()
            # Its own time may be up, without its task having run since.
            if not its_timeout.expired():
                its_timeout.reschedule(0)
        waiting[self] = timeout
        try:
            yield
        finally:
            waiting.pop(self, None)


def take_place(scope: Scope, places: Places) -> Place:
    """The place of a request, which lasts until it leaves."""
    place = cast(MutableMapping[str, Any], scope)[_KEY] = Place(places)
    return place


def claim_place(scope: Scope, tenant_id: str) -> None:
    """Counts a request against its tenant. Raises TooBusy where that tenant has too many in progress."""
    place: Place = cast(MutableMapping[str, Any], scope)[_KEY]
    place.claim(tenant_id)
