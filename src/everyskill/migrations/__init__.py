"""Migrates a database to the schema of this program, with Alembic and without an alembic.ini."""

from everyskill.migrations.runner import downgrade, upgrade, upgrade_sql

__all__ = ["downgrade", "upgrade", "upgrade_sql"]
