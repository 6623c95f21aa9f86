"""Bounds the forms of the pages before they are parsed: a field costs the parser far more than its bytes say."""

from typing import Any

from litestar import Request

from everyskill.web.refusals import TooManyFields
from everyskill.web.settings import WebSettings


class FormRequest(Request[Any, Any, Any]):
    """A request whose body is taken for a form, whatever its Content-Type says."""

    async def body(self) -> bytes:
        """What every parser of the form reads. Raises TooManyFields."""
        body = await super().body()
        settings: WebSettings = self.app.state.settings
        if body.count(b"&") >= settings.form_fields:
            raise TooManyFields(settings.form_fields)
        return body
