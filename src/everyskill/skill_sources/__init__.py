"""Brings skills into a catalog from folders, archives, git repositories and indexes. Needs the extra `cli`."""

from everyskill.skill_sources.bounds import Bounds
from everyskill.skill_sources.opening import open_source
from everyskill.skill_sources.planning import PlannedUpdate
from everyskill.skill_sources.source import Source, SourceKind, parse_source
from everyskill.skill_sources.sync import SyncReport, sync_skills

__all__ = [
    "Bounds",
    "PlannedUpdate",
    "Source",
    "SourceKind",
    "SyncReport",
    "open_source",
    "parse_source",
    "sync_skills",
]
