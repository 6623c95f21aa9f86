"""Assembles the ASGI app of the HTTP service."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from everyskill.handles import Database
from everyskill.web import api, health, pages
from everyskill.web.api.openapi import DESCRIPTION, ClosedStructs
from everyskill.web.auth.authentication import provide_identity, provide_tenant
from everyskill.web.auth.keys import create_keys
from everyskill.web.auth.tokens import TokenVerifier
from everyskill.web.auth.users import UserCache
from everyskill.web.middleware.admission import with_admission
from everyskill.web.middleware.head import with_head
from everyskill.web.middleware.logs import with_request_log
from everyskill.web.middleware.metrics import with_metrics
from everyskill.web.problems import handle_exception
from everyskill.web.requests import AnyRequest
from everyskill.web.settings import WebSettings


def create_app(database: Database, settings: WebSettings) -> Litestar:
    """The ASGI app on an open database."""
    keys = create_keys(settings)
    state = {
        "database": database,
        "settings": settings,
        "tokens": None if keys is None else TokenVerifier(settings, keys),
        "users": UserCache(database),
        "readiness": health.Shared(database.check),
        "metrics": health.Shared(health.write_metrics),
        "markdown": pages.Markdown(settings),
        "render_error": pages.render_error,
    }
    app = Litestar(
        route_handlers=[
            api.create_router(body_limit=settings.body_limit),
            pages.create_router(form_limit=settings.form_limit),
            health.router,
        ],
        dependencies={"identity": Provide(provide_identity), "tenant": Provide(provide_tenant)},
        exception_handlers={Exception: handle_exception},
        middleware=[with_metrics],
        openapi_config=_openapi(),
        on_startup=[_make_openapi_document],
        plugins=[ClosedStructs()],
        state=State(state),
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    # Outside of the router, so that requests that match no route pass through them too.
    app.asgi_handler = with_request_log(with_admission(with_head(app.asgi_handler), settings))
    return app


def _make_openapi_document(app: Litestar) -> None:
    """Now, and not for the first who asks: it takes a tenth of a second."""
    plugin: Any = app.plugins.get("OpenAPIPlugin")
    plugin.provide_openapi_schema()


async def _refuse_unknown_path(request: AnyRequest) -> None:
    """Instead of Litestar's own page, without a header of ours, for what is below /schema and is not there."""
    if request.path_params:
        raise NotFoundException


def _openapi() -> OpenAPIConfig:
    try:
        our_version = version("everyskill")
    except PackageNotFoundError:
        our_version = "0"
    bearer = SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
    return OpenAPIConfig(
        title="EverySkill",
        version=our_version,
        description=DESCRIPTION,
        use_handler_docstrings=True,
        components=Components(security_schemes={"bearer": bearer}),
        # JSON alone: the HTML pages that Litestar has for it load scripts from other sites.
        openapi_router=Router(
            "/schema", route_handlers=[], before_request=_refuse_unknown_path, include_in_schema=False
        ),
        render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"])],
    )
