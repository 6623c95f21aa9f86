"""A skill's page: what changed for the user, its text, files, versions and feedback; and the diff of two versions."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, QueryParameter, URLEncodedBody
from litestar.response import Redirect
from msgspec import Struct

from everyskill.errors import InvalidChoice, InvalidText, InvalidVersion
from everyskill.handles import Tenant
from everyskill.model import describe
from everyskill.model.inputs import MAX_VERSION, check_version
from everyskill.model.skill_pages import SkillPageContent
from everyskill.model.skills import SkillVersion
from everyskill.model.views import AnyView, ViewBeforeVisit
from everyskill.web.auth.authentication import CurrentIdentity, CurrentTenant
from everyskill.web.headers import NO_STORE
from everyskill.web.moments import read_moment
from everyskill.web.pages.context import BaseContext, PageContext, require_csrf_token
from everyskill.web.pages.diffs import view_files
from everyskill.web.pages.markdown import Markdown
from everyskill.web.pages.rendering import iso, render
from everyskill.web.requests import AnyRequest

# The parts of the page, one at a time.
PARTS = ("changes", "instructions", "files", "versions", "feedback")
# What the page shows of the front matter, and how it calls that.
FACTS = {"license": "licence", "allowed-tools": "tools", "compatibility": "works with", "version": "version"}
MAX_FACT_LENGTH = 100
# Whose details the card shows below its sentence, which counts the rest.
_NAMED_IN_CARD = {"version_bump", "files_changed"}
MAX_TEXT_SHOWN = 512 * 1024

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

    comment: str = ""
    sentiment: str = ""


@get("/skills/{slug:str}")
async def show_skill(
    request: AnyRequest,
    tenant: CurrentTenant,
    page_context: PageContext,
    slug: FromPath[str],
    *,
    show: FromQuery[str] = "",
    since: FromQuery[str] = "",
    since_version: FromQuery[str] = "",
    visited: FromQuery[str] = "",
) -> Response[Any]:
    """One part of the skill, and what changed since the user's last view. Records nothing.

    An id or an old slug leads to the slug.

    Where the URL names the view before a visit, and that visit is the user's last view, changes are since the former.
    """
    before_visit = _read_view(since, since_version, visited)
    skill_page = await tenant.get_skill_page(page_context.user_id, slug, before_visit=before_visit)
    if slug != skill_page.skill.slug:
        return _lead_on(request, f"/skills/{skill_page.skill.slug}")
    markdown: Markdown = request.app.state.markdown
    return await tenant.run_in_worker(lambda: _render(page_context, markdown, skill_page, show))


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
    request: AnyRequest,
    tenant: CurrentTenant,
    page_context: PageContext,
    slug: FromPath[str],
    data: URLEncodedBody[FeedbackForm],
) -> Response[Any]:
    """Adds feedback on the skill. What cannot be taken is shown again, with the reason."""
    skill_id, redirect = await _find_id(tenant, slug), _redirect_to_skill(slug, data, show="feedback")
    try:
        await tenant.add_feedback(
            skill_id, user_id=page_context.user_id, comment=data.comment, sentiment=data.sentiment or None
        )
    except (InvalidText, InvalidChoice) as error:
        refused = str(error)
        before_visit = _read_view(data.since, data.since_version, data.viewed_at)
        skill_page = await tenant.get_skill_page(page_context.user_id, slug, before_visit=before_visit)
        markdown: Markdown = request.app.state.markdown
        return await tenant.run_in_worker(
            lambda: _render(page_context, markdown, skill_page, "feedback", typed=data, refused=refused)
        )
    return redirect


@get("/skills/{slug:str}/diff")
async def show_diff(
    request: AnyRequest,
    tenant: CurrentTenant,
    page_context: PageContext,
    slug: FromPath[str],
    *,
    old: OldVersion,
    new: NewVersion,
    path: FromQuery[str] = "",
) -> Response[Any]:
    """How one version differs from another, or one file of them whole. Records nothing."""
    differing = await tenant.compare_versions(slug, old, new)
    skill = (await tenant.get_skill(slug)).skill
    if slug != skill.slug:
        return _lead_on(request, f"/skills/{skill.slug}/diff")
    chosen = [file for file in differing if path in {"", file.path}]
    return await tenant.run_in_worker(
        lambda: render(
            "diff.html",
            page_context=page_context,
            skill=skill,
            old=old,
            new=new,
            path=path,
            files=view_files(chosen, whole=path or None),
        )
    )


@get("/skills/{slug:str}/files/{path:path}")
async def show_file(
    request: AnyRequest, tenant: CurrentTenant, page_context: PageContext, slug: FromPath[str], path: FromPath[Path]
) -> Response[Any]:
    """A file of the published version. Records nothing."""
    skill = (await tenant.get_skill(slug)).skill
    file = await tenant.read_file(slug, path.as_posix().removeprefix("/"))
    if slug != skill.slug:
        return _lead_on(request, f"/skills/{skill.slug}/files/{quote(file.path)}")
    is_shown = file.is_text and file.size <= MAX_TEXT_SHOWN
    return await tenant.run_in_worker(
        lambda: render(
            "file.html",
            page_context=page_context,
            skill=skill,
            file=file,
            text=file.content.decode() if is_shown else None,
            why_no_text="It is too large to be shown." if file.is_text else "It is no text.",
        )
    )


def _lead_on(request: AnyRequest, address: str) -> Redirect:
    """From an id or an old slug, which another skill may take, to the address of the skill."""
    query = request.scope["query_string"].decode("latin-1")
    return Redirect(f"{address}{query and '?'}{query}", status_code=308, headers=NO_STORE)


async def _find_id(tenant: Tenant, slug: str) -> str:
    return (await tenant.get_skill(slug)).skill.id


def _render(
    page_context: BaseContext,
    markdown: Markdown,
    skill_page: SkillPageContent,
    show: str,
    *,
    typed: FeedbackForm = FeedbackForm(),  # noqa: B008 - immutable
    refused: str | None = None,
) -> Response[str]:
    part = show if show in PARTS else "changes" if skill_page.changes else "instructions"
    published, changes = skill_page.published, skill_page.changes
    capabilities = [change for change in changes if change.severity is not None]
    # The moment that the user's row holds, or will hold once this visit is recorded.
    recorded = skill_page.view if skill_page.is_recorded else None
    visited_at = skill_page.as_of if recorded is None else recorded.last_viewed_at
    return render(
        "skill.html",
        status_code=200 if refused is None else 400,
        page_context=page_context,
        skill_page=skill_page,
        part=part,
        tabs=_tabs(skill_page),
        facts=_facts(published),
        sentence=describe(change for change in changes if change.severity is None),
        capabilities=capabilities,
        details=[change.detail for change in changes if change.type in _NAMED_IN_CARD and change.detail],
        replaced=[change for change in changes if change.old is not None],
        files=view_files(skill_page.diff) if part == "changes" else [],
        content_html=markdown.to_html("" if published is None else published.content) if part == "instructions" else "",
        visited_at=visited_at,
        visit_query="" if skill_page.previous is None else _visit_query(skill_page.previous, visited_at),
        typed=typed,
        refused=refused,
    )


def _tabs(skill_page: SkillPageContent) -> list[tuple[str, str, int]]:
    """The name, the title and the number of each part."""
    files = () if skill_page.published is None else skill_page.published.files
    numbers = (0, 0, len(files), len(skill_page.versions), len(skill_page.feedback))
    return [(name, name.capitalize(), number) for name, number in zip(PARTS, numbers, strict=True)]


def _facts(published: SkillVersion | None) -> list[tuple[str, str]]:
    """What the front matter says beside name and description, where it is a word or a list of words."""
    front_matter = (published and published.front_matter) or {}
    facts = []
    for field, title in FACTS.items():
        value = front_matter.get(field)
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        if isinstance(text, str) and text.strip():
            facts.append((title, text[:MAX_FACT_LENGTH]))
    return facts


def _redirect_to_skill(slug: str, form: VisitForm, *, show: str = "") -> Redirect:
    """Back to the page, with the same changes. Raises InvalidTimestamp or InvalidVersion."""
    before_visit = _read_view(form.since, form.since_version, form.viewed_at)
    visit = "" if before_visit is None else _visit_query(before_visit, before_visit.visited_at)
    query = "&".join(filter(None, [show and f"show={show}", visit]))
    return Redirect(f"/skills/{quote(slug, safe='')}{query and '?'}{query}", status_code=303)


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


handlers = [show_skill, record_view, add_feedback, show_diff, show_file]
