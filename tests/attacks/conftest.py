"""A live service with limits that a test can reach, and clients who do not keep to the rules."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import pytest

from tests.support.databases import Clone
from tests.support.http_clients import AUDIENCE, ISSUER, SECRET
from tests.support.service_process import Service, start, started

RunService: TypeAlias = Callable[..., Awaitable[Service]]


@pytest.fixture
async def run_service(newest_server: None, clone: Clone) -> AsyncIterator[RunService]:
    """Starts a service with settings by their names in lower case: `await run_service(busy_limit=4)`."""
    running: list[Service] = []

    async def run(*, max_files: int | None = None, **settings: object) -> Service:
        if "jwks_url" not in settings:
            settings["jwt_secret"] = SECRET
        named = {f"EVERYSKILL_{name.upper()}": str(value) for name, value in settings.items()}
        process = await start(
            max_files=max_files,
            EVERYSKILL_DATABASE_URL=clone.service_url,
            EVERYSKILL_JWT_ISSUER=ISSUER,
            EVERYSKILL_JWT_AUDIENCE=AUDIENCE,
            **named,
        )
        running.append(await started(process))
        return running[-1]

    yield run
    for service in running:
        await service.kill()
