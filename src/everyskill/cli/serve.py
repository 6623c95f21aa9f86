"""`serve`: the HTTP service on any database."""

# ruff: noqa: PLC0415 - an extra; --help is five times as slow with it

from typing import TYPE_CHECKING, Annotated

import typer

import everyskill
from everyskill.cli.commands import command
from everyskill.cli.options import DatabaseUrl
from everyskill.cli.output import Output
from everyskill.errors import InvalidSetting
from everyskill.extras import extra

if TYPE_CHECKING:
    from everyskill.web.settings import WebSettings


@command
async def serve(
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Unset: EVERYSKILL_HOST, else 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes any. Unset: EVERYSKILL_PORT, else 8080.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Let anybody sign in as any user; on loopback only.")] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Serve the API and the pages until Ctrl-C.

    Tokens are verified with EVERYSKILL_JWT_SECRET or EVERYSKILL_JWKS_URL, EVERYSKILL_JWT_ISSUER and
    EVERYSKILL_JWT_AUDIENCE. Logs go to stderr, a JSON object a line.
    """
    with extra("server"):
        from everyskill.web.middleware.logs import configure_logs
        from everyskill.web.server import serve as serve_app
        from everyskill.web.settings import WebSettings

    settings = WebSettings.from_environment(host=host, port=port, demo_sign_in=demo or None)
    _check_sign_in(settings)
    configure_logs()
    async with everyskill.connect(database_url) as database:
        await serve_app(database, settings, on_start=_print_address)


def _check_sign_in(settings: "WebSettings") -> None:
    if not (settings.takes_tokens or settings.demo_sign_in):
        reason = "set it, or EVERYSKILL_JWKS_URL, or nobody can sign in. To try it out: everyskill serve --demo"
        raise InvalidSetting("EVERYSKILL_JWT_SECRET", reason)


def _print_address(address: str) -> None:
    Output(as_json=False).result(None, [f"Serving on {address}"])
