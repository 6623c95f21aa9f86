"""Cursors: where a page ended, as text that only this package reads."""

import base64
from typing import Self

import msgspec
from msgspec import Struct

from everyskill.errors import InvalidCursor, InvalidInput
from everyskill.model.inputs import shown


class Cursor(Struct, frozen=True, array_like=True):
    """The facts of a page's last item by which the next page begins."""

    def encode(self) -> str:
        """The cursor as URL-safe text."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Self:
        """Reads what `encode` wrote. Raises InvalidCursor for anything else."""
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            cursor = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=cls)
            return cursor.checked()
        except (ValueError, AttributeError, RecursionError, InvalidInput) as error:
            raise InvalidCursor(str(shown(text))) from error

    def checked(self) -> Self:
        """Returns it with values that can be asked for. Raises InvalidInput."""
        return self
