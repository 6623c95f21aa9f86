"""The API for programs, all of it under /v1: each route translates, calls the tenant once, and answers."""

from litestar import Router
from litestar.datastructures import ResponseHeader

from everyskill.web.api import files, skills, views, whats_new
from everyskill.web.api.etags import PrivateResponse
from everyskill.web.api.json_bodies import JsonRequest
from everyskill.web.api.parameters import check_query
from everyskill.web.auth.authentication import check_request
from everyskill.web.headers import NO_SNIFF
from everyskill.web.requests import AnyRequest

__all__ = ["create_router"]


async def _check_call(request: AnyRequest) -> None:
    await check_request(request)
    check_query(request)


def create_router(*, body_limit: int) -> Router:
    """All calls; a body that publishes a skill has `body_limit` bytes at most, what others send is small."""
    publishing = Router("/", route_handlers=[skills.publish_skill], request_max_body_size=body_limit, tags=["Skills"])
    return Router(
        "/v1",
        route_handlers=[views.router, whats_new.router, skills.router, files.router, publishing],
        before_request=_check_call,
        request_class=JsonRequest,
        request_max_body_size=max(body_limit // 4, 1),
        response_class=PrivateResponse,
        response_headers=[ResponseHeader(name=name, value=value) for name, value in NO_SNIFF.items()],
        security=[{"bearer": []}],
    )
