"""The path and query parameters of the API, as the OpenAPI document describes them.

The limits are those of the types that check the bodies, but here they are only described: the services check what
comes as a parameter, and their errors say more than Litestar's.
"""

from functools import cache
from typing import Annotated, Any

from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import Example, OpenAPIFormat
from litestar.params import PathParameter, QueryParameter
from msgspec import ValidationError, convert, json

from everyskill.errors import InvalidLimit, InvalidVersion
from everyskill.model.inputs import MAX_LIMIT, check_limit, check_version
from everyskill.web.api import types
from everyskill.web.api.examples import FEED, FEEDBACK_PAGE, SKILL_ID
from everyskill.web.refusals import RepeatedParameter, UnknownParameter
from everyskill.web.requests import AnyRequest


def _describe(description: str, example: object, limits: Any = str, **schema: Any) -> dict[str, Any]:
    """What Litestar takes to describe a parameter: the JSON schema of the type `limits`, and nothing of the handler's
    type. That one may be None where the parameter is not given, while no parameter can be given as null.
    """
    facts = {"oneOf": None, **json.schema(limits), **schema}
    return {"description": description, "examples": [Example(value=example)], "schema_extra": facts}


_SKILL_IDS = _describe("The skills, by their ids or slugs.", [SKILL_ID], list[types.Id])
_MAX_COUNT = _describe("Count no further than this.", 21, types.Limit)
_SINCE = _describe(
    "Counted is what came after this moment.", "2026-11-21T09:30:00.123Z", format=OpenAPIFormat.DATE_TIME
)
_CURSOR = "`next_cursor` of the page before."

# Opaque text has no pattern. The format has a name, so that tools can be told how to make some.
FEED_CURSOR_FORMAT = "whats-new-cursor"
FEEDBACK_CURSOR_FORMAT = "feedback-cursor"

SkillIds = Annotated[list[str] | None, QueryParameter(name="skill_id", **_SKILL_IDS)]
SkillId = Annotated[str, PathParameter(**_describe("The skill, by its id or its slug.", SKILL_ID, types.Id))]
SkillName = Annotated[str, PathParameter(**_describe("The skill, by its slug or its id.", "code-review", types.Id))]
SkillSlug = Annotated[str, PathParameter(**_describe("The skill, by its slug.", "code-review", types.Slug))]
FilePath = Annotated[
    str,
    PathParameter(**_describe("The file, by its path in the folder.", "SKILL.md", format=types.FILE_PATH_FORMAT)),
]
VersionId = Annotated[str, PathParameter(**_describe("The version, by its id.", SKILL_ID, types.Id))]

Category = Annotated[str | None, QueryParameter(**_describe("Only this category.", "engineering", types.Filter))]
Text = Annotated[str | None, QueryParameter(**_describe("Only with this in its name or text.", "review", types.Filter))]
Limit = Annotated[int, QueryParameter(**_describe("How many items.", 10, types.Limit))]
SkillCursor = Annotated[str | None, QueryParameter(**_describe(_CURSOR, "code-review", types.Slug))]
FeedCursor = Annotated[str | None, QueryParameter(**_describe(_CURSOR, FEED.next_cursor, format=FEED_CURSOR_FORMAT))]
FeedbackCursor = Annotated[
    str | None, QueryParameter(**_describe(_CURSOR, FEEDBACK_PAGE.next_cursor, format=FEEDBACK_CURSOR_FORMAT))
]

OldVersion = Annotated[int, QueryParameter(name="from", **_describe("The older version's number.", 2, types.Version))]
NewVersion = Annotated[int, QueryParameter(name="to", **_describe("The newer version's number.", 4, types.Version))]
NewestVersion = Annotated[int, QueryParameter(**_describe("The highest number of the page.", 4, types.Version))]
# As text, as below.
FileVersion = Annotated[
    str | None,
    QueryParameter(name="version", **_describe("This version, by its number.", 1, types.Version)),
]
Since = Annotated[str, QueryParameter(**_SINCE)]
# As text, because Litestar would take "null" for a number that was not given.
MaxCount = Annotated[str | None, QueryParameter(**_MAX_COUNT)]


def read_limit(text: str) -> int:
    """A limit from text. Raises InvalidLimit."""
    try:
        return check_limit(convert(text, int, strict=False))
    except ValidationError as error:
        raise InvalidLimit(text, 1, MAX_LIMIT) from error


def read_version(text: str | None) -> int | None:
    """The number of a version from text, where one is given. Raises InvalidVersion."""
    if text is None:
        return None
    try:
        return check_version(convert(text, int, strict=False))
    except ValidationError as error:
        raise InvalidVersion(text) from error


def check_query(request: AnyRequest) -> None:
    """Raises UnknownParameter, or RepeatedParameter where the call takes one value."""
    if not request.scope["query_string"]:
        return
    known, given = _query_parameters(request.route_handler), request.query_params
    for name in given:
        if name not in known:
            raise UnknownParameter(name, tuple(known))
        if not known[name] and len(given.getall(name)) > 1:
            raise RepeatedParameter(name)


@cache
def _query_parameters(handler: BaseRouteHandler) -> dict[str, bool]:
    """The query parameters of a call by name, and whether each takes many values."""
    return {
        parameter.kwarg_definition.name or parameter.name: parameter.is_non_string_sequence
        for parameter in handler.parsed_fn_signature.parameters.values()
        if isinstance(parameter.kwarg_definition, QueryParameter)
    }
