"""Brings a database to the schema of this program: Alembic, run without a configuration file."""

from everyskill.migrations.runner import downgrade, upgrade, upgrade_sql

__all__ = ["downgrade", "upgrade", "upgrade_sql"]
