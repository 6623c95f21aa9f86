"""Starts a server again that ended under its program: once for all calls that need it, with pauses where it fails."""

import asyncio
import time

from everyskill.embedded.server import EmbeddedServer
from everyskill.errors import DatabaseNotReady

MIN_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 30.0


class Restarter:
    """Restarts the server of one database handle, on its event loop."""

    def __init__(self, server: EmbeddedServer, *, min_pause: float = MIN_PAUSE_SECONDS) -> None:
        self._server = server
        self._min_pause = min_pause
        self._pause = 0.0
        self._pause_ends = 0.0
        self._attempt: asyncio.Future[None] | None = None

    async def restart(self) -> None:
        """Returns when the server runs. Joins the attempt that is under way, in this program or in another.

        Raises EmbeddedServerFailed or DataDirectoryInUse, and does so again without an attempt until a pause is over.
        """
        if self._attempt is None or (self._attempt.done() and time.monotonic() >= self._pause_ends):
            self._attempt = asyncio.ensure_future(self._try())
        # A caller that gives up leaves the attempt to the others.
        await asyncio.shield(self._attempt)

    async def _try(self) -> None:
        try:
            await asyncio.to_thread(self._server.restart_if_ended)
        except DatabaseNotReady:
            self._pause = min(max(2 * self._pause, self._min_pause), MAX_PAUSE_SECONDS)
            self._pause_ends = time.monotonic() + self._pause
            raise
        self._pause = 0.0
