"""Values and rules: frozen structs and pure functions. Imports nothing of ours but errors."""

from everyskill.model.changes import ChangeItem, VersionFacts, Visit, detect_changes, is_updated
from everyskill.model.diffs import FileDiff, diff_versions
from everyskill.model.feedback import FeedbackStatus, FeedbackType, Sentiment, SkillFeedback, SkillFeedbackPage
from everyskill.model.skill_files import FileContent, FileEntry
from everyskill.model.skill_pages import SkillPageContent
from everyskill.model.skills import (
    Outcome,
    Publication,
    Skill,
    SkillDetail,
    SkillFile,
    SkillFolder,
    SkillListItem,
    SkillListPage,
    SkillStatus,
    SkillVersion,
    VersionSummary,
)
from everyskill.model.tenants import Role, TenantInfo, User
from everyskill.model.views import NewUserSkillView, PreviousView, UserSkillView, ViewBeforeVisit, ViewState
from everyskill.model.whats_new import WhatsNewItem, WhatsNewPage

__all__ = [
    "ChangeItem",
    "FeedbackStatus",
    "FeedbackType",
    "FileContent",
    "FileDiff",
    "FileEntry",
    "NewUserSkillView",
    "Outcome",
    "PreviousView",
    "Publication",
    "Role",
    "Sentiment",
    "Skill",
    "SkillDetail",
    "SkillFeedback",
    "SkillFeedbackPage",
    "SkillFile",
    "SkillFolder",
    "SkillListItem",
    "SkillListPage",
    "SkillPageContent",
    "SkillStatus",
    "SkillVersion",
    "TenantInfo",
    "User",
    "UserSkillView",
    "VersionFacts",
    "VersionSummary",
    "ViewBeforeVisit",
    "ViewState",
    "Visit",
    "WhatsNewItem",
    "WhatsNewPage",
    "detect_changes",
    "diff_versions",
    "is_updated",
]
