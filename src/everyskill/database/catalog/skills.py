"""Asks about skills as the catalog shows them now."""

from everyskill.database.catalog.names import skill_of
from everyskill.database.rules import IS_PUBLISHED, IS_UPDATED, NEW_SEVERITY
from everyskill.database.statements import Statement, read_row, read_rows
from everyskill.database.transactions import TenantConnection
from everyskill.model.skills import Skill, SkillListItem, SkillStatus

# The columns of a Skill.
SKILL_COLUMNS = """
    s.id, s.name, s.slug, s.description, s.category, s.status, s.published_version_id, s.published_version,
    coalesce(s.announced_version, s.published_version) AS announced_version, s.author_id, s.created_at, s.updated_at
"""

# One skill by its id, its slug or an old one, by skills_pkey.
FIND_SKILL = Statement(f"""
    SELECT {SKILL_COLUMNS}
      FROM {skill_of(":slug_or_id")} AS s
     WHERE :include_hidden::boolean OR {IS_PUBLISHED}
""")

_LISTED = "s.id, s.name, s.slug, s.description, s.category, s.status, s.published_version, s.updated_at"

# A filter that is NULL matches everything. strpos, not LIKE: what people type holds % and _ that mean themselves.
_MATCHES = """
     WHERE s.tenant_id = :tenant_id
       AND (:status::text IS NULL OR s.status = :status)
       AND (:category::text IS NULL OR s.category = :category)
       AND (:text::text IS NULL OR strpos(lower(concat_ws(' ', s.name, s.slug, s.description)), lower(:text)) > 0)
       AND (:after_slug::text IS NULL OR s.slug > :after_slug)
     ORDER BY s.slug
     LIMIT :limit
"""

# A page of the catalog, by skills_tenant_id_slug_unique.
LIST_SKILLS = Statement(f"SELECT {_LISTED}, false AS is_updated, NULL AS severity FROM skills AS s {_MATCHES}")

# The same with the badges of a user, by user_skill_views_tenant_user_skill_unique; versions of what is updated alone.
LIST_SKILLS_FOR_USER = Statement(f"""
    SELECT {_LISTED}, coalesce({IS_UPDATED}, false) AS is_updated,
           CASE WHEN {IS_UPDATED} THEN {NEW_SEVERITY} END AS severity
      FROM skills AS s
      LEFT JOIN LATERAL (
          SELECT views.last_viewed_at, views.last_viewed_version
            FROM user_skill_views AS views
           WHERE views.tenant_id = :tenant_id AND views.user_id = :user_id AND views.skill_id = s.id
          OFFSET 0
      ) AS v ON true
    {_MATCHES}
""")

# The slugs of all published skills, or of those of a source, by skills_recent_updates_idx or by all of the tenant.
LIST_SLUGS = Statement(f"""
    SELECT s.slug FROM skills AS s
     WHERE s.tenant_id = :tenant_id AND (:include_hidden::boolean OR {IS_PUBLISHED})
       AND (:source::text IS NULL OR s.source = :source)
""")

# The first categories in use, by skills_recent_updates_idx or by all skills of the tenant.
LIST_CATEGORIES = Statement(f"""
    SELECT DISTINCT s.category
      FROM skills AS s
     WHERE s.tenant_id = :tenant_id AND {IS_PUBLISHED}
     ORDER BY s.category
     LIMIT :limit
""")


async def find_skill(connection: TenantConnection, slug_or_id: str, *, include_hidden: bool = False) -> Skill | None:
    """The skill of that slug, old slug or id; a draft or an archived one only where hidden skills are included."""
    row = await connection.fetch_row(FIND_SKILL, slug_or_id=slug_or_id, include_hidden=include_hidden)
    return read_row(row, Skill)


async def list_skills(
    connection: TenantConnection,
    user_id: str | None,
    *,
    category: str | None,
    text: str | None,
    status: SkillStatus | None,
    after_slug: str | None,
    limit: int,
) -> list[SkillListItem]:
    """Skills by slug, behind `after_slug`; with a user's badges where a user is named."""
    filters = {"category": category, "text": text, "status": status, "after_slug": after_slug, "limit": limit}
    if user_id is None:
        rows = await connection.fetch(LIST_SKILLS, **filters)
    else:
        rows = await connection.fetch(LIST_SKILLS_FOR_USER, user_id=user_id, **filters)
    return read_rows(rows, SkillListItem)


async def list_slugs(connection: TenantConnection, *, source: str | None, include_hidden: bool) -> set[str]:
    """The slugs of all published skills, or of those that come from a source."""
    return {row["slug"] for row in await connection.fetch(LIST_SLUGS, source=source, include_hidden=include_hidden)}


async def list_categories(connection: TenantConnection, *, limit: int) -> list[str]:
    """The first categories that published skills are in, by name."""
    return [row["category"] for row in await connection.fetch(LIST_CATEGORIES, limit=limit)]
