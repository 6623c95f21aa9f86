"""The API for programs, all of it under /v1: each route translates, calls the tenant once, and answers."""

from litestar import Router
from litestar.datastructures import ResponseHeader

from everyskill.web.api import skills, views, whats_new
from everyskill.web.api.etags import PrivateResponse
from everyskill.web.api.json_bodies import JsonRequest
from everyskill.web.api.parameters import check_query
from everyskill.web.auth.authentication import check_request
from everyskill.web.headers import NO_SNIFF
from everyskill.web.requests import AnyRequest

__all__ = ["routers"]


async def _check_call(request: AnyRequest) -> None:
    await check_request(request)
    check_query(request)


routers = [
    Router(
        "/v1",
        route_handlers=[views.router, whats_new.router, skills.router],
        before_request=_check_call,
        request_class=JsonRequest,
        response_class=PrivateResponse,
        response_headers=[ResponseHeader(name=name, value=value) for name, value in NO_SNIFF.items()],
        security=[{"bearer": []}],
    )
]
