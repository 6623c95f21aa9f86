"""Bounds the forms of the pages before they are parsed: a field costs the parser far more than its bytes say."""

import re
from typing import Any

from litestar import Request

from everyskill.web.refusals import BadEscape, TooManyFields
from everyskill.web.settings import WebSettings

# The parser splits at each %, and what browsers send has at least two more bytes there.
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class FormRequest(Request[Any, Any, Any]):
    """A request whose body is taken for a form, whatever its Content-Type says."""

    async def body(self) -> bytes:
        """What every parser of the form reads. Raises TooManyFields or BadEscape."""
        body = await super().body()
        settings: WebSettings = self.app.state.settings
        if body.count(b"&") >= settings.form_fields:
            raise TooManyFields(settings.form_fields)
        if _BAD_ESCAPE.search(body):
            raise BadEscape
        return body
