"""A proxy before PostgreSQL that cuts the connection at a COMMIT."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, quote, urlsplit

from everyskill.embedded.sockets import PORT, SOCKET_FILE

COMMIT = b"COMMIT\0"


class CuttingProxy:
    """Passes everything on until `cuts` is set: then it ends the connection "before" or "after" the server's COMMIT."""

    def __init__(self, server_socket: str) -> None:
        self._server_socket = server_socket
        self.cuts: Literal["before", "after"] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        from_server, to_server = await asyncio.open_unix_connection(self._server_socket)
        answering = asyncio.create_task(self._answer(from_server, writer))
        with suppress(OSError):
            while sent := await reader.read(65536):
                if self.cuts is not None and COMMIT in sent:
                    answering.cancel()
                    await asyncio.wait([answering])
                    if self.cuts == "after":
                        to_server.write(sent)
                        # The server has answered: what was sent is done.
                        await from_server.read(1)
                    self.cuts = None
                    break
                to_server.write(sent)
        answering.cancel()
        to_server.close()
        writer.close()

    async def _answer(self, from_server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while answer := await from_server.read(65536):
                to_client.write(answer)
            to_client.close()


@asynccontextmanager
async def cutting_proxy(url: str, folder: Path) -> AsyncIterator[tuple[CuttingProxy, str]]:
    """The proxy, and the URL that leads through it."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    proxy = CuttingProxy(f"{query['host']}/{SOCKET_FILE}")
    listening = await asyncio.start_unix_server(proxy.serve, folder / SOCKET_FILE)
    try:
        yield proxy, parts._replace(query=f"host={quote(str(folder))}&port={PORT}").geturl()
    finally:
        listening.close()
