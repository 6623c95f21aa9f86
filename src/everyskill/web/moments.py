"""Reads timestamps from text. Litestar itself would also take a number as seconds since 1970, which no client means."""

from datetime import datetime
from typing import Annotated

from litestar.openapi.spec import OpenAPIFormat
from litestar.params import KwargDefinition
from msgspec import ValidationError, convert

from everyskill.errors import InvalidTimestamp
from everyskill.model.inputs import check_moment

Moment = Annotated[str, KwargDefinition(format=OpenAPIFormat.DATE_TIME)]


def read_moment(field: str, text: str) -> datetime:
    """A moment in UTC from RFC 3339 text. Raises InvalidTimestamp, also where the text has no UTC offset."""
    try:
        return check_moment(field, convert(text, datetime))
    except ValidationError as error:
        raise InvalidTimestamp(field) from error
