"""Sources: where skills are synchronized from, and how far."""

from datetime import datetime

from msgspec import Struct

from everyskill.model.skills import SkillStatus

# It is a part of a key, whose entry in an index has at most 2,704 bytes.
MAX_ADDRESS_LENGTH = 500
MAX_REF_LENGTH = 200


class SkillSource(Struct, frozen=True):
    """A source by its address. `revision` is what was synchronized last: a commit, or the hash of an archive."""

    address: str
    ref: str | None
    revision: str | None
    synced_at: datetime


class SourcedSkill(Struct, frozen=True):
    """Where a skill comes from: None for one that no source has. An archived one without a path vanished there."""

    slug: str
    status: SkillStatus
    source: str | None
    source_path: str | None
