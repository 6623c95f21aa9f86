"""Decodes the bodies of the API straight into their types: nothing is made of what follows the first fault."""

from functools import cache
from typing import Any

from litestar import Request
from litestar.exceptions import SerializationException, ValidationException
from msgspec import DecodeError, ValidationError
from msgspec.json import Decoder

from everyskill.handles import Database
from everyskill.model.inputs import MAX_IDS
from everyskill.web.refusals import TooManyParts

# What is decoded in milliseconds; more goes to a thread.
_MAX_ON_LOOP = 64 * 1024
# Two for each name and each text: of a skill's files each has five, and the skill has a few more.
_MAX_QUOTES = 2 * 6 * MAX_IDS


class JsonRequest(Request[Any, Any, Any]):
    """A request whose body is decoded as the type that its handler takes."""

    async def json(self) -> Any:
        """The body. Raises TooManyParts, ValidationException, and SerializationException for what is not JSON."""
        body = await self.body()
        if len(body) <= _MAX_ON_LOOP:
            return self._decode(body)
        database: Database = self.app.state.database
        return await database.tenant(self.scope["user"].tenant_id).run_in_worker(lambda: self._decode(body))

    def _decode(self, body: bytes) -> Any:
        quotes = body.count(b'"')
        # Those of a text follow a backslash.
        if quotes > _MAX_QUOTES and quotes - body.count(b'\\"') > _MAX_QUOTES:
            raise TooManyParts(MAX_IDS)
        field = self.route_handler.parsed_data_field
        try:
            return _decoder(field and field.annotation).decode(body)
        except ValidationError as error:
            raise self._refuse(str(error)) from error
        except DecodeError as error:
            raise SerializationException(str(error)) from error

    def _refuse(self, fault: str) -> ValidationException:
        """As Litestar tells it of what it validates itself."""
        message, _, path = fault.partition(" - at `$.")
        named = {"key": path.removesuffix("`")} if path else {}
        detail = f"Validation failed for {self.method} {self.url.path}"
        return ValidationException(detail, extra=[{"message": message, "source": "body", **named}])


@cache
def _decoder(kind: Any) -> Decoder[Any]:
    # As lax as Litestar, which takes "3" for a number.
    return Decoder(kind, strict=False)
