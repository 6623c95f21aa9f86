"""A skill's page: what changed for the user, its text, its versions and its feedback; and the diff of two versions."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, QueryParameter, URLEncodedBody
from litestar.response import Redirect
from msgspec import Struct

from everyskill.errors import InvalidVersion
from everyskill.handles import Tenant
from everyskill.model.inputs import MAX_VERSION, check_version
from everyskill.model.views import AnyView, ViewBeforeVisit
from everyskill.web.auth.authentication import CurrentIdentity, CurrentTenant
from everyskill.web.moments import read_moment
from everyskill.web.pages.context import PageContext, require_csrf_token
from everyskill.web.pages.markdown import Markdown
from everyskill.web.pages.rendering import iso, render
from everyskill.web.requests import AnyRequest

# int() takes quadratic time, and Python refuses thousands of digits with an error of its own.
_MAX_DIGITS = len(str(MAX_VERSION))

OldVersion = Annotated[int, QueryParameter(name="from")]
NewVersion = Annotated[int, QueryParameter(name="to")]


class VisitForm(Struct, frozen=True, kw_only=True):
    """The view that the page compared with, and the moment it was rendered.

    The response to a form leads back to the page with both in its URL, so that it shows the same changes again.
    """

    since: str = ""
    since_version: str = ""
    viewed_at: str = ""


class MarkSeenForm(VisitForm, frozen=True, kw_only=True):
    """The version that the page showed."""

    version: int | None = None


class FeedbackForm(VisitForm, frozen=True, kw_only=True):
    """Feedback on the skill."""

    comment: str
    sentiment: str = ""


@get("/skills/{slug:str}")
async def show_skill(
    request: AnyRequest,
    tenant: CurrentTenant,
    page_context: PageContext,
    slug: FromPath[str],
    *,
    since: FromQuery[str] = "",
    since_version: FromQuery[str] = "",
    visited: FromQuery[str] = "",
) -> Response[str]:
    """The skill, with what changed since the user's last view. Records nothing.

    Where the URL names the view before a visit, and that visit is the user's last view, changes are since the former.
    """
    before_visit = _read_view(since, since_version, visited)
    skill_page = await tenant.get_skill_page(page_context.user_id, slug, before_visit=before_visit)
    markdown: Markdown = request.app.state.markdown
    content = "" if skill_page.published is None else skill_page.published.content
    visit_query = "" if skill_page.previous is None else _visit_query(skill_page.previous, skill_page.as_of)
    return await tenant.run_in_worker(
        lambda: render(
            "skill.html",
            page_context=page_context,
            skill_page=skill_page,
            content_html=markdown.to_html(content),
            visit_query=visit_query,
        )
    )


@post("/skills/{slug:str}/seen", guards=[require_csrf_token])
async def record_view(
    tenant: CurrentTenant, identity: CurrentIdentity, slug: FromPath[str], data: URLEncodedBody[MarkSeenForm]
) -> Response[Any]:
    """Records the view where no script does."""
    viewed_at, redirect = read_moment("viewed_at", data.viewed_at), _redirect_to_skill(slug, data)
    await tenant.record_skill_view(identity.user_id, await _find_id(tenant, slug), data.version, viewed_at)
    return redirect


@post("/skills/{slug:str}/feedback", guards=[require_csrf_token])
async def add_feedback(
    tenant: CurrentTenant, identity: CurrentIdentity, slug: FromPath[str], data: URLEncodedBody[FeedbackForm]
) -> Response[Any]:
    """Adds feedback on the skill."""
    skill_id, redirect = await _find_id(tenant, slug), _redirect_to_skill(slug, data)
    await tenant.add_feedback(
        skill_id, user_id=identity.user_id, comment=data.comment, sentiment=data.sentiment or None
    )
    return redirect


@get("/skills/{slug:str}/diff")
async def show_diff(
    tenant: CurrentTenant, page_context: PageContext, slug: FromPath[str], old: OldVersion, new: NewVersion
) -> Response[str]:
    """How one version differs from another. Records nothing."""
    files = await tenant.compare_versions(slug, old, new)
    skill = (await tenant.get_skill(slug)).skill
    return await tenant.run_in_worker(
        lambda: render("diff.html", page_context=page_context, skill=skill, old=old, new=new, files=files)
    )


async def _find_id(tenant: Tenant, slug: str) -> str:
    return (await tenant.get_skill(slug)).skill.id


def _redirect_to_skill(slug: str, form: VisitForm) -> Redirect:
    """Back to the page, with the same changes. Raises InvalidTimestamp or InvalidVersion."""
    before_visit = _read_view(form.since, form.since_version, form.viewed_at)
    query = "" if before_visit is None else f"?{_visit_query(before_visit, before_visit.visited_at)}"
    return Redirect(f"/skills/{quote(slug, safe='')}{query}", status_code=303)


def _read_view(since: str, version: str, visited: str) -> ViewBeforeVisit | None:
    """The view before a visit, as a URL or a form names it. Raises InvalidTimestamp or InvalidVersion."""
    if not since or not visited:
        return None
    if len(version) > _MAX_DIGITS or not version.isascii() or not (version.isdecimal() or not version):
        raise InvalidVersion(version)
    number = check_version(int(version)) if version else None
    return ViewBeforeVisit(read_moment("since", since), number, read_moment("visited", visited))


def _visit_query(view: AnyView, visited_at: datetime) -> str:
    """What `_read_view` reads, as the query of a URL."""
    version = {} if view.last_viewed_version is None else {"since_version": view.last_viewed_version}
    return urlencode({"since": iso(view.last_viewed_at), **version, "visited": iso(visited_at)})


handlers = [show_skill, record_view, add_feedback, show_diff]
