"""Finds skills by what people call them: an id, a slug, or an old slug, which leads to the skill that had it; renames.

What is an id of one skill and a slug of another is the id, and a slug that a skill has is never an old one: in this
order they are looked for, whether the skill is hidden or not.
"""

from msgspec import Struct

from everyskill.database.rules import IS_PUBLISHED
from everyskill.database.statements import Statement, read_row
from everyskill.database.transactions import TenantConnection, translate_constraint_errors
from everyskill.errors import SlugTaken


def skill_id_of(name: str) -> str:
    """SQL for the id of the skill of that name, else NULL.

    By skills_pkey, else by skills_tenant_id_slug_unique, else by skill_redirects_pkey.
    """
    return f"""coalesce(
        (SELECT named.id FROM skills AS named WHERE named.tenant_id = :tenant_id AND named.id = {name}),
        (SELECT named.id FROM skills AS named WHERE named.tenant_id = :tenant_id AND named.slug = {name}),
        (SELECT old.skill_id FROM skill_redirects AS old WHERE old.tenant_id = :tenant_id AND old.slug = {name})
    )"""


def skill_of(name: str) -> str:
    """SQL for the skill of that name as a table of one row or none, by skills_pkey.

    By its key alone, or a partial index would tempt the planner.
    """
    return f"""(
        SELECT one.*
          FROM (SELECT {skill_id_of(name)} AS id OFFSET 0) AS named
          JOIN LATERAL (
              SELECT skills.* FROM skills WHERE skills.tenant_id = :tenant_id AND skills.id = named.id OFFSET 0
          ) AS one ON true
    )"""


# An archived skill that the user viewed, and what to use instead where that can be seen: by skills_pkey and
# user_skill_views_tenant_user_skill_unique.
FIND_ARCHIVED = Statement(f"""
    SELECT archived.slug, archived.name,
           (SELECT s.slug FROM skills AS s
             WHERE s.tenant_id = :tenant_id AND s.id = archived.successor_id AND {IS_PUBLISHED}) AS successor
      FROM {skill_of(":name")} AS archived
     WHERE archived.status = 'archived'
       AND EXISTS (
           SELECT FROM user_skill_views AS v
            WHERE v.tenant_id = :tenant_id AND v.user_id = :user_id AND v.skill_id = archived.id
       )
""")

# Locks a skill, by skills_pkey. NO KEY UPDATE: views of the skill go on being recorded.
LOCK_NAMED_SKILL = Statement("""
    SELECT s.slug FROM skills AS s WHERE s.tenant_id = :tenant_id AND s.id = :skill_id FOR NO KEY UPDATE
""")

# Gives a skill another slug, unless a skill has that, and has the old one lead to it: by skills_pkey,
# skills_tenant_id_slug_unique and skill_redirects_pkey.
RENAME_SKILL = Statement("""
    WITH kept AS (
        INSERT INTO skill_redirects (tenant_id, slug, skill_id)
        SELECT s.tenant_id, s.slug, s.id FROM skills AS s WHERE s.tenant_id = :tenant_id AND s.id = :skill_id
        ON CONFLICT ON CONSTRAINT skill_redirects_pkey DO UPDATE SET skill_id = excluded.skill_id, created_at = now()
    ), freed AS (
        DELETE FROM skill_redirects AS old WHERE old.tenant_id = :tenant_id AND old.slug = :new_slug
    )
    UPDATE skills AS s
       SET slug = :new_slug
     WHERE s.tenant_id = :tenant_id AND s.id = :skill_id
       AND NOT EXISTS (SELECT FROM skills AS other WHERE other.tenant_id = :tenant_id AND other.slug = :new_slug)
    RETURNING s.id
""")


class ArchivedSkill(Struct, frozen=True):
    """What somebody who viewed a skill is told of it when it is archived."""

    slug: str
    name: str
    successor: str | None


async def find_archived(connection: TenantConnection, name: str, user_id: str) -> ArchivedSkill | None:
    """The archived skill of that id or slug, if the user viewed it."""
    return read_row(await connection.fetch_row(FIND_ARCHIVED, name=name, user_id=user_id), ArchivedSkill)


async def lock_named_skill(connection: TenantConnection, skill_id: str) -> str | None:
    """Locks a skill against publishers until the transaction ends, and returns its slug; None where it is gone."""
    slug: str | None = await connection.fetch_value(LOCK_NAMED_SKILL, skill_id=skill_id)
    return slug


async def rename_skill(connection: TenantConnection, skill_id: str, new_slug: str) -> None:
    """Gives a skill that is locked another slug, to which the old one leads. Raises SlugTaken."""
    with translate_constraint_errors(skills_tenant_id_slug_unique=SlugTaken(new_slug)):
        row = await connection.fetch_row(RENAME_SKILL, skill_id=skill_id, new_slug=new_slug)
    if row is None:
        raise SlugTaken(new_slug)
