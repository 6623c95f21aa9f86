"""A group of commands whose --help is quick."""

import typer
from typer.core import TyperGroup, TyperOption


class QuickGroup(TyperGroup):
    """As typer makes it, but for one import."""

    def get_help_option(self, ctx: typer.Context) -> TyperOption | None:  # type: ignore[override] # the same class
        """The option --help, with a default: without one typer imports pydantic, before every command's --help."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option


def group_of_commands(name: str, about: str) -> typer.Typer:
    """A group, also where it has one command only."""
    group = typer.Typer(name=name, help=about, cls=QuickGroup, no_args_is_help=True)
    # Without a callback typer folds a single command into its group.
    group.callback()(lambda: None)
    return group
