"""The OpenAPI document: true to what the service does, by schemathesis, and with an example for every answer."""

import asyncio
import sys
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from litestar.openapi.spec import OpenAPI

import everyskill
from everyskill.handles import Tenant
from everyskill.web.app import create_app
from tests.support import schemathesis_hooks
from tests.support.http_clients import SETTINGS, bearer, client_of
from tests.support.service_process import Service, environment
from tests.support.skills import publish

CONFIG = Path(schemathesis_hooks.__file__).with_name("schemathesis.toml")
# The document is the same whatever the database, and this one is never opened.
DOCUMENT = create_app(everyskill.connect("postgresql:///nowhere"), SETTINGS).openapi_schema.to_schema()
ROUTES = {
    f"{method.upper()} {path}": call for path, calls in DOCUMENT["paths"].items() for method, call in calls.items()
}
CALLS = {label: call for label, call in ROUTES.items() if " /v1/" in label}
ALL_PHASES = "examples,coverage,fuzzing,stateful"

each_route = pytest.mark.parametrize("label", ROUTES)
each_call = pytest.mark.parametrize("label", CALLS)


@each_route
def test_every_answer_is_described_with_an_example(label: str) -> None:
    answers = ROUTES[label]["responses"]
    assert {"400", "421", "431"} <= answers.keys()
    for status, answer in answers.items():
        for body in answer.get("content", {}).values():
            assert body.get("examples"), status


@each_call
def test_every_refusal_of_a_call_is_described(label: str) -> None:
    answers = CALLS[label]["responses"].keys()
    assert {"401", "503"} <= answers
    assert "{" not in label or "404" in answers
    assert label.startswith("GET") or {"403", "415"} <= answers
    assert "requestBody" not in CALLS[label] or {"403", "408", "413", "415"} <= answers


def test_no_two_paths_differ_in_the_names_of_their_parameters_alone() -> None:
    shapes = [tuple("{}" if part.startswith("{") else part for part in path.split("/")) for path in DOCUMENT["paths"]]
    assert len(set(shapes)) == len(shapes)


async def test_the_document_is_made_before_anybody_asks_for_it(
    app: Litestar, ann: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app.lifespan():
        monkeypatch.setattr(OpenAPI, "to_schema", None)
        assert (await ann.get("/schema")).status_code == 200


async def test_the_document_is_served_as_openapi_and_asks_for_a_bearer_token(ann: httpx.AsyncClient) -> None:
    served = (await ann.get("/schema")).json()
    assert served == (await ann.get("/schema/openapi.json")).json()
    assert served["paths"].keys() == DOCUMENT["paths"].keys()
    assert served["openapi"].startswith("3.1")
    assert served["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert all(call["security"] == [{"bearer": []}] for call in CALLS.values())


async def test_what_is_not_there_below_the_document_is_a_problem(ann: httpx.AsyncClient) -> None:
    answer = await ann.get("/schema/swagger", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_metrics_are_the_text_that_the_document_says(ann: httpx.AsyncClient) -> None:
    [described] = ROUTES["GET /metrics"]["responses"]["200"]["content"]
    assert (await ann.get("/metrics")).headers["content-type"] == described
    assert described.startswith("text/plain")


@each_call
async def test_no_call_answers_somebody_unknown(app: Litestar, label: str) -> None:
    method, path = label.split()
    async with client_of(app) as client:
        assert (await client.request(method, path)).status_code == 401


@pytest.mark.parametrize(
    ("who", "phases"),
    [(bearer(role="admin"), ALL_PHASES), (bearer(), "coverage"), ({}, "coverage")],
    ids=["admin", "member", "nobody"],
)
async def test_the_service_does_what_the_document_says(
    service: Service, acme: Tenant, who: dict[str, str], phases: str, tmp_path: Path
) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    code, said = await run_schemathesis(service.url, who, phases, tmp_path)
    assert code == 0, said
    # A call that never met what it asks about was not tried.
    assert phases != ALL_PHASES or "Missing test data" not in said


async def run_schemathesis(url: str, headers: dict[str, str], phases: str, folder: Path) -> tuple[int, str]:
    """Tries every call of the document over a socket: the exit code, and what was found."""
    command = ["--config-file", str(CONFIG), "run", f"{url}/schema", "--phases", phases]
    given = [argument for name, value in headers.items() for argument in ("--header", f"{name}: {value}")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", *command, *given),
        cwd=folder,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()
