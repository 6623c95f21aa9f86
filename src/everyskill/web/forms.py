"""Bounds the forms of the pages, as a field costs the parser far more than its bytes say, and parses them."""

import re
from typing import Any, cast
from urllib.parse import parse_qs

from litestar import Request
from litestar.datastructures import FormMultiDict
from litestar.types import Empty
from litestar.utils.scope.state import ScopeState

from everyskill.web.refusals import BadEscape, RepeatedField, TooManyFields
from everyskill.web.requests import AnyRequest
from everyskill.web.settings import WebSettings

# The parser splits at each %, and what browsers send has at least two more bytes there.
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class FormRequest(Request[Any, Any, Any]):
    """A request whose body is taken for a form, whatever its Content-Type says."""

    async def body(self) -> bytes:
        """What the parser of the form reads. Raises TooManyFields or BadEscape."""
        body = await super().body()
        settings: WebSettings = self.app.state.settings
        if body.count(b"&") >= settings.form_fields:
            raise TooManyFields(settings.form_fields)
        if _BAD_ESCAPE.search(body):
            raise BadEscape
        return body

    async def form(self) -> FormMultiDict:
        """The fields. Raises what `body` does, and RepeatedField.

        Litestar's parser would keep the last 1,024 bodies of all clients, and the tokens in them, for ever.
        """
        state = ScopeState.from_scope(self.scope)
        if state.form is Empty:
            fields = parse_qs((await self.body()).decode("latin-1"), keep_blank_values=True)
            for name, values in fields.items():
                if len(values) > 1:
                    raise RepeatedField(name)
            state.form = {name: value for name, [value] in fields.items()}
        return FormMultiDict.from_form_data(cast(dict[str, Any], state.form))


async def parse_form(request: AnyRequest) -> None:
    """Parses the form before Litestar looks for one. A `before_request` hook, as that comes after all guards."""
    if request.method == "POST":
        await request.form()
