"""The API for programs, all of it under /v1: each route translates, calls the tenant once, and answers."""

from urllib.parse import quote

from litestar import Router
from litestar.datastructures import ResponseHeader
from litestar.response import Redirect

from everyskill.model.skills import find_slugs
from everyskill.web.api import files, me, skills, views, whats_new
from everyskill.web.api.etags import PrivateResponse
from everyskill.web.api.json_bodies import JsonRequest
from everyskill.web.api.parameters import check_query
from everyskill.web.auth.authentication import check_request, provide_identity, provide_tenant
from everyskill.web.headers import NO_SNIFF, NO_STORE
from everyskill.web.requests import AnyRequest

__all__ = ["create_router"]


async def _check_call(request: AnyRequest) -> Redirect | None:
    """Before a call. The answer to a GET that names a skill by an old slug; no cache may keep it, as another skill may
    take that slug.
    """
    await check_request(request)
    check_query(request)
    named = request.path_params.get("skill") or request.path_params.get("skill_id", "")
    if request.method != "GET" or not find_slugs([named]):
        return None
    tenant = await provide_tenant(request, await provide_identity(request))
    new_slug = await tenant.find_new_slug(named)
    return None if new_slug is None else Redirect(_address(request, named, new_slug), status_code=308, headers=NO_STORE)


def _address(request: AnyRequest, old_slug: str, new_slug: str) -> str:
    path = request.scope["path"].replace(f"/skills/{old_slug}", f"/skills/{new_slug}", 1)
    query = request.scope["query_string"].decode("latin-1")
    return quote(path) + (f"?{query}" if query else "")


def create_router(*, body_limit: int) -> Router:
    """All calls; a body that publishes a skill has `body_limit` bytes at most, what others send is small."""
    publishing = Router("/", route_handlers=[skills.publish_skill], request_max_body_size=body_limit, tags=["Skills"])
    return Router(
        "/v1",
        route_handlers=[me.get_me, views.router, whats_new.router, skills.router, files.router, publishing],
        before_request=_check_call,
        request_class=JsonRequest,
        request_max_body_size=max(body_limit // 4, 1),
        response_class=PrivateResponse,
        response_headers=[ResponseHeader(name=name, value=value) for name, value in NO_SNIFF.items()],
        security=[{"bearer": []}],
    )
