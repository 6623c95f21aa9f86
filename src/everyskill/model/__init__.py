"""Values and rules: frozen structs and pure functions. Imports nothing of ours but errors."""

from everyskill.model.changes import ChangeItem, SkillState, VersionFacts, Visit, detect_changes, is_updated
from everyskill.model.feedback import FeedbackStatus, FeedbackType, Sentiment, SkillFeedback
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
    SkillVersion,
)
from everyskill.model.tenants import Role, TenantInfo, User
from everyskill.model.views import NewUserSkillView, UserSkillView
from everyskill.model.whats_new import WhatsNewItem, WhatsNewPage

__all__ = [
    "ChangeItem",
    "FeedbackStatus",
    "FeedbackType",
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
    "SkillState",
    "SkillStatus",
    "SkillVersion",
    "TenantInfo",
    "User",
    "UserSkillView",
    "VersionFacts",
    "Visit",
    "WhatsNewItem",
    "WhatsNewPage",
    "detect_changes",
    "is_updated",
]
