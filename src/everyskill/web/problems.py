"""Turns what went wrong into an answer: RFC 9457 for programs, a page for people."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from msgspec import UNSET, Struct, UnsetType

from everyskill import errors
from everyskill.web import refusals

PROBLEM_JSON = "application/problem+json"
RETRY_SECONDS = 5

STATUSES: dict[type[Exception], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.BAD_REQUEST,
    errors.SkillFolderError: HTTPStatus.BAD_REQUEST,
    errors.InvalidSetting: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DatabaseNotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    refusals.Refusal: HTTPStatus.BAD_REQUEST,
    refusals.NotSignedIn: HTTPStatus.UNAUTHORIZED,
    refusals.InvalidToken: HTTPStatus.UNAUTHORIZED,
    refusals.CsrfFailed: HTTPStatus.FORBIDDEN,
    refusals.NotAllowed: HTTPStatus.FORBIDDEN,
    refusals.BodyTooSlow: HTTPStatus.REQUEST_TIMEOUT,
    refusals.NotJson: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    refusals.HeadersTooLarge: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    refusals.TooBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    refusals.KeysUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    # What the parsers of bodies raise: for one that is nested too deeply, and for one that is not UTF-8.
    RecursionError: HTTPStatus.BAD_REQUEST,
    UnicodeDecodeError: HTTPStatus.BAD_REQUEST,
}
_HEADERS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": str(RETRY_SECONDS)},
}

# How the pages show an error: request, status, title, detail.
RenderError = Callable[[Request[Any, Any, Any], int, str, str], Response[Any]]

_log = structlog.get_logger(__name__)


class Problem(Struct, frozen=True, kw_only=True):
    """What went wrong. `code` never changes once released; `detail` is a sentence for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[dict[str, str]] | UnsetType = UNSET


def answer_problem(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """The answer to a request that failed: Litestar's one handler for every exception."""
    problem, headers = describe(error)
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request failed", exc_info=error)
    render_error: RenderError | None = request.app.state.get("render_error")
    if render_error is not None and _wants_page(request):
        page = render_error(request, problem.status, problem.title, problem.detail)
        page.headers.update(headers)
        return page
    headers = headers | {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(problem, status_code=problem.status, media_type=PROBLEM_JSON, headers=headers)


def describe(error: Exception) -> tuple[Problem, dict[str, str]]:
    """An error as a problem, and the headers that go with it."""
    if isinstance(error, HTTPException):
        return _of_http(error), dict(error.headers or {}) | _HEADERS.get(HTTPStatus(error.status_code), {})
    status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), HTTPStatus(500))
    return _of_ours(error, status), _HEADERS.get(status, {})


def make_problem(status: HTTPStatus, code: str, detail: str) -> Problem:
    """A problem by its code."""
    title = code.replace("_", " ").capitalize()
    return Problem(type=f"urn:everyskill:problem:{code}", title=title, status=status, detail=detail, code=code)


def _of_ours(error: Exception, status: HTTPStatus) -> Problem:
    if isinstance(error, RecursionError | UnicodeDecodeError):
        return make_problem(status, "bad_request", "The body is not JSON that can be read.")
    if status == HTTPStatus.INTERNAL_SERVER_ERROR or not isinstance(error, errors.EverySkillError):
        return make_problem(status, "internal_error", "Something went wrong here, and was written to the log.")
    if isinstance(error, errors.DatabaseNotReady):
        # The reason names hosts and roles: it is for the operator, at /health/ready.
        return make_problem(status, error.code, "The database is not ready. Try again in a few seconds.")
    return make_problem(status, error.code, str(error))


def _of_http(error: HTTPException) -> Problem:
    status = HTTPStatus(error.status_code)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _of_ours(error, status)
    problem = make_problem(status, status.name.lower(), error.detail or status.phrase)
    if not isinstance(error.extra, list):
        return problem
    found = [{name: str(value) for name, value in item.items()} for item in error.extra if isinstance(item, dict)]
    return Problem(**{name: getattr(problem, name) for name in problem.__struct_fields__} | {"errors": found})


def _wants_page(request: Request[Any, Any, Any]) -> bool:
    path = request.scope["path"]
    if path.startswith(("/v1/", "/health/", "/schema", "/metrics")) or path == "/v1":
        return False
    return "text/html" in request.headers.get("Accept", "")
