"""Who reads a page: what its header shows of them, and what its forms must repeat."""

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from everyskill.web.auth.authentication import AnyRequest, Asker, House, provide_identity
from everyskill.web.auth.sessions import check_csrf, csrf_of

# Beyond this the bell only says that there are more.
MOST_COUNTED = 20


class Reader(Struct, frozen=True):
    """A person with a page open.

    `count` is how many items What's New has, counted to one more than `most`; `csrf` is what their forms must repeat.
    """

    tenant_id: str
    user_id: str
    name: str
    count: int
    csrf: str
    most: int = MOST_COUNTED

    @property
    def bell(self) -> str:
        """The count as the header says it."""
        return f"{self.most}+" if self.count > self.most else str(self.count)


async def provide_reader(request: AnyRequest, identity: Asker, tenant: House) -> Reader:
    """The reader of this page."""
    count = await tenant.count_whats_new(identity.user_id, at_most=MOST_COUNTED + 1)
    name = identity.name or identity.user_id
    return Reader(identity.tenant_id, identity.user_id, name, count, csrf_of(request, identity))


async def require_form(connection: ASGIConnection, _: BaseRouteHandler) -> None:  # type: ignore[type-arg] # a guard
    """A guard: a form must come from a page of ours, whoever vouches for its sender."""
    assert isinstance(connection, Request)  # noqa: S101 - routes of ours speak HTTP only
    await check_csrf(connection, await provide_identity(connection))


# What a handler declares to get its reader.
Reading = NamedDependency[Reader]
