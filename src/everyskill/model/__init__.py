"""Values and rules: frozen structs and pure functions. Imports nothing of ours but errors."""

from everyskill.model.changes import ChangeItem, SkillState, VersionFacts, Visit, detect_changes, is_updated
from everyskill.model.diffs import FileDiff, diff_versions
from everyskill.model.feedback import FeedbackStatus, FeedbackType, Sentiment, SkillFeedback
from everyskill.model.readings import SkillReading
from everyskill.model.skills import (
    Outcome,
    Publication,
    Skill,
    SkillDetail,
    SkillFile,
    SkillFolder,
    SkillListItem,
    SkillPage,
    SkillStatus,
    SkillText,
    SkillVersion,
    VersionSummary,
)
from everyskill.model.tenants import Role, TenantInfo, User
from everyskill.model.views import LastLook, NewUserSkillView, UserSkillView, ViewState
from everyskill.model.whats_new import WhatsNewItem, WhatsNewPage

__all__ = [
    "ChangeItem",
    "FeedbackStatus",
    "FeedbackType",
    "FileDiff",
    "LastLook",
    "NewUserSkillView",
    "Outcome",
    "Publication",
    "Role",
    "Sentiment",
    "Skill",
    "SkillDetail",
    "SkillFeedback",
    "SkillFile",
    "SkillFolder",
    "SkillListItem",
    "SkillPage",
    "SkillReading",
    "SkillState",
    "SkillStatus",
    "SkillText",
    "SkillVersion",
    "TenantInfo",
    "User",
    "UserSkillView",
    "VersionFacts",
    "VersionSummary",
    "ViewState",
    "Visit",
    "WhatsNewItem",
    "WhatsNewPage",
    "detect_changes",
    "diff_versions",
    "is_updated",
]
