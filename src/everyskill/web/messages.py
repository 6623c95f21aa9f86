"""Reads HTTP/1.1 strictly: one message at a time, and none that a proxy may have read as another.

uvicorn's own protocol on the same parser reads all that arrives at once, bounds no head, and takes for the next request
what is the body of one that asks for another protocol.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from everyskill.web.requests import BODY_ARRIVED, MAX_HEAD_BYTES

_LINE_END = b"\r\n"
# Every head and every chunked body ends with it.
_END = 2 * _LINE_END
_OVERLAP = len(_END) - 1
# A size of 64 bits, and two line ends.
_CHUNK_SIZE_BYTES = 16 + 2 * len(_LINE_END)
# How long the pieces of a body are on average once the response was sent. Its rest is read only so that the client gets
# to read that.
_UNWANTED_PIECE_BYTES = 1024


class Refused(Exception):
    """What arrived is well-formed and not taken all the same."""


class StrictProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which gives the parser no more than the message that has its turn.

    A body in pieces costs by the piece: `free_pieces` may be of any size, more are of `piece_bytes` on average.
    """

    def __init__(
        self, *arguments: Any, warn: Callable[..., None], free_pieces: int, piece_bytes: int, **named: Any
    ) -> None:
        super().__init__(*arguments, **named)
        # uvicorn's own one goes on behind a request that closes the connection.
        self.parser = httptools.HttpRequestParser(self)
        self.warn = warn
        self._free_pieces = free_pieces
        self._piece_bytes = piece_bytes
        # What arrived, with a little of what was parsed already; and where the rest begins.
        self._data = b""
        self._at = 0
        # The head, or the line with a chunk's size, as far as it was parsed.
        self._head = bytearray()
        self._is_in_head = True
        self._is_answered = True
        self._closes_behind_body = False
        # How many bytes of the message were parsed that are no data.
        self._fruitless = 0
        # What is missing of the body or of its chunk; where nothing is, what ends the part that has its turn.
        self._missing = 0
        self._end = _END
        self._pieces = self._bytes = 0

    def data_received(self, data: bytes) -> None:
        """Takes what the client sent."""
        self._data += data
        self._parse()

    def on_response_complete(self) -> None:
        """Goes on to the next request."""
        # Without uvicorn's timer for idle connections, one more a request: connections.py has deadlines.
        self.server_state.total_requests += 1
        self._is_answered = True
        self.flow.resume_reading()
        self._parse()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header; a trailer, which comes behind a chunked body, is none. Raises Refused."""
        if self._is_in_head:
            # The parser leaves the spaces behind a value.
            super().on_header(name, value.rstrip(b" \t"))
        elif name.lower() == b"connection":
            raise Refused("a trailer that is about the connection")

    def on_headers_complete(self) -> None:
        """Begins the request."""
        self._check_head()
        if self.parser.should_upgrade():
            return
        # HTTP/1.0 has no 100.
        self.expect_100_continue &= self.parser.get_http_version() == "1.1"
        super().on_headers_complete()
        if (self._missing or self._end != _END) and not self.expect_100_continue:
            sent_to = SimpleNamespace(
                write=self.transport.write, is_closing=self.transport.is_closing, close=self._close_behind_body
            )
            self.cycle.transport = cast(asyncio.Transport, sent_to)
        self._is_in_head = self._is_answered = False
        self._fruitless = self._pieces = self._bytes = 0

    def on_chunk_header(self) -> None:
        """Takes the size of a chunk, of which an extension is too much. Behind the last one come trailers."""
        self._fruitless -= _CHUNK_SIZE_BYTES
        # The parser has refused whatever is no number in hex.
        size = int(self._head.partition(b";")[0], 16)
        self._head.clear()
        if size:
            self._missing = size + len(_LINE_END)
        else:
            self._end = _END

    def on_body(self, body: bytes) -> None:
        """Takes a piece of a body. Raises Refused for very many tiny ones."""
        self._fruitless -= len(body)
        self._pieces += 1
        self._bytes += len(body)
        least = _UNWANTED_PIECE_BYTES if self.cycle.response_complete else self._piece_bytes
        if self._pieces > self._free_pieces and self._bytes < self._pieces * least:
            raise Refused("a body in too many pieces")
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The next message may begin, as soon as this one was answered."""
        if self.parser.should_upgrade() or self._fruitless > MAX_HEAD_BYTES:
            return
        self._is_in_head = True
        self._fruitless = 0
        self._head.clear()
        self._end = _END
        cast(dict[str, Any], self.scope)[BODY_ARRIVED] = True
        super().on_message_complete()
        if self._closes_behind_body:
            self.transport.close()

    def refuse(self, status: HTTPStatus) -> None:
        """Answers what is no HTTP, and closes the connection. Where a response has begun, there is no other to send."""
        if not self._is_in_head and self.cycle.response_started:
            self.abort()
            return
        if self.is_working:
            # What the app answers from now on goes nowhere.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        text = status.phrase.encode()
        head = b"content-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(text)
        self.transport.write(STATUS_LINE[status] + head + text)
        self.transport.close()

    def abort(self) -> None:
        """Closes the connection at once; it no longer counts."""
        self.connections.discard(self)
        self.transport.abort()

    @property
    def is_working(self) -> bool:
        """Whether a request is in progress."""
        return self.cycle is not None and not self.cycle.response_complete and not self.cycle.disconnected

    def _close_behind_body(self) -> None:
        """Closes the connection behind a response; with a body on its way, the client would not get to read that."""
        if self._is_in_head or not self.cycle.response_complete:
            self.transport.close()
        else:
            self._closes_behind_body = True

    def _parse(self) -> None:
        """Goes on to the end of a message, part by part. What follows it is pipelined, and waits for the response."""
        while self._at < len(self._data) and not self.transport.is_closing():
            if self._is_in_head and not self._is_answered:
                self.flow.pause_reading()
                break
            begin, self._at = self._at, self._find_end()
            part = memoryview(self._data)[begin : self._at]
            if self._missing:
                self._missing -= len(part)
            else:
                self._head += part
            self._feed(part)
        parsed = max(self._at - _OVERLAP, 0)
        self._data, self._at = self._data[parsed:], self._at - parsed

    def _find_end(self) -> int:
        """Where the part that has its turn may end, or, in its middle, what has arrived."""
        if self._missing:
            return min(self._at + self._missing, len(self._data))
        end = self._data.find(self._end, max(self._at - len(self._end) + 1, 0))
        return len(self._data) if end < 0 else end + len(self._end)

    def _feed(self, data: bytes | memoryview) -> None:
        self._fruitless += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._read_without_upgrade()
        except httptools.HttpParserError as error:
            # What the parser says of an address would repeat it.
            reason = error.__context__ if isinstance(error.__context__, Refused) else error
            self.warn("invalid request", reason=str(reason))
            self.refuse(HTTPStatus.BAD_REQUEST)
        else:
            if self._fruitless > MAX_HEAD_BYTES:
                self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _read_without_upgrade(self) -> None:
        """Reads a head again without the header that asks for another protocol, as the parser reads no body then."""
        start = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self._head += b"\r\n".join([start, *lines, b"", b""])
        self._feed(bytes(self._head))

    def _check_head(self) -> None:
        """Raises Refused for what the parser takes, and others may read otherwise or not at all."""
        names = [name for name, _ in self.headers]
        version, method = self.parser.get_http_version(), self.parser.get_method()
        line, _, _ = self._head.lstrip(b"\r\n").partition(b"\r\n")
        self._head.clear()
        # The parser takes several spaces, and other protocols by their names.
        if line != b"%b %b HTTP/%b" % (method, self.url, version.encode()):
            raise Refused("no request line of HTTP")
        if version not in {"1.0", "1.1"} or method == b"CONNECT":
            raise Refused("no request of HTTP/1")
        if not self.url.startswith(b"/") or b"#" in self.url:
            raise Refused("an address that is no path")
        if names.count(b"host") != 1 and (version == "1.1" or b"host" in names):
            raise Refused("not one Host")
        if names.count(b"authorization") > 1:
            raise Refused("more than one Authorization")
        values = dict(self.headers)
        if b"transfer-encoding" in values:
            codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
            if version != "1.1" or codings != [b"chunked"]:
                raise Refused("an unknown Transfer-Encoding")
            self._end = _LINE_END
        else:
            self._missing = int(values.get(b"content-length", 0))
