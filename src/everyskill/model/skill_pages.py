"""What a skill's page shows to one user."""

from datetime import datetime

from msgspec import Struct

from everyskill.model.changes import ChangeItem
from everyskill.model.diffs import FileDiff
from everyskill.model.feedback import SkillFeedback
from everyskill.model.skills import Skill, SkillVersion, VersionSummary
from everyskill.model.views import AnyView, UserSkillView


class SkillPageContent(Struct, frozen=True, kw_only=True):
    """A skill with its text, its newest 201 versions and 50 pieces of feedback, and what changed for the user.

    `view` is the user's view row, and `previous` the view that `changes` and `diff` compare with; both are None on a
    first visit. `is_recorded` says that this visit is recorded already; then `previous` is the view before it.
    `published` is None where the skill has no version. `as_of` is the database's clock, not before `updated_at`.
    """

    skill: Skill
    published: SkillVersion | None
    view: UserSkillView | None
    previous: AnyView | None
    is_recorded: bool
    changes: list[ChangeItem]
    diff: list[FileDiff]
    versions: list[VersionSummary]
    feedback: list[SkillFeedback]
    as_of: datetime
