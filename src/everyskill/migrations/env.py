"""What Alembic runs: the migrations on the connection it was handed, or as SQL text."""

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
