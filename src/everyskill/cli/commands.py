"""Turns coroutines into commands, opens the tenant of a command, and maps errors to exit codes."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import typer
from typer.core import TyperGroup, TyperOption

import everyskill
from everyskill.cli.output import Output
from everyskill.errors import DatabaseNotReady, EverySkillError

if TYPE_CHECKING:
    from everyskill.handles import Tenant

EXIT_FAILED = 1
EXIT_DATABASE_NOT_READY = 3

P = ParamSpec("P")


class QuickGroup(TyperGroup):
    """A group that answers --help in half the time: typer imports pydantic for the option's missing default."""

    def get_help_option(self, ctx: Any) -> TyperOption | None:
        """The option --help, with a default."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option


def group_of_commands(name: str, about: str) -> typer.Typer:
    """A group of commands, which may be a single one."""
    group = typer.Typer(name=name, help=about, cls=QuickGroup, no_args_is_help=True)
    # Without a callback typer puts a single command in the place of its group.
    group.callback()(lambda: None)
    return group


def command(body: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Makes a function for typer of a coroutine function.

    It prints an expected error as a sentence, or as JSON where the command has `as_json`, and ends with an exit code.
    """

    @wraps(body)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        import asyncio  # noqa: PLC0415 - --help is a fifth slower with it

        try:
            asyncio.run(body(*args, **kwargs))
        except EverySkillError as error:
            Output(as_json=bool(kwargs.get("as_json"))).error(error)
            code = EXIT_DATABASE_NOT_READY if isinstance(error, DatabaseNotReady) else EXIT_FAILED
            raise typer.Exit(code) from error
        except BrokenPipeError:
            _discard_stdout()
            raise typer.Exit(EXIT_FAILED) from None
        except OSError as error:
            # A full disk, say: what was printed is not whole, and the exit code tells a script so.
            _discard_stdout()
            sys.stderr.write(f"Error: {error}\n")
            raise typer.Exit(EXIT_FAILED) from error

    return run


@asynccontextmanager
async def open_tenant(
    tenant_id: str, database_url: str | None, *, user_id: str | None = None
) -> "AsyncIterator[Tenant]":
    """Opens a tenant. Raises TenantNotFound, and UserNotFound for a `user_id` that the tenant does not have.

    Without these checks a typo would look like an empty catalog.
    """
    async with everyskill.connect(database_url) as database:
        tenant = database.tenant(tenant_id)
        await tenant.get()
        if user_id is not None:
            await tenant.get_user(user_id)
        yield tenant


def _discard_stdout() -> None:
    # Or Python complains on its way out that it could not write the rest.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
