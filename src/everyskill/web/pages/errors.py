"""The error page with the header of every page, and the redirect to the sign-in page."""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from litestar import Response
from litestar.response import Redirect

from everyskill.web.pages.context import BaseContext
from everyskill.web.pages.rendering import render
from everyskill.web.requests import AnyRequest


def render_error(request: AnyRequest, status: int, title: str, detail: str, successor: str | None) -> Response[Any]:
    """An error as a page, with a link to the skill to use instead.

    A GET without a session is redirected to the sign-in page, which leads back.
    """
    if status == HTTPStatus.UNAUTHORIZED and request.method == "GET":
        # Not request.url: that raises where the Host header does not parse.
        path, query = quote(request.scope["path"]), request.scope["query_string"].decode("latin-1")
        here = f"{path}?{query}" if query else path
        return Redirect(f"/sign-in?{urlencode({'next': here})}", status_code=303)
    # Where the error came before anybody knew who asks, the header leads on all the same.
    page_context: BaseContext | None = request.state.get("page_context")
    return render(
        "error.html",
        page_context=page_context,
        status_code=status,
        status=status,
        title=title,
        detail=detail,
        successor=successor,
    )
