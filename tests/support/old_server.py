"""A proxy before PostgreSQL that tells its clients of an older version."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from everyskill.embedded.sockets import PORT, SOCKET_FILE

VERSION = re.compile(rb"(server_version\0)\d\d")


@asynccontextmanager
async def old_server(url: str, folder: Path) -> AsyncIterator[str]:
    """The URL that leads to the same server, which there is PostgreSQL 14."""
    parts = urlsplit(url)
    server_socket = f"{parse_qs(parts.query)['host'][0]}/{SOCKET_FILE}"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(server_socket)
        await asyncio.gather(_pass_on(reader, to_server), _pass_on(from_server, writer))

    listening = await asyncio.start_unix_server(serve, folder / SOCKET_FILE)
    try:
        yield parts._replace(query=f"host={quote(str(folder))}&port={PORT}").geturl()
    finally:
        listening.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while sent := await reader.read(65536):
            writer.write(VERSION.sub(rb"\g<1>14", sent))
    writer.close()
