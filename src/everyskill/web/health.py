"""The probes of an orchestrator: whether this process is alive, and whether it can serve."""

import asyncio
from typing import Any

from litestar import Response, Router, get
from msgspec import Struct

from everyskill.errors import DatabaseNotReady
from everyskill.handles import Database
from everyskill.web.headers import NO_STORE
from everyskill.web.problems import PROBLEM_JSON, RETRY_AFTER_SECONDS, STATUSES, make_problem
from everyskill.web.requests import AnyRequest


class Health(Struct, frozen=True):
    """All is well."""

    status: str = "ok"


class Readiness:
    """Checks the database once for all who ask at the same time: each check opens a connection of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._checking: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Raises DatabaseNotReady where the service cannot serve."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._database.check())
        # Whoever hangs up does not end it for the others.
        await asyncio.shield(self._checking)


@get("/live")
async def is_alive() -> Health:
    """Whether the process answers. Asks the database nothing."""
    return Health()


@get("/ready")
async def is_ready(request: AnyRequest) -> Response[Any]:
    """Whether the database is there, at the right revision, and reached as a role that cannot see too much."""
    readiness: Readiness = request.app.state.readiness
    try:
        await readiness.check()
    except DatabaseNotReady as error:
        status = STATUSES[DatabaseNotReady]
        # Probes are read by the operator, so unlike every other route this one gives the reason.
        problem = make_problem(status, error.code, str(error))
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return Response(problem, status_code=status, media_type=PROBLEM_JSON, headers=headers)
    return Response(Health())


router = Router("/health", route_handlers=[is_alive, is_ready], response_headers=NO_STORE, tags=["Health"])
