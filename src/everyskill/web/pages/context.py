"""What every page of a signed-in user needs beside its own content: its header, and the CSRF token of its forms."""

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from everyskill.web.auth.authentication import CurrentIdentity, CurrentTenant, provide_identity
from everyskill.web.auth.sessions import check_csrf, make_csrf_token
from everyskill.web.requests import AnyRequest

# Beyond this the header only says that there are more.
MAX_COUNT = 20


class BaseContext(Struct, frozen=True):
    """What base.html shows of the signed-in user, and what forms must repeat.

    `updated_count` is the number of items in What's New, counted to one more than `max_count`.
    """

    tenant_id: str
    user_id: str
    user_name: str
    updated_count: int
    csrf_token: str
    max_count: int = MAX_COUNT

    @property
    def count_label(self) -> str:
        """The count as the header shows it: "3", or "20+"."""
        return f"{self.max_count}+" if self.updated_count > self.max_count else str(self.updated_count)


# What a handler declares as `page_context`.
PageContext = NamedDependency[BaseContext]


async def provide_page_context(request: AnyRequest, identity: CurrentIdentity, tenant: CurrentTenant) -> BaseContext:
    """The context of a page for the user who sent the request, kept for the error page that it may come to."""
    count = await tenant.count_whats_new(identity.user_id, at_most=MAX_COUNT + 1)
    name = identity.name or identity.user_id
    context = BaseContext(identity.tenant_id, identity.user_id, name, count, make_csrf_token(request, identity))
    request.state.page_context = context
    return context


async def require_csrf_token(connection: ASGIConnection, _: BaseRouteHandler) -> None:  # type: ignore[type-arg] # a guard
    """A guard: every form must repeat the CSRF token, also where a proxy authenticates the user by a bearer token."""
    assert isinstance(connection, Request)  # noqa: S101 - our routes are HTTP only
    await check_csrf(connection, await provide_identity(connection))
