"""What the OpenAPI document says beyond what Litestar reads off the handlers: above all, what each call may answer."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, Operation, RequestBody, Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition
from msgspec import Struct, to_builtins

from everyskill.web.problems import PROBLEM_JSON, Problem, make_problem

DESCRIPTION = """Tells each person what changed in a catalog of AI skills since they last looked.

HEAD is answered like GET, without a body. A method that a path does not have is answered by 405, whose `Allow` names
those it has; so does the answer to OPTIONS."""

# For each status an example: the code and the detail of a problem.
_PROBLEMS: dict[int, tuple[str, str]] = {
    400: ("unknown_parameter", "There is no query parameter 'size' here. This call takes limit, cursor."),
    401: ("not_signed_in", "Sign in, or send a bearer token."),
    403: ("csrf_failed", "This form is out of date. Load the page again and repeat what you did."),
    404: ("skill_not_found", "There is no skill '4b0f…' in this tenant."),
    409: ("slug_taken", "A skill with the slug 'code-review' exists already in this tenant."),
    410: ("skill_archived", "The skill 'Code review' is archived. Use 'review' instead."),
    408: ("body_too_slow", "The body of the request did not arrive in time."),
    413: ("request_entity_too_large", "Request Entity Too Large"),
    415: ("unsupported_media_type", "Send the body as application/json."),
    431: ("headers_too_large", "The address and the headers are too long together."),
    503: ("database_unreachable", "The database is not ready. Try again in a few seconds."),
}
_NOT_MODIFIED = ResponseSpec(None, description="You have the answer with this ETag already.", generate_examples=False)
_MOVED = ResponseSpec(None, description="The skill has another slug now: see `Location`.", generate_examples=False)
# Only a demo answers so, and in plain text.
_MISDIRECTED = ResponseSpec(
    str,
    media_type=MediaType.TEXT,
    examples=[Example(value="This demo is served under the name localhost only.\n")],
    description=HTTPStatus.MISDIRECTED_REQUEST.phrase,
    generate_examples=False,
)

# What a call that reads a body may answer.
BODY_PROBLEMS = (403, 408, 413, 415)


@dataclass
class OptionalBody(Operation):
    """A call whose body may be left out."""

    def __post_init__(self) -> None:
        """Litestar says of every body that it is required."""
        if isinstance(self.request_body, RequestBody):
            self.request_body.required = False


class ClosedStructs(OpenAPISchemaPlugin):
    """Says of structs that take no unknown fields that they take none."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        """Whether the type is such a struct."""
        return isinstance(value, type) and issubclass(value, Struct) and value.__struct_config__.forbid_unknown_fields

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """What the next plugin makes of the struct, and one fact more."""
        others = (plugin for plugin in schema_creator.plugins if plugin is not self)
        other = next(plugin for plugin in others if schema_creator.plugin_supports_field(plugin, field_definition))
        schema: Schema = other.to_openapi_schema(field_definition, schema_creator)
        schema.additional_properties = False
        return schema


def open_responses(
    kind: Any, example: Any, *problems: int, status: int = 200, media_type: str = MediaType.JSON
) -> dict[int, ResponseSpec]:
    """The responses of a route that asks nobody who they are: a result of type `kind`, and beside the problems that any
    request may meet those listed.
    """
    examples = None if example is None else [Example(value=to_builtins(example))]
    result = ResponseSpec(
        kind, media_type=media_type, examples=examples, description=HTTPStatus(status).phrase, generate_examples=False
    )
    # A skill that is not there may be one that was archived since the user viewed it.
    gone = (HTTPStatus.GONE,) if HTTPStatus.NOT_FOUND in problems else ()
    facts = {problem: _problem(HTTPStatus(problem)) for problem in (400, 431, *problems, *gone)}
    return {status: result, HTTPStatus.MISDIRECTED_REQUEST: _MISDIRECTED} | facts


def responses(status: int, kind: Any, example: Any, *problems: int) -> dict[int, ResponseSpec]:
    """The responses of a call of the API."""
    return open_responses(kind, example, 401, 503, *problems, status=status)


def cacheable_responses(kind: Any, example: Any, *problems: int) -> dict[int, ResponseSpec]:
    """The responses of a GET, which may also be 304."""
    return responses(200, kind, example, *problems) | {304: _NOT_MODIFIED}


def raw_responses(media_type: str, example: str, *problems: int) -> dict[int, ResponseSpec]:
    """The responses of a GET that gives bytes of a skill as they are; the example says what they would be."""
    result = open_responses(bytes, example, 401, 503, *problems, media_type=media_type)
    return result | {308: _MOVED} | ({304: _NOT_MODIFIED} if media_type == "*/*" else {})


def skill_responses(kind: Any, example: Any, *problems: int) -> dict[int, ResponseSpec]:
    """The responses of a GET about a skill, which may have been renamed."""
    return cacheable_responses(kind, example, 404, *problems) | {308: _MOVED}


def _problem(status: HTTPStatus) -> ResponseSpec:
    example = Example(value=to_builtins(make_problem(status, *_PROBLEMS[status])))
    return ResponseSpec(
        Problem, media_type=PROBLEM_JSON, examples=[example], description=status.phrase, generate_examples=False
    )
