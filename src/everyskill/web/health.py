"""What an operator's machines ask: whether this process is alive, whether it can serve, and its metrics."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from litestar import Response, Router, get
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from everyskill.errors import DatabaseNotReady
from everyskill.web.api.openapi import open_responses
from everyskill.web.headers import NO_STORE
from everyskill.web.problems import PROBLEM_JSON, RETRY_AFTER_SECONDS, STATUSES, make_problem
from everyskill.web.requests import AnyRequest

_Answer = TypeVar("_Answer")


class Health(Struct, frozen=True):
    """All is well."""

    status: str = "ok"


class Shared(Generic[_Answer]):
    """Finds the answer once for all who ask at the same time."""

    def __init__(self, find: Callable[[], Coroutine[Any, Any, _Answer]]) -> None:
        self._find = find
        self._finding: asyncio.Task[_Answer] | None = None

    async def ask(self) -> _Answer:
        """The answer, or the error in its place."""
        if self._finding is None or self._finding.done():
            self._finding = asyncio.create_task(self._find())
            # Where all who asked hung up, nobody else is left to look at its error.
            self._finding.add_done_callback(lambda finding: finding.cancelled() or finding.exception())
        # Whoever hangs up does not end it for the others.
        return await asyncio.shield(self._finding)


@get("/health/live", responses=open_responses(Health, Health()))
async def is_alive() -> Health:
    """Whether the process answers. Asks the database nothing."""
    return Health()


@get("/health/ready", responses=open_responses(Health, Health(), 503))
async def is_ready(request: AnyRequest) -> Response[Any]:
    """Whether the database is there, at the right revision, and reached as a role that cannot see too much."""
    # Each check opens a connection of its own.
    readiness: Shared[None] = request.app.state.readiness
    try:
        await readiness.ask()
    except DatabaseNotReady as error:
        status = STATUSES[DatabaseNotReady]
        # Probes are read by the operator, so unlike every other route this one gives the reason.
        problem = make_problem(status, error.code, str(error))
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return Response(problem, status_code=status, media_type=PROBLEM_JSON, headers=headers)
    return Response(Health())


@get(
    "/metrics",
    responses=open_responses(str, "everyskill_requests_total 1.0\n", media_type=CONTENT_TYPE_LATEST),
)
async def get_metrics(request: AnyRequest) -> Response[bytes]:
    """The metrics of this process, as Prometheus reads them."""
    metrics: Shared[bytes] = request.app.state.metrics
    return Response(await metrics.ask(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def write_metrics() -> bytes:
    """In a thread, because it may take a tenth of a second."""
    return await asyncio.to_thread(generate_latest)


router = Router("/", route_handlers=[is_alive, is_ready, get_metrics], response_headers=NO_STORE, tags=["Operation"])
