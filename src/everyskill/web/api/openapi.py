"""The responses of each call, as the OpenAPI document lists them: the result, and the problems that it may meet."""

from http import HTTPStatus
from typing import Any

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from msgspec import to_builtins

from everyskill.web.problems import PROBLEM_JSON, Problem, make_problem

# For each status an example: the code and the detail of a problem.
_EVERY_CALL: dict[int, tuple[str, str]] = {
    400: ("invalid_identifier", "skill_id must not hold a NUL or a lone surrogate character."),
    401: ("not_signed_in", "Sign in, or send a bearer token."),
    503: ("database_unreachable", "The database is not ready. Try again in a few seconds."),
}
_SOME_CALLS: dict[int, tuple[str, str]] = {
    403: ("csrf_failed", "This form is out of date. Load the page again and repeat what you did."),
    404: ("skill_not_found", "There is no skill '4b0f…' in this tenant."),
    413: ("request_entity_too_large", "Request Entity Too Large"),
    415: ("unsupported_media_type", "Send the body as application/json."),
}
_NOT_MODIFIED = ResponseSpec(None, description="You have the answer with this ETag already.", generate_examples=False)

# What a call that reads a body may answer.
BODY_PROBLEMS = (403, 413, 415)


def responses(status: int, kind: Any, example: Any, *problems: int) -> dict[int, ResponseSpec]:
    """The responses of a call: a result of type `kind`, and beside the problems of every call those listed."""
    examples = None if example is None else [Example(value=to_builtins(example))]
    result = ResponseSpec(kind, examples=examples, description=HTTPStatus(status).phrase, generate_examples=False)
    facts = _EVERY_CALL | {problem: _SOME_CALLS[problem] for problem in problems}
    return {status: result} | {problem: _problem(HTTPStatus(problem), *fact) for problem, fact in facts.items()}


def cacheable_responses(kind: Any, example: Any, *problems: int) -> dict[int, ResponseSpec]:
    """The responses of a GET, which may also be 304."""
    return responses(200, kind, example, *problems) | {304: _NOT_MODIFIED}


def _problem(status: HTTPStatus, code: str, detail: str) -> ResponseSpec:
    example = Example(value=to_builtins(make_problem(status, code, detail)))
    return ResponseSpec(
        Problem, media_type=PROBLEM_JSON, examples=[example], description=status.phrase, generate_examples=False
    )
