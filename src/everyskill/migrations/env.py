"""Alembic's environment script: runs the migrations on the runner's connection, or prints them as SQL without one."""

from alembic import context

from everyskill.schema import Base

connection = context.config.attributes.get("connection")
context.configure(
    connection=connection,
    dialect_name="postgresql",
    literal_binds=connection is None,
    target_metadata=Base.metadata,
)

with context.begin_transaction():
    context.run_migrations()
