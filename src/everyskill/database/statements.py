"""SQL text with named parameters: every statement names the tenant, and says how it is planned."""

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar

import msgspec
from asyncpg import Record
from msgspec import Struct

Value = TypeVar("Value", bound=Struct)

# ":name", and not the "::" of a cast.
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)")
_TO_JSON = msgspec.json.Encoder()


def _settings(**settings: str) -> str:
    return "".join(f", set_config('{name}', '{value}', true)" for name, value in settings.items())


# For a statement that looks rows up by their keys: one plan for all values, and index scans only. A table that was just
# filled has no statistics, and the planner would choose sequential scans. Never compiled: the cost of such a plan is
# that of the rows it could find, and compiling takes longer than finding those it does.
GENERIC_PLAN = _settings(plan_cache_mode="force_generic_plan", enable_seqscan="off", enable_bitmapscan="off", jit="off")
# The same with nested loops only, for a join of which no side can be fenced off by OFFSET 0.
NESTED_LOOP_PLAN = GENERIC_PLAN + _settings(enable_hashjoin="off", enable_mergejoin="off")
# The same with each table read once, for a question about all of a tenant: nobody knows how many rows will be compared.
ONE_PASS_PLAN = GENERIC_PLAN + _settings(enable_nestloop="off")


class Statement:
    """One SQL statement with parameters such as `:user_id`, as psql takes it too.

    `sql` is the text as it was written, and `text` the same with the places $1, $2 … that asyncpg takes. `settings` are
    the planner's settings that its transaction begins with: all statements of one transaction must have the same.
    `:tenant_id` is bound by the transaction, everything else by the caller.
    """

    __slots__ = ("parameters", "settings", "sql", "text")

    def __init__(self, sql: str, *, plan: str = GENERIC_PLAN) -> None:
        self.sql = sql.strip()
        self.parameters = tuple(dict.fromkeys(_PARAMETER.findall(sql)))
        if "tenant_id" not in self.parameters:
            raise AssertionError(f"no :tenant_id in: {sql}")
        places = {name: f"${place}" for place, name in enumerate(self.parameters, start=1)}
        self.text = _PARAMETER.sub(lambda found: places[found[1]], self.sql)
        self.settings = plan

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the order of the places in `text`."""
        return [values[name] for name in self.parameters]


def to_json(value: object) -> str:
    """A value as a parameter of type json or jsonb takes it."""
    return _TO_JSON.encode(value).decode()


def row_reader(kind: type[Value]) -> Callable[[Record], Value]:
    """A function that makes a `kind` of the columns that are named like its fields without a default.

    For the rows of lists and feeds: ten times as fast as read_rows. It converts no types.
    """
    names = kind.__struct_fields__
    fields = itemgetter(*names[: len(names) - len(kind.__struct_defaults__)])
    return lambda row: kind(*fields(row))


def read_rows(rows: Sequence[Record], kind: type[Value]) -> list[Value]:
    """Rows whose columns are named like the fields of `kind`, as values of that kind, enumerations included."""
    return [msgspec.convert(dict(row), kind) for row in rows]


def read_row(row: Record | None, kind: type[Value]) -> Value | None:
    """One such row; None where there is none."""
    return None if row is None else msgspec.convert(dict(row), kind)
