"""Runs a command: opens the tenant it is about, and turns an expected error into a sentence and an exit code."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import typer

import everyskill
from everyskill.cli.output import Output
from everyskill.errors import DatabaseNotReady, EverySkillError

if TYPE_CHECKING:
    from everyskill.handles import Tenant

FAILED = 1
DATABASE_NOT_READY = 3

P = ParamSpec("P")


def command(body: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Makes a coroutine a command."""

    @wraps(body)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        import asyncio  # noqa: PLC0415 - not needed for --help, which it would make slower by half

        try:
            asyncio.run(body(*args, **kwargs))
        except EverySkillError as error:
            Output(as_json=bool(kwargs.get("as_json"))).error(error)
            raise typer.Exit(DATABASE_NOT_READY if isinstance(error, DatabaseNotReady) else FAILED) from error
        except BrokenPipeError:
            _close_stdout()
            raise typer.Exit(FAILED) from None
        except OSError as error:
            # A full disk, say: what was printed is not whole, and the exit code tells a script so.
            _close_stdout()
            sys.stderr.write(f"Error: {error}\n")
            raise typer.Exit(FAILED) from error

    return run


@asynccontextmanager
async def open_tenant(
    tenant_id: str, database_url: str | None, *, user_id: str | None = None
) -> "AsyncIterator[Tenant]":
    """A tenant that exists, with the user, where one is named: a typo must not look like an empty catalog."""
    async with everyskill.connect(database_url) as database:
        tenant = database.tenant(tenant_id)
        await tenant.get()
        if user_id is not None:
            await tenant.get_user(user_id)
        yield tenant


def _close_stdout() -> None:
    # Or Python complains on its way out that it could not write the rest.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
