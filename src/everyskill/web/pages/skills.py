"""The list of skills, with search and badges."""

from urllib.parse import urlencode

from litestar import Response, get
from litestar.params import FromQuery

from everyskill.model.inputs import MAX_LIMIT
from everyskill.web.auth.authentication import CurrentTenant
from everyskill.web.pages.context import PageContext
from everyskill.web.pages.rendering import render


@get("/skills")
async def list_skills(
    tenant: CurrentTenant,
    page_context: PageContext,
    *,
    text: FromQuery[str | None] = None,
    category: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
) -> Response[str]:
    """A page of the catalog, its badges by one query. Records nothing."""
    page = await tenant.list_skills(
        page_context.user_id, text=text or None, category=category or None, limit=MAX_LIMIT, cursor=cursor
    )
    categories = await tenant.list_categories()
    query = {"text": text, "category": category, "cursor": page.next_cursor}
    next_query = urlencode({name: value for name, value in query.items() if value}) if page.next_cursor else None
    return await tenant.run_in_worker(
        lambda: render(
            "skills.html",
            page_context=page_context,
            items=page.items,
            categories=categories,
            text=text,
            category=category,
            cursor=cursor,
            next_query=next_query,
        )
    )


handlers = [list_skills]
