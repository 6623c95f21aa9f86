"""What a skill's page shows to one person."""

from datetime import datetime

from msgspec import Struct

from everyskill.model.changes import ChangeItem
from everyskill.model.diffs import FileDiff
from everyskill.model.feedback import SkillFeedback
from everyskill.model.skills import Skill, SkillVersion, VersionSummary
from everyskill.model.views import AnyLook, UserSkillView


class SkillReading(Struct, frozen=True, kw_only=True):
    """A skill with its text, its history and its feedback, newest first, and what changed for the reader.

    `view` is the reader's view row, and `since` the look against which `changes` and `diff` are told; both are None on
    a first visit. `is_seen` tells that this visit is recorded already and `since` the look before it. `published` is
    None where the skill has no version. `as_of` is the database's clock, in UTC.
    """

    skill: Skill
    published: SkillVersion | None
    view: UserSkillView | None
    since: AnyLook | None
    is_seen: bool
    changes: list[ChangeItem]
    diff: list[FileDiff]
    versions: list[VersionSummary]
    feedback: list[SkillFeedback]
    as_of: datetime
