"""Dumps a whole database into one file and restores it, with pg_dump and pg_restore.

A dump holds every row or is refused: row-level security can hide rows from pg_dump without an error.
"""

from everyskill.backup.dump import dump
from everyskill.backup.restore import Restored, restore

__all__ = ["Restored", "dump", "restore"]
