"""What the environment says, as one typed object."""

import os
from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct, ValidationError, convert

from everyskill.errors import InvalidSetting

MAX_POOL_SIZE = 1000

PoolSize = Annotated[int, Meta(ge=1, le=MAX_POOL_SIZE)]


class Settings(Struct, frozen=True, kw_only=True):
    """Each field is the environment variable EVERYSKILL_<FIELD>.

    `database_url`: where the application connects, as an unprivileged login; unset, the embedded server is used.
    `owner_url`: where migrations and the operator's commands connect; unset, `database_url`.
    `pool_size`: how many connections one process may hold, 1 to 1000.
    """

    database_url: str | None = None
    owner_url: str | None = None
    pool_size: PoolSize = 10

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Reads the settings. Raises InvalidSetting."""
        names = {field: f"EVERYSKILL_{field.upper()}" for field in cls.__struct_fields__}
        given = {field: environment[name] for field, name in names.items() if environment.get(name)}
        try:
            settings = convert(given, cls, strict=False)
        except ValidationError as error:
            reason = f"must be a whole number from 1 to {MAX_POOL_SIZE}, not {given['pool_size']!r}"
            raise InvalidSetting(names["pool_size"], reason) from error
        return settings
