"""The API for programs, all of it under /v1: each route translates, calls the tenant once, and answers."""

from litestar import Router
from litestar.datastructures import ResponseHeader

from everyskill.web.api import skills, views, whats_new
from everyskill.web.api.answers import PrivateAnswer
from everyskill.web.auth.authentication import check_request

__all__ = ["routers"]

routers = [
    Router(
        "/v1",
        route_handlers=[views.router, whats_new.router, skills.router],
        before_request=check_request,
        response_class=PrivateAnswer,
        response_headers=[ResponseHeader(name="X-Content-Type-Options", value="nosniff")],
        security=[{"bearer": []}],
    )
]
