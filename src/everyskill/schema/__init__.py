"""The database as SQLAlchemy declares it: import these models to join your own tables against."""

from everyskill.schema.base import Base
from everyskill.schema.feed_checkpoints import FeedCheckpoints
from everyskill.schema.skill_feedback import SkillFeedbackItems
from everyskill.schema.skill_file_contents import SkillFileContents
from everyskill.schema.skill_redirects import SkillRedirects
from everyskill.schema.skill_sources import SkillSources
from everyskill.schema.skill_versions import SkillVersions
from everyskill.schema.skills import Skills
from everyskill.schema.tenants import Tenants
from everyskill.schema.user_skill_views import UserSkillViews
from everyskill.schema.users import Users

__all__ = [
    "Base",
    "FeedCheckpoints",
    "SkillFeedbackItems",
    "SkillFileContents",
    "SkillRedirects",
    "SkillSources",
    "SkillVersions",
    "Skills",
    "Tenants",
    "UserSkillViews",
    "Users",
]
