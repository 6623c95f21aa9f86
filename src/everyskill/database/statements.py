"""Compiles SQLAlchemy Core statements once, into the text and the order of arguments that asyncpg takes."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Dialect, Text, bindparam, literal_column
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql import ClauseElement, Select
from sqlalchemy.sql.selectable import LateralFromClause
from sqlalchemy.types import TypeEngine

_DIALECT: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


class Statement:
    """A compiled statement. Every one names the tenant: `tenant_id` is bound by the scope, the rest by the caller."""

    __slots__ = ("constants", "names", "text")

    def __init__(self, clause: ClauseElement) -> None:
        compiled = clause.compile(dialect=_DIALECT)
        self.text = str(compiled)
        self.names: tuple[str, ...] = tuple(getattr(compiled, "positiontup", None) or ())
        # SQLAlchemy also makes a place of each constant in an expression.
        self.constants = {name: value for name, value in compiled.params.items() if value is not None}
        if "tenant_id" not in self.names:
            raise AssertionError(f"no tenant in: {self.text}")

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the order of the statement's places."""
        return [values[name] if name in values else self.constants[name] for name in self.names]


def parameter(name: str, type_: TypeEngine[Any] | type[TypeEngine[Any]] = Text) -> Any:
    """A place for a value. The type is spelled out, since PostgreSQL cannot guess it everywhere."""
    return bindparam(name, type_=type_)


def parameters(name: str, type_: TypeEngine[Any] | type[TypeEngine[Any]] = Text) -> Any:
    """A place for a list of values: one statement serves any number of them."""
    return bindparam(name, type_=ARRAY(type_))


def look_up(rows: Select[*tuple[Any, ...]], name: str) -> LateralFromClause:
    """Rows to be joined that are looked up by what stands before them in the FROM clause.

    OFFSET 0 keeps PostgreSQL from turning it round: from looking the few that are asked for up in many rows. What the
    rows must be besides is said outside: a condition that a partial index has as well may tempt it away from the key.
    """
    return rows.offset(literal_column("0")).lateral(name)


TENANT = parameter("tenant_id")
