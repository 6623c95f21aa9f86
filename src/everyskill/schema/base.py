"""What all tables share: the metadata with its naming rules, and the column types used throughout."""

from typing import Annotated

from sqlalchemy import MetaData, Text, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, mapped_column

# PostgreSQL rounds to the millisecond when it stores; rounding keeps the order, so two stored moments compare safely.
TIMESTAMP_MS = TIMESTAMP(timezone=True, precision=3)
TIMESTAMPTZ = TIMESTAMP(timezone=True)

NOW = text("now()")
RANDOM_ID = text("gen_random_uuid()")

GeneratedId = Annotated[str, mapped_column(Text, server_default=RANDOM_ID)]
TextColumn = Annotated[str, mapped_column(Text)]


class Base(DeclarativeBase):
    """The description of the schema: Alembic compares the migrations with it, and programs join against it."""

    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "uq": "%(table_name)s_%(column_0_N_name)s_unique",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )
