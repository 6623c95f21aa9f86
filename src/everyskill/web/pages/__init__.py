"""The pages for people: rendered here, readable without a script, and nothing on them comes from elsewhere."""

from litestar import Router

from everyskill.web.pages import assets, errors, home, sign_in, skill, skills
from everyskill.web.pages.readers import provide_reader

__all__ = ["render_error", "routers"]

render_error = errors.render_error

routers = [
    Router(
        "/",
        route_handlers=[*home.handlers, *skills.handlers, *skill.handlers],
        dependencies={"reader": provide_reader},
        include_in_schema=False,
    ),
    Router("/", route_handlers=[*sign_in.handlers, *assets.handlers], include_in_schema=False),
]
