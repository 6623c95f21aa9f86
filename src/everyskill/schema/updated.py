"""Rule S1, "updated for a user", as the one SQL expression that badges, feed, count and mark-all share; S7's window."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal_column, or_

from everyskill.model.whats_new import WINDOW
from everyskill.schema.base import MOMENT
from everyskill.schema.skill_versions import SkillVersions
from everyskill.schema.skills import Skills
from everyskill.schema.user_skill_views import UserSkillViews

# Spelled out rather than bound: only so can the planner use the partial index on published skills.
_PUBLISHED: ColumnElement[str] = literal_column("'published'")


def is_published(skill: Any) -> ColumnElement[bool]:
    """Whether a skill can be seen, by its columns."""
    published: ColumnElement[bool] = skill.status == _PUBLISHED
    return published


IS_PUBLISHED: ColumnElement[bool] = is_published(Skills)

# Rule S7: the window is about the change, never about the view. now() is stable: an index on updates can start at it.
# In hours: a day of the session's time zone may have 23 or 25.
IN_WINDOW: ColumnElement[bool] = Skills.updated_at >= func.now(type_=MOMENT) - literal_column(
    f"interval '{WINDOW // timedelta(hours=1)} hours'"
)

# Joins a skill to the version it publishes.
PUBLISHES: ColumnElement[bool] = and_(
    SkillVersions.tenant_id == Skills.tenant_id, SkillVersions.id == Skills.published_version_id
)

# Joins a view to the skill that was viewed.
VIEWS: ColumnElement[bool] = and_(UserSkillViews.tenant_id == Skills.tenant_id, UserSkillViews.skill_id == Skills.id)


def is_updated(view: Any, skill: Any) -> ColumnElement[bool]:
    """The rule over the columns of a view and of its skill. An unknown version leaves the test of the time."""
    return and_(
        is_published(skill),
        or_(skill.published_version > view.last_viewed_version, skill.updated_at > view.last_viewed_at),
    )


# Over the two tables, joined as above.
IS_UPDATED: ColumnElement[bool] = is_updated(UserSkillViews, Skills)
