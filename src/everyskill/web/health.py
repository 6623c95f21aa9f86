"""What an operator's machines ask: whether this process is alive, whether it can serve, and its metrics."""

import asyncio
from typing import Any

from litestar import Response, Router, get
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from everyskill.errors import DatabaseNotReady
from everyskill.handles import Database
from everyskill.web.api.openapi import open_responses
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
            # Where all who asked hung up, nobody else is left to look at its error.
            self._checking.add_done_callback(lambda check: check.cancelled() or check.exception())
        # Whoever hangs up does not end it for the others.
        await asyncio.shield(self._checking)


@get("/health/live", responses=open_responses(Health, Health()))
async def is_alive() -> Health:
    """Whether the process answers. Asks the database nothing."""
    return Health()


@get("/health/ready", responses=open_responses(Health, Health(), 503))
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


@get(
    "/metrics",
    sync_to_thread=True,
    responses=open_responses(str, "everyskill_requests_total 1.0\n", media_type=CONTENT_TYPE_LATEST),
)
def get_metrics() -> Response[bytes]:
    """The metrics of this process, as Prometheus reads them. In a thread, because it may take a tenth of a second."""
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


router = Router("/", route_handlers=[is_alive, is_ready, get_metrics], response_headers=NO_STORE, tags=["Operation"])
