"""What the OpenAPI document says of each call: its answers with examples, and the problems it may meet."""

from http import HTTPStatus
from typing import Annotated, Any

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIFormat
from litestar.params import PathParameter, QueryParameter
from msgspec import to_builtins

from everyskill.model.inputs import MAX_ID_LENGTH, MAX_LIMIT, MAX_NAME_LENGTH, MAX_VERSION
from everyskill.web.problems import PROBLEM_JSON, Problem, make_problem

_EVERYWHERE: dict[int, tuple[str, str]] = {
    400: ("invalid_identifier", "skill_id must not hold a NUL or a lone surrogate character."),
    401: ("not_signed_in", "Sign in, or send a bearer token."),
    503: ("database_unreachable", "The database is not ready. Try again in a few seconds."),
}
_SOMEWHERE: dict[int, tuple[str, str]] = {
    403: ("csrf_failed", "This form is out of date. Load the page again and repeat what you did."),
    404: ("skill_not_found", "There is no skill '4b0f…' in this tenant."),
    413: ("request_entity_too_large", "Request Entity Too Large"),
    415: ("unsupported_media_type", "Send the body as application/json."),
}
READS_BODY = (403, 413, 415)
_NOT_CHANGED = ResponseSpec(None, description="You have the answer with this ETag already.", generate_examples=False)


def _told(description: str, example: object, **schema: Any) -> dict[str, Any]:
    # Told, not checked here: the services check, and their answers have better words.
    return {"description": description, "examples": [Example(value=example)], "schema_extra": schema}


_STORABLE = {"minLength": 1, "maxLength": MAX_ID_LENGTH, "pattern": "^[^\\x00]+$"}
_SHORT = {"maxLength": MAX_NAME_LENGTH, "pattern": "^[^\\x00]*$"}

EXAMPLE_SKILL_ID = "0b7e1f0c-5a5e-4a51-9d0e-3f0c9a8a2f11"
EXAMPLE_MOMENT = "2026-11-21T09:30:00.123Z"

_A_SKILL = _told("The skill, by its id.", EXAMPLE_SKILL_ID, **_STORABLE)
_SKILLS = _told("The skills, by their ids.", [EXAMPLE_SKILL_ID], type="array", items={"type": "string"} | _STORABLE)
_NAMED = _told("The skill, by its slug or its id.", "code-review", **_STORABLE)
_SLUG = _told("The skill, by its slug.", "code-review", **_STORABLE)
_A_VERSION = _told("The version, by its id.", EXAMPLE_SKILL_ID, **_STORABLE)
_LIMIT = _told("How many items.", 10, type="integer", minimum=1, maximum=MAX_LIMIT)
_NUMBER = {"type": "integer", "minimum": 1, "maximum": MAX_VERSION}

SkillId = Annotated[str, PathParameter(**_A_SKILL)]
SkillIds = Annotated[list[str] | None, QueryParameter(name="skill_id", **_SKILLS)]
SkillName = Annotated[str, PathParameter(**_NAMED)]
SkillSlug = Annotated[str, PathParameter(**_SLUG)]
VersionId = Annotated[str, PathParameter(**_A_VERSION)]
Limit = Annotated[int, QueryParameter(**_LIMIT)]
AtMost = Annotated[
    int | None,
    QueryParameter(**_told("Count no further than this.", 21, type="integer", minimum=1, maximum=MAX_LIMIT)),
]
Cursor = Annotated[str | None, QueryParameter(**_told("`next_cursor` of the page before.", "code-review"))]
Category = Annotated[str | None, QueryParameter(**_told("Only this category.", "engineering", **_SHORT))]
Text = Annotated[str | None, QueryParameter(**_told("Only with this in its name or text.", "review", **_SHORT))]
From = Annotated[int, QueryParameter(name="from", **_told("The older version's number.", 2, **_NUMBER))]
To = Annotated[int, QueryParameter(name="to", **_told("The newer version's number.", 4, **_NUMBER))]
_AFTER = "Counted is what came after this moment."
Since = Annotated[str, QueryParameter(**_told(_AFTER, EXAMPLE_MOMENT, format=OpenAPIFormat.DATE_TIME))]


def answers(status: int, kind: Any, example: Any, *problems: int) -> dict[int, ResponseSpec]:
    """The answers of a call: what it gives when all is well, with an example, and what may go wrong."""
    shown = None if example is None else [Example(value=to_builtins(example))]
    phrase = HTTPStatus(status).phrase
    found = {status: ResponseSpec(kind, examples=shown, description=phrase, generate_examples=False)}
    return found | _problems(problems)


def fetched(kind: Any, example: Any, *problems: int) -> dict[int, ResponseSpec]:
    """The answers of a GET, which may also be that nothing has changed."""
    return answers(200, kind, example, *problems) | {304: _NOT_CHANGED}


def _problems(statuses: tuple[int, ...]) -> dict[int, ResponseSpec]:
    wanted = _EVERYWHERE | {status: _SOMEWHERE[status] for status in statuses}
    return {status: _problem(HTTPStatus(status), *facts) for status, facts in wanted.items()}


def _problem(status: HTTPStatus, code: str, detail: str) -> ResponseSpec:
    example = Example(value=to_builtins(make_problem(status, code, detail)))
    return ResponseSpec(
        Problem, media_type=PROBLEM_JSON, examples=[example], description=status.phrase, generate_examples=False
    )
