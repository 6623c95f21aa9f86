"""The OpenAPI document: true to what the API does, by schemathesis, and with an example for every answer."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from litestar import Litestar
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

import everyskill
from everyskill.handles import Tenant
from everyskill.web.app import create_app
from tests.support.http_clients import SETTINGS, bearer, client_of
from tests.support.skills import publish

Operation = APIOperation[Any, Any, Any, Any]
AnyCase = Case[Any]

EXAMPLES = 10
SECONDS = 20
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
# The document is the same whatever the database, and this one is never opened.
DOCUMENT = create_app(everyskill.connect("postgresql:///nowhere"), SETTINGS).openapi_schema.to_schema()
CALLS = {
    f"{method.upper()} {path}": call
    for path, calls in DOCUMENT["paths"].items()
    for method, call in calls.items()
    if path.startswith("/v1/")
}

# A call that takes nothing but names in its path cannot be called wrongly: any text is a name.
TAKING = [name for name, call in CALLS.items() if "requestBody" in call or "query" in str(call.get("parameters"))]
PAIRS = [(name, GenerationMode.POSITIVE) for name in CALLS] + [(name, GenerationMode.NEGATIVE) for name in TAKING]

each_operation = pytest.mark.parametrize("label", CALLS)


@each_operation
def test_every_answer_is_described_with_an_example(label: str) -> None:
    answers = CALLS[label]["responses"]
    assert {"400", "401", "503"} <= answers.keys()
    for status, answer in answers.items():
        for body in answer.get("content", {}).values():
            assert body.get("examples"), status


async def test_the_document_is_served_as_openapi_and_asks_for_a_bearer_token(ann: httpx.AsyncClient) -> None:
    served = (await ann.get("/schema")).json()
    assert served == (await ann.get("/schema/openapi.json")).json()
    assert served["paths"].keys() == DOCUMENT["paths"].keys()
    assert served["openapi"].startswith("3.1")
    assert served["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert all(call["security"] == [{"bearer": []}] for call in CALLS.values())


@each_operation
async def test_no_call_answers_somebody_unknown(app: Litestar, label: str) -> None:
    method, path = label.split()
    async with client_of(app) as client:
        assert (await client.request(method, path)).status_code == 401


@pytest.mark.parametrize(("label", "mode"), PAIRS, ids=lambda value: str(getattr(value, "value", value)))
async def test_the_api_does_what_the_document_says(
    app: Litestar, acme: Tenant, label: str, mode: GenerationMode
) -> None:
    known = await known_ids(acme) if mode is GenerationMode.POSITIVE else {}
    loop = asyncio.get_running_loop()
    async with client_of(app, bearer(role="admin")) as client:

        def call(case: AnyCase) -> httpx.Response:
            asked = asyncio.run_coroutine_threadsafe(client.send(request_of(case, client)), loop)
            return asked.result(SECONDS)

        # Hypothesis is not asynchronous, so it thinks in a thread and the service answers here.
        await asyncio.to_thread(explore, label, mode, call, known)


async def known_ids(tenant: Tenant) -> dict[str, str]:
    """What stands in paths, so that what is asked about is there."""
    skill = await publish(tenant)
    await publish(tenant, content="two")
    await tenant.visit_skill("ann", skill.skill_id)
    version = (await tenant.list_versions("pdf"))[0]
    return {"skill_id": skill.skill_id, "skill": "pdf", "version_id": version.id}


def explore(label: str, mode: GenerationMode, call: Callable[[AnyCase], httpx.Response], known: dict[str, str]) -> None:
    seen = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation(label).as_strategy(generation_mode=mode))
    def examine(case: AnyCase) -> None:
        nonlocal seen
        seen += 1
        if seen % 3:
            case.path_parameters |= {name: known[name] for name in case.path_parameters if name in known}
        case.validate_response(call(case), checks=CHECKS)

    examine()


def operation(label: str) -> Operation:
    """A call as schemathesis reads it. Without its need of a token: that one is always sent here."""
    open_to_all = {
        path: {method: {key: call[key] for key in call if key != "security"} for method, call in calls.items()}
        for path, calls in DOCUMENT["paths"].items()
    }
    schema: Any = schemathesis.openapi.from_dict(DOCUMENT | {"paths": open_to_all})
    method, path = label.split()
    return schema[path][method]  # type: ignore[no-any-return]


def request_of(case: AnyCase, client: httpx.AsyncClient) -> httpx.Request:
    asked: Any = case.as_transport_kwargs(base_url=str(client.base_url))
    prepared = requests.Request(**{name: asked[name] for name in asked if name in REQUEST_FIELDS}).prepare()
    headers: Any = {**prepared.headers, **client.headers}
    body: Any = prepared.body
    return httpx.Request(prepared.method or "", prepared.url or "", headers=headers, content=body)


REQUEST_FIELDS = {"method", "url", "headers", "files", "data", "params", "cookies", "json"}
