"""Turns every exception into a response: an RFC 9457 problem document for programs, an HTML page for people."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Literal

import structlog
from litestar import Response
from litestar.enums import HttpMethod
from litestar.exceptions import HTTPException
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from everyskill import errors
from everyskill.web import refusals
from everyskill.web.headers import NO_SNIFF, NO_STORE
from everyskill.web.requests import ANY_METHOD, AnyRequest

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_SECONDS = 5

# A class that is not listed has the status of its nearest base class that is, and 500 without one.
STATUSES: dict[type[Exception], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.BAD_REQUEST,
    errors.SkillFolderError: HTTPStatus.BAD_REQUEST,
    errors.InvalidSetting: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.SkillArchived: HTTPStatus.GONE,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.LockTimeout: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DatabaseNotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    refusals.RequestRefused: HTTPStatus.BAD_REQUEST,
    refusals.NotSignedIn: HTTPStatus.UNAUTHORIZED,
    refusals.InvalidToken: HTTPStatus.UNAUTHORIZED,
    refusals.CsrfFailed: HTTPStatus.FORBIDDEN,
    refusals.NotAllowed: HTTPStatus.FORBIDDEN,
    refusals.BodyTooSlow: HTTPStatus.REQUEST_TIMEOUT,
    refusals.NotJson: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    refusals.HeadersTooLarge: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    refusals.TooBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    refusals.KeysUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    # What the body parsers raise for a body that is nested too deeply, and for one that is not UTF-8.
    RecursionError: HTTPStatus.BAD_REQUEST,
    UnicodeDecodeError: HTTPStatus.BAD_REQUEST,
}
_HEADERS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": str(RETRY_AFTER_SECONDS)},
}
# The argument of a handler that takes the body.
_BODY = "data"
_NO_PAGES = ("/v1/", "/health/", "/schema", "/metrics")

# How the pages render an error: request, status, title, detail, and the slug of the skill to use instead.
RenderError = Callable[[AnyRequest, int, str, str, str | None], Response[Any]]

_log = structlog.get_logger(__name__)


class FieldProblem(Struct, frozen=True, kw_only=True):
    """A parameter or a field of the body that was not accepted. Without a key, the whole body is at fault."""

    message: str
    source: Literal["query", "path", "header", "cookie", "body"]
    key: str | UnsetType = UNSET


class Problem(Struct, frozen=True, kw_only=True):
    """What went wrong. `code` never changes once released; `detail` is a sentence for people.

    `successor` is the slug of the skill to use instead of an archived one.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem] | UnsetType = UNSET
    successor: str | UnsetType = UNSET


def handle_exception(request: AnyRequest, error: Exception) -> Response[Any]:
    """The response to a request that raised `error`. Litestar calls it for every exception."""
    status, headers = _status_and_headers(error)
    if status == HTTPStatus.METHOD_NOT_ALLOWED and request.method == ANY_METHOD:
        return Response(None, status_code=HTTPStatus.NO_CONTENT, headers=headers)
    problem = _describe(request, error, status)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request failed", exc_info=error)
    if isinstance(error, errors.DatabaseNotReady):
        _log.warning("database not ready", code=error.code, reason=str(error))
    render_error: RenderError | None = request.app.state.get("render_error")
    if render_error is not None and _prefers_page(request):
        page = render_error(request, status, problem.title, problem.detail, problem.successor or None)
        page.headers.update(headers)
        return page
    return Response(problem, status_code=status, media_type=PROBLEM_JSON, headers=headers | NO_STORE | NO_SNIFF)


def make_problem(status: HTTPStatus, code: str, detail: str) -> Problem:
    """A problem document; its type and its title are made from the code."""
    title = code.replace("_", " ").capitalize()
    return Problem(type=f"urn:everyskill:problem:{code}", title=title, status=status, detail=detail, code=code)


def _status_and_headers(error: Exception) -> tuple[HTTPStatus, dict[str, str]]:
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        headers = dict(error.headers or {})
        if "allow" in headers:
            headers["allow"] = _with_head(headers["allow"])
        return status, headers | _HEADERS.get(status, {})
    status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), HTTPStatus(500))
    return status, dict(_HEADERS.get(status, {}))


def _with_head(allow: str) -> str:
    methods = set(allow.split(", "))
    return ", ".join(sorted(methods | {HttpMethod.HEAD} if HttpMethod.GET in methods else methods))


def _describe(request: AnyRequest, error: Exception, status: HTTPStatus) -> Problem:
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return make_problem(status, "internal_error", "Something went wrong here, and was written to the log.")
    if isinstance(error, HTTPException):
        problem = make_problem(status, status.name.lower(), error.detail or status.phrase)
        if not isinstance(error.extra, list):
            return problem
        return replace(problem, errors=[_field_problem(request, item) for item in error.extra])
    if isinstance(error, errors.DatabaseNotReady):
        # The reason names hosts and roles: it is for the operator, at /health/ready.
        doubt = "This may have been done or not. " if isinstance(error, errors.OutcomeUnknown) else ""
        return make_problem(status, error.code, f"{doubt}The database is not ready. Try again in a few seconds.")
    if isinstance(error, errors.EverySkillError):
        problem = make_problem(status, error.code, str(error))
        successor = error.successor if isinstance(error, errors.SkillArchived) else None
        return replace(problem, successor=successor) if successor else problem
    return make_problem(status, "bad_request", "The body is not JSON that can be read.")


def _field_problem(request: AnyRequest, item: dict[str, Any]) -> FieldProblem:
    """What Litestar says of a field that failed validation, by the name that the client knows it by."""
    key, message, source = item.get("key", _BODY), item["message"], item.get("source", "body")
    if key == _BODY:
        return FieldProblem(message="Expected a body" if message == repr(_BODY) else message, source=source)
    parameter = request.route_handler.parsed_fn_signature.parameters.get(key)
    name = getattr(parameter and parameter.kwarg_definition, "name", None)
    return FieldProblem(message=message, source=source, key=name or key)


def _prefers_page(request: AnyRequest) -> bool:
    path = request.scope["path"]
    if path.startswith(_NO_PAGES) or path == "/v1":
        return False
    return "text/html" in request.headers.get("Accept", "")
