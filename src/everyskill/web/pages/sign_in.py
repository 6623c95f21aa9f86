"""Signing in and out: in a demo as any of its users, otherwise with a bearer token."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect
from msgspec import Struct

from everyskill.errors import TenantInactive, TenantNotFound, UserNotFound
from everyskill.handles import Database
from everyskill.web.auth.authentication import CurrentIdentity, authenticate_token
from everyskill.web.auth.identity import Identity
from everyskill.web.auth.sessions import check_site, close_session, open_session
from everyskill.web.auth.users import UserCache
from everyskill.web.pages.context import require_csrf_token
from everyskill.web.pages.rendering import render
from everyskill.web.refusals import NeedsHttps, UnknownPerson
from everyskill.web.requests import AnyRequest, is_addressed_to_loopback
from everyskill.web.settings import WebSettings

_MAX_USERS = 12


class SignInForm(Struct, frozen=True):
    """A user of a demo's tenant, or a bearer token. `next` is the path to go to afterwards."""

    tenant: str = ""
    user: str = ""
    token: str = ""
    next: str = "/"


@get("/sign-in")
async def show_sign_in(request: AnyRequest, next: FromQuery[str] = "/") -> Response[str]:  # noqa: A002 - the usual name for it
    """The sign-in page."""
    return await _render(request, SignInForm(next=next))


@post("/sign-in")
async def sign_in(request: AnyRequest, data: URLEncodedBody[SignInForm]) -> Response[Any]:
    """Opens a session. Raises UnknownPerson, InvalidToken, KeysUnavailable, CsrfFailed or NeedsHttps."""
    check_site(request)
    if request.headers.get("Origin", "").startswith("http://") and not is_addressed_to_loopback(request.headers):
        # The session cookie is Secure, and the browser would drop it without an error.
        raise NeedsHttps
    settings: WebSettings = request.app.state.settings
    if settings.demo_sign_in and not data.token:
        try:
            identity = await _find_demo_user(request, data)
        except UnknownPerson as error:
            return await _render(request, data, refused=str(error))
    else:
        identity = await authenticate_token(request, data.token)
    users: UserCache = request.app.state.users
    generation = await users.read_session_generation(identity.tenant_id, identity.user_id)
    cookie = open_session(request, identity, generation=generation)
    return Redirect(_local_path(data.next), status_code=303, cookies=[cookie])


@post("/sign-out", guards=[require_csrf_token])
async def sign_out(request: AnyRequest, identity: CurrentIdentity) -> Response[Any]:
    """Ends all sessions of the user."""
    users: UserCache = request.app.state.users
    await users.end_sessions(identity.tenant_id, identity.user_id)
    return Redirect("/sign-in", status_code=303, cookies=[close_session(request)])


async def _render(request: AnyRequest, typed: SignInForm, *, refused: str | None = None) -> Response[str]:
    settings: WebSettings = request.app.state.settings
    database: Database = request.app.state.database
    users = await database.tenant(settings.demo_tenant).list_users(_MAX_USERS) if settings.demo_sign_in else []
    return render(
        "sign_in.html",
        page_context=None,
        status_code=200 if refused is None else 400,
        demo=settings.demo_sign_in,
        users=users,
        tenant_id=settings.demo_tenant,
        next=_local_path(typed.next),
        typed=typed,
        refused=refused,
    )


async def _find_demo_user(request: AnyRequest, form: SignInForm) -> Identity:
    database: Database = request.app.state.database
    try:
        user = await database.tenant(form.tenant).get_active_user(form.user)
    except (TenantNotFound, TenantInactive, UserNotFound) as error:
        raise UnknownPerson from error
    return Identity(form.tenant, user.id, user.role, user.name)


def _local_path(path: str) -> str:
    """The path, or "/" for one that a browser could take for the URL of another site."""
    is_local = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if is_local and path.isascii() else "/"


handlers = [show_sign_in, sign_in, sign_out]
