"""What skills are called: renames them, and says where old slugs lead."""

from everyskill.database.catalog import names, skills
from everyskill.database.transactions import TenantConnection
from everyskill.model.inputs import check_id
from everyskill.model.skills import Skill, check_slug
from everyskill.services.skills import lock_named, require_skill
from everyskill.services.tenant_scope import TenantScope


async def rename_skill(tenant: TenantScope, slug_or_id: str, new_slug: str) -> Skill:
    """Gives a skill, hidden or not, another slug. It stays itself: id, versions, views and feedback, and no badge (S3).

    The old slugs lead to it until a skill has one of them as its own. Raises SkillNotFound, SlugTaken and
    InvalidIdentifier.
    """
    slug_or_id = check_id("skill", slug_or_id)
    new_slug = check_slug(new_slug)

    async def rename(connection: TenantConnection) -> Skill:
        skill = (await lock_named(connection, slug_or_id)).skill
        if skill.slug != new_slug:
            await names.rename_skill(connection, skill.id, new_slug)
        return await require_skill(connection, skill.id, include_hidden=True)

    return await tenant._transactions.run(rename)


async def find_new_slug(tenant: TenantScope, old_slug: str) -> str | None:
    """The slug that the skill of an old slug has now; None where it is no old slug, or the skill is hidden.

    Raises InvalidIdentifier.
    """
    old_slug = check_id("slug", old_slug)
    async with tenant._transactions.read() as connection:
        skill = await skills.find_skill(connection, old_slug)
    return None if skill is None or old_slug in {skill.id, skill.slug} else skill.slug


async def find_skill_id(tenant: TenantScope, slug_or_id: str, user_id: str) -> str:
    """The id of the skill of that name, for a call that did not find it as an id.

    Raises SkillNotFound, and SkillArchived where the user viewed it.
    """
    async with tenant._transactions.read() as connection:
        return (await require_skill(connection, slug_or_id, user_id=user_id)).id
