"""Values and rules: frozen structs and pure functions. Imports nothing of ours but errors."""

from everyskill.model.capabilities import (
    CapabilityChange,
    compare_capabilities,
    find_capabilities,
)
from everyskill.model.changes import (
    ChangeItem,
    Publishers,
    VersionFacts,
    Visit,
    compare_facts,
    detect_changes,
    is_updated,
)
from everyskill.model.diffs import FileDiff, diff_versions
from everyskill.model.feedback import FeedbackStatus, FeedbackType, Sentiment, SkillFeedback, SkillFeedbackPage
from everyskill.model.sentences import describe
from everyskill.model.severity import Severity
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
from everyskill.model.sources import SkillSource, SourcedSkill
from everyskill.model.tenants import Role, TenantInfo, User
from everyskill.model.views import NewUserSkillView, PreviousView, UserSkillView, ViewBeforeVisit, ViewState
from everyskill.model.whats_new import WhatsNewItem, WhatsNewPage

__all__ = [
    "CapabilityChange",
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
    "Publishers",
    "Role",
    "Sentiment",
    "Severity",
    "Skill",
    "SkillDetail",
    "SkillFeedback",
    "SkillFeedbackPage",
    "SkillFile",
    "SkillFolder",
    "SkillListItem",
    "SkillListPage",
    "SkillPageContent",
    "SkillSource",
    "SkillStatus",
    "SkillVersion",
    "SourcedSkill",
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
    "compare_capabilities",
    "compare_facts",
    "describe",
    "detect_changes",
    "diff_versions",
    "find_capabilities",
    "is_updated",
]
