"""What people see when something went wrong."""

from typing import Any
from urllib.parse import quote, urlencode

from litestar import Response
from litestar.response import Redirect

from everyskill.web.auth.authentication import AnyRequest
from everyskill.web.pages.rendering import render

_NOT_SIGNED_IN = 401


def render_error(request: AnyRequest, status: int, title: str, detail: str) -> Response[Any]:
    """An error as a page. Who is not signed in is led to where that can be done, and back."""
    if status == _NOT_SIGNED_IN and request.method == "GET":
        return Redirect(f"/sign-in?{urlencode({'next': _here(request)})}", status_code=303)
    return render("error.html", reader=None, status_code=status, status=status, title=title, detail=detail)


def _here(request: AnyRequest) -> str:
    # Not request.url: that needs a Host that can be read.
    query: str = request.scope["query_string"].decode("latin-1")
    return quote(request.scope["path"]) + (f"?{query}" if query else "")
