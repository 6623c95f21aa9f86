"""The types of what the API takes in, with their limits: they check the bodies and describe the parameters."""

from typing import Annotated

from msgspec import Meta, json

from everyskill.model.inputs import (
    MAX_COMMENT_LENGTH,
    MAX_DESCRIPTION_LENGTH,
    MAX_ID_LENGTH,
    MAX_IDS,
    MAX_LIMIT,
    MAX_NAME_LENGTH,
    MAX_VERSION,
)
from everyskill.model.provenance import MAX_NOTE_LENGTH
from everyskill.model.skills import MAX_CONTENT_LENGTH, MAX_FILE_SIZE, MAX_SLUG_LENGTH, SLUG

FILE_PATH_FORMAT = "path-in-folder"

# PostgreSQL's text can hold every character but NUL.
_WITHOUT_NUL = r"^[^\x00]*$"
_NOT_EMPTY = r"^[^\x00]+$"
# No two parts of it match the same character, so that matching takes time linear in the length.
_NOT_BLANK = r"^\s*[^\x00\s][^\x00]*$"

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH, pattern=_NOT_EMPTY)]
_UncheckedId = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]
# Litestar describes no limits of what is in a list, but takes them from here. The pattern, which costs more than all
# the rest, is only described: the service checks it.
Ids = Annotated[list[_UncheckedId], Meta(max_length=MAX_IDS, extra_json_schema={"extra": {"items": json.schema(Id)}})]
Slug = Annotated[str, Meta(min_length=1, max_length=MAX_SLUG_LENGTH, pattern=f"^{SLUG.pattern}$")]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH, pattern=_NOT_BLANK)]
Description = Annotated[str, Meta(min_length=1, max_length=MAX_DESCRIPTION_LENGTH, pattern=_NOT_BLANK)]
Comment = Annotated[str, Meta(min_length=1, max_length=MAX_COMMENT_LENGTH, pattern=_NOT_BLANK)]
# Without a pattern: matching a mebibyte takes milliseconds, and the service checks it anyway.
Content = Annotated[
    str, Meta(max_length=MAX_CONTENT_LENGTH, extra_json_schema={"description": "The SKILL.md, without NUL characters."})
]
Filter = Annotated[str, Meta(max_length=MAX_NAME_LENGTH, pattern=_WITHOUT_NUL)]
# Its format has a name, because no pattern says what bodies.py checks.
FilePath = Annotated[
    str,
    Meta(min_length=1, max_length=MAX_DESCRIPTION_LENGTH, extra_json_schema={"extra": {"format": FILE_PATH_FORMAT}}),
]
FileSize = Annotated[int, Meta(ge=0, le=MAX_FILE_SIZE)]
FileHash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
FileBytes = Annotated[bytes, Meta(extra_json_schema={"description": "Exactly the bytes of size and hash, in Base64."})]
Note = Annotated[
    str,
    Meta(
        min_length=1, max_length=MAX_NOTE_LENGTH, pattern=r"^[ \t]*[^\x00\s][^\x00\r\n\v\f\x1c-\x1e\x85\u2028\u2029]*$"
    ),
]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]
Version = Annotated[int, Meta(ge=1, le=MAX_VERSION)]
