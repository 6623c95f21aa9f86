"""The types of what the API takes in, with their limits: they check the bodies and describe the parameters."""

from typing import Annotated

from msgspec import Meta

from everyskill.model.inputs import (
    MAX_COMMENT_LENGTH,
    MAX_DESCRIPTION_LENGTH,
    MAX_ID_LENGTH,
    MAX_IDS,
    MAX_LIMIT,
    MAX_NAME_LENGTH,
    MAX_VERSION,
)
from everyskill.model.skills import MAX_CONTENT_LENGTH, MAX_FILE_SIZE

# PostgreSQL's text can hold every character but NUL.
_WITHOUT_NUL = r"^[^\x00]*$"
_NOT_EMPTY = r"^[^\x00]+$"
# No two parts of it match the same character, so that matching takes time linear in the length.
_NOT_BLANK = r"^\s*[^\x00\s][^\x00]*$"

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH, pattern=_NOT_EMPTY)]
Ids = Annotated[list[Id], Meta(max_length=MAX_IDS)]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH, pattern=_NOT_BLANK)]
Description = Annotated[str, Meta(min_length=1, max_length=MAX_DESCRIPTION_LENGTH, pattern=_NOT_BLANK)]
Comment = Annotated[str, Meta(min_length=1, max_length=MAX_COMMENT_LENGTH, pattern=_NOT_BLANK)]
Content = Annotated[str, Meta(max_length=MAX_CONTENT_LENGTH, pattern=_WITHOUT_NUL)]
Filter = Annotated[str, Meta(max_length=MAX_NAME_LENGTH, pattern=_WITHOUT_NUL)]
FileSize = Annotated[int, Meta(ge=0, le=MAX_FILE_SIZE)]
FileHash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]
Version = Annotated[int, Meta(ge=1, le=MAX_VERSION)]
