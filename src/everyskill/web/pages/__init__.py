"""The pages for people: rendered on the server, readable without JavaScript, and free of content from other sites."""

from litestar import Router

from everyskill.web.forms import FormRequest, parse_form
from everyskill.web.pages import assets, errors, home, sign_in, skill, skills
from everyskill.web.pages.context import provide_page_context
from everyskill.web.pages.markdown import Markdown

__all__ = ["Markdown", "create_router", "render_error"]

render_error = errors.render_error


def create_router(*, form_limit: int) -> Router:
    """All pages; what a form sends to them has `form_limit` bytes at most."""
    of_somebody = Router(
        "/",
        route_handlers=[*home.handlers, *skills.handlers, *skill.handlers],
        dependencies={"page_context": provide_page_context},
    )
    return Router(
        "/",
        route_handlers=[of_somebody, *sign_in.handlers, *assets.handlers],
        request_class=FormRequest,
        before_request=parse_form,
        request_max_body_size=form_limit,
        include_in_schema=False,
    )
