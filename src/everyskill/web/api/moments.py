"""Reads moments. Litestar would take a number for the seconds since 1970, which nobody means who sends one."""

from datetime import datetime
from typing import Annotated

from litestar.openapi.spec import OpenAPIFormat
from litestar.params import KwargDefinition
from msgspec import ValidationError, convert

from everyskill.errors import InvalidTimestamp

Moment = Annotated[str, KwargDefinition(format=OpenAPIFormat.DATE_TIME)]


def read_moment(field: str, text: str) -> datetime:
    """A moment from RFC 3339 text; whether it has an offset is the services' to check. Raises InvalidTimestamp."""
    try:
        return convert(text, datetime)
    except ValidationError as error:
        raise InvalidTimestamp(field) from error
