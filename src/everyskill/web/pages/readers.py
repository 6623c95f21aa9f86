"""Who reads a page: what its header shows of them, and the session that its forms need."""

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from everyskill.web.authentication import AnyRequest, Asker, House
from everyskill.web.refusals import NotSignedIn
from everyskill.web.sessions import check_csrf, read_session, session_for


class Reader(Struct, frozen=True):
    """A person with a page open. `count` is how many items What's New has; `cookie` opens the session, if it is new."""

    tenant_id: str
    user_id: str
    name: str
    count: int
    csrf: str
    cookie: Cookie | None


async def provide_reader(request: AnyRequest, identity: Asker, tenant: House) -> Reader:
    """The reader of this page. Somebody who came with a bearer token gets a session, as forms need one."""
    session, cookie = session_for(request, identity)
    count = await tenant.count_whats_new(identity.user_id)
    name = identity.name or identity.user_id
    return Reader(identity.tenant_id, identity.user_id, name, count, session.csrf, cookie)


async def require_form(connection: ASGIConnection, _: BaseRouteHandler) -> None:  # type: ignore[type-arg] # a guard
    """A guard: a form must come from a page of ours, whoever vouches for its sender."""
    assert isinstance(connection, Request)  # noqa: S101 - routes of ours speak HTTP only
    session = read_session(connection)
    if session is None:
        raise NotSignedIn
    await check_csrf(connection, session)


# What a handler declares to get its reader.
Reading = NamedDependency[Reader]
