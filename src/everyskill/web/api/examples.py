"""The values that the OpenAPI document shows as examples."""

from datetime import UTC, datetime

from msgspec.structs import replace

from everyskill.model import (
    ChangeItem,
    FeedbackStatus,
    FeedbackType,
    FileDiff,
    FileEntry,
    Outcome,
    Publication,
    Sentiment,
    Severity,
    Skill,
    SkillDetail,
    SkillFeedback,
    SkillFeedbackPage,
    SkillFile,
    SkillListItem,
    SkillListPage,
    SkillStatus,
    SkillVersion,
    UserSkillView,
    VersionSummary,
    ViewState,
    Visit,
    WhatsNewItem,
    WhatsNewPage,
)
from everyskill.model.feedback import FeedbackCursor
from everyskill.model.whats_new import FeedCursor

SKILL_ID = "0b7e1f0c-5a5e-4a51-9d0e-3f0c9a8a2f11"
_VERSION_ID = "6d1c0a52-9f35-4a0e-8f57-0d9a1c3b7e20"
_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_THEN = datetime(2026, 11, 2, 8, 15, tzinfo=UTC)
_NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
_ABOUT = "Reviews a change for correctness and risk."

_CURSOR = FeedCursor(_NOW, _NOW, SKILL_ID).encode()

VIEW = UserSkillView("b1946ac9", "acme", "ann", SKILL_ID, _THEN, 2, 7)
VIEW_STATES = {SKILL_ID: ViewState(SKILL_ID, _THEN, 2, 7, is_updated=True, severity=Severity.MEDIUM)}
CHANGES = [
    ChangeItem("version_bump", "New version published", "v2 → v4", author="Bob", note="pins the API version"),
    ChangeItem(
        "instructions_changed", "Instructions changed", "+34 \N{MINUS SIGN}12", counts={"added": 34, "removed": 12}
    ),
    ChangeItem("capabilities_added", "Asks for more", "host api.acme.io", severity=Severity.MEDIUM),
    ChangeItem("new_feedback", "3 new feedback items", None),
]
VISIT = Visit(VIEW, CHANGES, 4, _NOW)
FEED = WhatsNewPage(
    [WhatsNewItem(SKILL_ID, "Code review", "code-review", "engineering", _NOW, _THEN, 7, CHANGES)],
    _CURSOR,
    _NOW,
)
SKILL = Skill(
    id=SKILL_ID,
    name="Code review",
    slug="code-review",
    description=_ABOUT,
    category="engineering",
    status=SkillStatus.PUBLISHED,
    published_version_id=_VERSION_ID,
    published_version=4,
    announced_version=4,
    author_id="ann",
    created_at=_THEN,
    updated_at=_NOW,
)
SKILLS = SkillListPage(
    [
        SkillListItem(
            SKILL_ID,
            "Code review",
            "code-review",
            _ABOUT,
            "engineering",
            SkillStatus.PUBLISHED,
            4,
            _NOW,
            True,
            Severity.MEDIUM,
        )
    ],
    None,
)
VERSION = SkillVersion(
    id=_VERSION_ID,
    skill_id=SKILL_ID,
    version=4,
    name="Code review",
    description=_ABOUT,
    content="# Code review\n",
    content_hash=_HASH,
    files=(SkillFile("SKILL.md", 14, _HASH),),
    created_by="ann",
    created_at=_NOW,
    author_name="Ann Example",
    note="Asks for the tests too",
    category="engineering",
    front_matter={"name": "code-review", "description": _ABOUT, "license": "MIT"},
)
FILES = [FileEntry("SKILL.md", 14, _HASH, is_text=True, is_executable=False)]
FILE = "# Code review\n"
ARCHIVE = "PK…"
SKILL_DETAIL = SkillDetail(SKILL, VERSION)
VERSIONS = [
    VersionSummary(
        _VERSION_ID, 4, "Code review", _ABOUT, _HASH, "ann", _NOW, "Ann Example", note="Asks for the tests too"
    )
]
DIFF = [
    FileDiff("SKILL.md", "changed", [("hunk", "@@ -1 +1 @@"), ("removed", "# Review"), ("added", "# Code review")]),
    FileDiff("checklist.md", "added"),
]
FEEDBACK = SkillFeedback(
    id="c2f1",
    skill_id=SKILL_ID,
    skill_version_id=_VERSION_ID,
    user_id="ann",
    feedback_type=FeedbackType.IDEA,
    sentiment=Sentiment.POSITIVE,
    comment="Could it also look at the tests?",
    status=FeedbackStatus.OPEN,
    created_at=_NOW,
    user_name="Ann",
)
FEEDBACK_PAGE = SkillFeedbackPage([FEEDBACK], FeedbackCursor(_NOW, "c2f1").encode())
ARCHIVED = replace(SKILL, status=SkillStatus.ARCHIVED)
PUBLICATION = Publication(SKILL_ID, "code-review", 4, Outcome.UPDATED, SkillStatus.PUBLISHED)
