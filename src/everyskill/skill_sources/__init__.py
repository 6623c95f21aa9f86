"""Brings skills into a catalog from folders, archives, git repositories and indexes. Needs the extra `cli`."""

from everyskill.skill_sources.bounds import Bounds
from everyskill.skill_sources.opening import open_source
from everyskill.skill_sources.source import Source, SourceKind, parse_source

__all__ = ["Bounds", "Source", "SourceKind", "open_source", "parse_source"]
