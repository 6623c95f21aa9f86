"""The pages for people: rendered on the server, readable without JavaScript, and free of content from other sites."""

from litestar import Router

from everyskill.web.pages import assets, errors, home, sign_in, skill, skills
from everyskill.web.pages.context import provide_page_context

__all__ = ["render_error", "routers"]

render_error = errors.render_error

routers = [
    Router(
        "/",
        route_handlers=[*home.handlers, *skills.handlers, *skill.handlers],
        dependencies={"page_context": provide_page_context},
        include_in_schema=False,
    ),
    Router("/", route_handlers=[*sign_in.handlers, *assets.handlers], include_in_schema=False),
]
