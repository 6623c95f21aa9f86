"""The path and query parameters of the API, as the OpenAPI document describes them.

The limits are those of the types that check the bodies, but here they are only described: the services check what
comes as a parameter, and their errors say more than Litestar's.
"""

from typing import Annotated, Any

from litestar.openapi.spec import Example, OpenAPIFormat
from litestar.params import PathParameter, QueryParameter
from msgspec import json

from everyskill.web.api import types
from everyskill.web.api.examples import SKILL_ID


def _describe(description: str, example: object, limits: Any = str, **schema: Any) -> dict[str, Any]:
    """What Litestar takes to describe a parameter. `limits` is a type, of which the JSON schema adds all but the type:
    that one is the handler's.
    """
    facts = {name: fact for name, fact in json.schema(limits).items() if name != "type"}
    return {"description": description, "examples": [Example(value=example)], "schema_extra": facts | schema}


_SKILL_IDS = _describe("The skills, by their ids.", [SKILL_ID], type="array", items=json.schema(types.Id))
_MAX_COUNT = _describe("Count no further than this.", 21, types.Limit, type="integer")
_SINCE = _describe(
    "Counted is what came after this moment.", "2026-11-21T09:30:00.123Z", format=OpenAPIFormat.DATE_TIME
)

SkillId = Annotated[str, PathParameter(**_describe("The skill, by its id.", SKILL_ID, types.Id))]
SkillIds = Annotated[list[str] | None, QueryParameter(name="skill_id", **_SKILL_IDS)]
SkillName = Annotated[str, PathParameter(**_describe("The skill, by its slug or its id.", "code-review", types.Id))]
SkillSlug = Annotated[str, PathParameter(**_describe("The skill, by its slug.", "code-review", types.Id))]
VersionId = Annotated[str, PathParameter(**_describe("The version, by its id.", SKILL_ID, types.Id))]

Category = Annotated[str | None, QueryParameter(**_describe("Only this category.", "engineering", types.Filter))]
Text = Annotated[str | None, QueryParameter(**_describe("Only with this in its name or text.", "review", types.Filter))]
Limit = Annotated[int, QueryParameter(**_describe("How many items.", 10, types.Limit))]
Cursor = Annotated[str | None, QueryParameter(**_describe("`next_cursor` of the page before.", "code-review"))]

OldVersion = Annotated[int, QueryParameter(name="from", **_describe("The older version's number.", 2, types.Version))]
NewVersion = Annotated[int, QueryParameter(name="to", **_describe("The newer version's number.", 4, types.Version))]
Since = Annotated[str, QueryParameter(**_SINCE)]
MaxCount = Annotated[int | None, QueryParameter(**_MAX_COUNT)]
