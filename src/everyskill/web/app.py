"""Puts the HTTP service together."""

from importlib.metadata import PackageNotFoundError, version

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.plugins.prometheus import PrometheusController

from everyskill.handles import Database
from everyskill.web import api, health, pages
from everyskill.web.auth.authentication import provide_identity, provide_tenant
from everyskill.web.auth.keys import keys_of
from everyskill.web.auth.members import Members
from everyskill.web.auth.tokens import KnownTokens
from everyskill.web.middleware.admission import with_admission
from everyskill.web.middleware.head import with_head
from everyskill.web.middleware.logs import with_request_log
from everyskill.web.middleware.metrics import with_metrics
from everyskill.web.problems import answer_problem
from everyskill.web.settings import WebSettings


def create_app(database: Database, settings: WebSettings) -> Litestar:
    """The ASGI app on an open database."""
    app = Litestar(
        route_handlers=[*api.routers, *pages.routers, health.router, PrometheusController],
        dependencies={"identity": Provide(provide_identity), "tenant": Provide(provide_tenant)},
        exception_handlers={Exception: answer_problem},
        middleware=[with_metrics],
        openapi_config=_openapi(),
        request_max_body_size=settings.body_limit,
        state=_state(database, settings),
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    # Around the router, and so also around requests that find no route.
    app.asgi_handler = with_request_log(with_admission(with_head(app.asgi_handler), limit=settings.busy_limit))
    return app


def _state(database: Database, settings: WebSettings) -> State:
    keys = keys_of(settings)
    return State(
        {
            "database": database,
            "settings": settings,
            "tokens": None if keys is None else KnownTokens(settings, keys),
            "members": Members(database),
            "render_error": pages.render_error,
        }
    )


def _openapi() -> OpenAPIConfig:
    bearer = SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
    return OpenAPIConfig(
        title="EverySkill",
        version=_version(),
        description="Tells each person what changed in a catalog of AI skills since they last looked.",
        use_handler_docstrings=True,
        components=Components(security_schemes={"bearer": bearer}),
        # JSON alone: the pages that could show it would fetch scripts from elsewhere.
        render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"])],
    )


def _version() -> str:
    try:
        return version("everyskill")
    except PackageNotFoundError:
        return "0"
