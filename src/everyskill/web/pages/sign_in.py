"""Signing in and out: as a demo user on one's own machine, else with an access token."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect
from msgspec import Struct

from everyskill.errors import TenantInactive, TenantNotFound, UserNotFound
from everyskill.handles import Database
from everyskill.model import User
from everyskill.web.auth.authentication import AnyRequest, identify_token
from everyskill.web.auth.identity import Identity
from everyskill.web.auth.sessions import check_site, close_session, open_session
from everyskill.web.pages.readers import require_form
from everyskill.web.pages.rendering import render
from everyskill.web.refusals import NeedsHttps, UnknownPerson
from everyskill.web.settings import WebSettings, host_name, is_loopback

_MOST_PEOPLE = 12


class SignInForm(Struct, frozen=True):
    """A demo user of a tenant, or a token."""

    tenant: str = ""
    user: str = ""
    token: str = ""
    next: str = "/"


@get("/sign-in")
async def show_sign_in(request: AnyRequest, next: FromQuery[str] = "/") -> Response[str]:  # noqa: A002 - the usual name for it
    """The door."""
    settings: WebSettings = request.app.state.settings
    return render(
        "sign_in.html",
        reader=None,
        demo=settings.demo_sign_in,
        people=await _people(request) if settings.demo_sign_in else [],
        tenant_id=settings.demo_tenant,
        next=_within(next),
    )


@post("/sign-in")
async def sign_in(request: AnyRequest, data: URLEncodedBody[SignInForm]) -> Response[Any]:
    """Let somebody in. Raises UnknownPerson, InvalidToken, CsrfFailed or NeedsHttps."""
    check_site(request)
    if request.headers.get("Origin", "").startswith("http://") and not is_loopback(_host(request)):
        # The browser would drop the cookie without a word.
        raise NeedsHttps
    settings: WebSettings = request.app.state.settings
    by_name = settings.demo_sign_in and not data.token
    identity = await _demo_user(request, data) if by_name else await identify_token(request, data.token)
    return Redirect(_within(data.next), status_code=303, cookies=[open_session(request, identity)])


@post("/sign-out", guards=[require_form])
async def sign_out(request: AnyRequest) -> Response[Any]:
    """End the session."""
    return Redirect("/sign-in", status_code=303, cookies=[close_session(request)])


async def _demo_user(request: AnyRequest, form: SignInForm) -> Identity:
    database: Database = request.app.state.database
    try:
        user = await database.tenant(form.tenant).get_active_user(form.user)
    except (TenantNotFound, TenantInactive, UserNotFound) as error:
        raise UnknownPerson from error
    return Identity(form.tenant, user.id, user.role, user.name)


async def _people(request: AnyRequest) -> list[User]:
    database: Database = request.app.state.database
    return await database.tenant(request.app.state.settings.demo_tenant).list_users(_MOST_PEOPLE)


def _host(request: AnyRequest) -> str:
    return host_name(request.headers.get("Host", ""))


def _within(path: str) -> str:
    """The path, if it leads nowhere but to a page of ours."""
    ours = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if ours and path.isascii() else "/"


handlers = [show_sign_in, sign_in, sign_out]
