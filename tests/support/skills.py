"""Short ways to stage what a test is about."""

from msgspec.structs import replace

from everyskill.handles import Tenant
from everyskill.model import Publication, SkillFile, SkillFolder


def folder(slug: str = "pdf", content: str = "one", **fields: str) -> SkillFolder:
    """A skill that consists of its SKILL.md."""
    facts = {"name": slug.title(), "description": f"What {slug} does.", "category": "general"} | fields
    return SkillFolder.from_content(slug, content=content, **facts)


def with_script(text: str, path: str = "run.sh", **fields: str) -> SkillFolder:
    """A skill with an executable script beside its SKILL.md."""
    skill = folder(**fields)
    script = SkillFile.of(path, text.encode(), is_executable=True)
    return replace(skill, files=(*skill.files, script), contents={script.hash: text.encode()})


async def publish(
    tenant: Tenant, slug: str = "pdf", content: str = "one", author_id: str | None = None, **fields: str
) -> Publication:
    """Publishes a version of a skill."""
    return await tenant.publish_skill(folder(slug, content, **fields), author_id=author_id)


async def is_badged(tenant: Tenant, user_id: str, skill_id: str) -> bool:
    """Whether the user sees an Updated badge on the skill."""
    return skill_id in await tenant.get_updated_skill_ids(user_id, [skill_id])
