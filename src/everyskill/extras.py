"""Says which extra to install where a library that belongs to one is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from everyskill.errors import MissingExtra


@contextmanager
def extra(name: str) -> Iterator[None]:
    """For imports of what `everyskill[name]` installs. Raises MissingExtra where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("everyskill"):
            raise
        raise MissingExtra(name, error.name) from error
