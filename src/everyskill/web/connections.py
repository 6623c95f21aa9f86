"""Bounds what a client can hold: how many connections, how long a request's head takes, how long responses wait.

uvicorn's own protocol waits without end for the head of a first request and for a client that does not read.
"""

import resource
import socket
import struct
from asyncio import BaseTransport
from collections.abc import Iterator
from heapq import nsmallest
from http import HTTPStatus
from typing import Any

from msgspec import Struct
from uvicorn.protocols.http.flow_control import CLOSE_HEADER

from everyskill.web.messages import StrictProtocol
from everyskill.web.settings import WebSettings

# How many connections the event loop accepts before it looks at those it has.
ACCEPTED_AT_ONCE = 16
# For what was just accepted, as one that is too many is closed four turns of the loop later; and for all but clients:
# the log, the listener, the connections to the database.
_RESERVED_FILES = 4 * ACCEPTED_AT_ONCE + 64
_MIN_CONNECTIONS = 16
_READ_BYTES = 32 * 1024
# What the kernel was to send is dropped as the socket is closed, and not kept until somebody reads it.
_NO_LINGER = struct.pack("ii", 1, 0)
# How many of the connections may be ones on which no request was sent yet, before those give way first.
_SILENT_SHARE = 1 / 4
# How many of the connections are closed at once where they are too many: to choose costs a look at all of them.
_CLOSED_SHARE = 1 / 64


class ConnectionLimits(Struct, frozen=True):
    """How many connections may be open, in how many seconds a head must arrive and responses must be read, and how many
    bytes may wait for that on all connections together.
    """

    connections: int
    head_seconds: float
    send_seconds: float
    unread_bytes: int


def limits_of(settings: WebSettings) -> ConnectionLimits:
    """What the settings say, but never more connections than the process may open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    connections = settings.connection_limit
    if files != resource.RLIM_INFINITY:
        connections = min(connections, max(files - _RESERVED_FILES, _MIN_CONNECTIONS))
    return ConnectionLimits(connections, settings.head_timeout, settings.send_timeout, settings.unread_limit)


class BoundedProtocol(StrictProtocol):
    """The protocol of a connection, with a deadline for everything that depends on the client.

    `deadline` is a time of the event loop, None while a request is in progress. The server looks at the deadlines of
    all connections once a second, which costs less than timers for each request.
    """

    def __init__(self, *arguments: Any, limits: ConnectionLimits, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.deadline: float | None = None
        self._limits = limits
        self._is_postponed = False

    def connection_made(self, transport: BaseTransport) -> None:
        """Makes room, where there are too many, by closing those that wait longest for their clients."""
        super().connection_made(transport)  # type: ignore[arg-type]
        # What is read at once is parsed at once, while all others wait.
        self.transport.max_size = _READ_BYTES  # type: ignore[attr-defined]
        self._wait_for_head()
        if len(self.connections) > self._limits.connections:
            self.warn("too many connections", limit=self._limits.connections)
            for idle in self._most_idle() or [self]:
                idle.abort()

    def on_headers_complete(self) -> None:
        """From the complete head to the response, the time is ours."""
        super().on_headers_complete()
        self.deadline = None

    def refuse(self, status: HTTPStatus) -> None:
        """Refuses what is no HTTP; the client must read that, too."""
        self._wait_for_head()
        super().refuse(status)

    def on_response_complete(self) -> None:
        """Goes on to the next request, but not before the client has read the responses so far.

        A pipelined request would otherwise be in progress, in the eyes of admission.py, for as long as nobody reads.
        """
        if self.flow.write_paused and not self.transport.is_closing():
            self._is_postponed = True
            return
        if not self.flow.write_paused:
            self._wait_for_head()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client reads more slowly than it asks. Of too much that is unread, what waits longest is dropped."""
        super().pause_writing()
        self.deadline = self.loop.time() + self._limits.send_seconds
        unread = sorted(
            (each for each in self._others() if each.flow.write_paused), key=lambda each: each.deadline or 0.0
        )
        size = self.unread + sum(each.unread for each in unread)
        for each in unread:
            if size <= self._limits.unread_bytes:
                return
            size -= each.unread
            each.abort()

    def resume_writing(self) -> None:
        """The client has read what was sent."""
        super().resume_writing()
        self._wait_for_head()
        if self._is_postponed:
            self._is_postponed = False
            self.on_response_complete()

    def close_after_response(self) -> None:
        """Tells the client with the response in progress that this connection takes no further request."""
        if self.is_working:
            self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]

    def close_if_late(self, now: float) -> None:
        """Closes a connection whose client has exceeded its time, whatever is left to send."""
        if self.deadline is not None and self.deadline < now:
            self.abort()

    def abort(self) -> None:
        """Closes the connection at once, and drops what its client does not read."""
        if self.unread:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        super().abort()

    @property
    def unread(self) -> int:
        """How many bytes wait for the client to read."""
        return self.transport.get_write_buffer_size()

    @property
    def waits_for_client(self) -> bool:
        """Whether the client must send or read something before anything goes on."""
        return not self.is_working or self.flow.write_paused

    def _wait_for_head(self) -> None:
        self.deadline = self.loop.time() + self._limits.head_seconds

    def _most_idle(self) -> "list[BoundedProtocol]":
        """The connections to close first; none, if all others work.

        Not this one before: who sends a request on each connection now and then would keep all newcomers out. Those
        that never sent one go first where they are many; few are newcomers, whose requests are on their way.
        """
        waiting = [other for other in self._others() if other.waits_for_client]
        are_many = sum(other.cycle is None for other in waiting) > self._limits.connections * _SILENT_SHARE

        def rank(other: BoundedProtocol) -> tuple[bool, bool, float]:
            # Of those chosen first the ones that do not read, then the oldest.
            return (other.cycle is None) != are_many, not other.flow.write_paused, other.deadline or 0.0

        return nsmallest(max(int(self._limits.connections * _CLOSED_SHARE), 1), waiting, rank)

    def _others(self) -> "Iterator[BoundedProtocol]":
        return (each for each in self.connections if isinstance(each, BoundedProtocol) and each is not self)
