"""Rule S1, "updated for a user", as the one SQL expression that badges, feed, count and mark-all share."""

from sqlalchemy import ColumnElement, and_, literal_column, or_

from everyskill.schema.skill_versions import SkillVersions
from everyskill.schema.skills import Skills
from everyskill.schema.user_skill_views import UserSkillViews

# Spelled out rather than bound: only so can the planner use the partial index on published skills.
IS_PUBLISHED: ColumnElement[bool] = Skills.status == literal_column("'published'")

# Joins a skill to the version it publishes.
PUBLISHES: ColumnElement[bool] = and_(
    SkillVersions.tenant_id == Skills.tenant_id, SkillVersions.id == Skills.published_version_id
)

# Joins a view to the skill that was viewed.
VIEWS: ColumnElement[bool] = and_(UserSkillViews.tenant_id == Skills.tenant_id, UserSkillViews.skill_id == Skills.id)

# Needs the three tables joined as above, the versions by a left join. An unknown version leaves the test of the time.
IS_UPDATED: ColumnElement[bool] = and_(
    IS_PUBLISHED,
    or_(
        SkillVersions.version > UserSkillViews.last_viewed_version,
        Skills.updated_at > UserSkillViews.last_viewed_at,
    ),
)
