"""Skills: archive, restore, get and list them."""

from everyskill.database.catalog import names, publishing, skills, versions
from everyskill.database.catalog.publishing import FoundSkill
from everyskill.database.catalog.visible_at import allocate_visible_at
from everyskill.database.transactions import TenantConnection
from everyskill.errors import InvalidCursor, InvalidIdentifier, SkillArchived, SkillNotFound
from everyskill.model.inputs import (
    MAX_NAME_LENGTH,
    check_choice,
    check_content,
    check_id,
    check_limit,
    check_type,
    shown,
)
from everyskill.model.provenance import MAX_SOURCE_LENGTH
from everyskill.model.skills import (
    Skill,
    SkillDetail,
    SkillListPage,
    SkillStatus,
    check_slug,
)
from everyskill.services.tenant_scope import TenantScope

DEFAULT_PAGE = 50
MAX_CATEGORIES = 1_000


async def archive_skill(tenant: TenantScope, slug_or_id: str, *, successor: str | None = None) -> Skill:
    """Hides a skill everywhere and keeps all its rows (S11). Who viewed it is told so, and of its successor.

    `successor` is the slug or id of the skill to use instead; none forgets one that was named before.
    Raises SkillNotFound, for a successor too, and InvalidIdentifier.
    """
    slug_or_id = check_id("skill", slug_or_id)
    if successor is not None:
        successor = check_id("successor", successor)

    async def archive(connection: TenantConnection) -> Skill:
        held = await lock_named(connection, slug_or_id)
        successor_id = None if successor is None else (await require_skill(connection, successor)).id
        if successor_id == held.skill.id:
            raise InvalidIdentifier("successor", "must be another skill")
        await publishing.set_status(connection, held.skill.id, SkillStatus.ARCHIVED, successor_id=successor_id)
        return await require_skill(connection, held.skill.id, include_hidden=True)

    return await tenant._transactions.run(archive)


async def restore_skill(tenant: TenantScope, slug_or_id: str) -> Skill:
    """Shows an archived skill again (S11): unchanged, it badges nobody; edited meanwhile, it is updated as of now.

    One that never had a version becomes a draft. Its successor is forgotten. Does nothing to a skill that is not
    archived. Raises SkillNotFound and InvalidIdentifier.
    """
    slug_or_id = check_id("skill", slug_or_id)

    async def restore(connection: TenantConnection) -> Skill:
        held = await lock_named(connection, slug_or_id)
        if held.skill.status is SkillStatus.ARCHIVED:
            await _show(connection, held)
        return await require_skill(connection, held.skill.id, include_hidden=True)

    return await tenant._transactions.run(restore)


async def get_skill(
    tenant: TenantScope, slug_or_id: str, *, include_hidden: bool = False, user_id: str | None = None
) -> SkillDetail:
    """A skill by its slug, an old slug or its id, with its published version, text included. Records nothing (S10).

    Raises SkillNotFound for a skill that is not there or another tenant's, and for a draft or an archived one unless
    hidden skills are included; SkillArchived where the user of `user_id` viewed it; InvalidIdentifier, InvalidArgument.
    """
    slug_or_id = check_id("skill", slug_or_id)
    check_type("include_hidden", include_hidden, bool)
    if user_id is not None:
        user_id = check_id("user_id", user_id)
    async with tenant._transactions.read() as connection:
        skill = await require_skill(connection, slug_or_id, include_hidden=include_hidden, user_id=user_id)
        number = skill.published_version
        published = None if number is None else await versions.find_version(connection, skill.id, number)
    return SkillDetail(skill, published)


async def list_skills(
    tenant: TenantScope,
    user_id: str | None = None,
    *,
    category: str | None = None,
    text: str | None = None,
    status: SkillStatus | str | None = SkillStatus.PUBLISHED,
    limit: int = DEFAULT_PAGE,
    cursor: str | None = None,
) -> SkillListPage:
    """A page of the catalog by slug, each skill with `is_updated` for the user (S1).

    `text` is looked for in name, slug and description, without regard to case. `status` None lists hidden skills too.
    `limit` is 1 to 100; `cursor` is the last page's `next_cursor`. One query a page. Raises InvalidLimit,
    InvalidCursor, InvalidChoice, InvalidIdentifier, InvalidText.
    """
    if user_id is not None:
        user_id = check_id("user_id", user_id)
    if category is not None:
        category = check_content("category", category, longest=MAX_NAME_LENGTH)
    if text is not None:
        text = check_content("text", text, longest=MAX_NAME_LENGTH)
    chosen_status = None if status is None else check_choice("status", status, SkillStatus)
    limit = check_limit(limit)
    after_slug = None if cursor is None else _read_cursor(cursor)
    async with tenant._transactions.read() as connection:
        items = await skills.list_skills(
            connection,
            user_id,
            category=category,
            text=text or None,
            status=chosen_status,
            after_slug=after_slug,
            limit=limit + 1,
        )
    return SkillListPage(items[:limit], items[limit - 1].slug if len(items) > limit else None)


async def list_slugs(tenant: TenantScope, *, source: str | None = None, include_hidden: bool = False) -> set[str]:
    """The slugs of all published skills, or of those that come from a source; of hidden ones too where included.

    Raises InvalidText and InvalidArgument.
    """
    check_type("include_hidden", include_hidden, bool)
    source = None if source is None else check_content("source", source, longest=MAX_SOURCE_LENGTH)
    async with tenant._transactions.read() as connection:
        return await skills.list_slugs(connection, source=source, include_hidden=include_hidden)


async def list_categories(tenant: TenantScope) -> list[str]:
    """The first 1,000 categories that published skills are in, by name."""
    async with tenant._transactions.read() as connection:
        return await skills.list_categories(connection, limit=MAX_CATEGORIES)


async def require_skill(
    connection: TenantConnection, slug_or_id: str, *, include_hidden: bool = False, user_id: str | None = None
) -> Skill:
    """The skill of that slug, old slug or id. Raises SkillNotFound, also for a hidden one by default.

    Raises SkillArchived for an archived one that the user viewed.
    """
    skill = await skills.find_skill(connection, slug_or_id, include_hidden=include_hidden)
    if skill is not None:
        return skill
    found = None if user_id is None else await names.find_archived(connection, slug_or_id, user_id)
    raise SkillNotFound(slug_or_id) if found is None else SkillArchived(found.slug, found.name, found.successor)


async def lock_named(connection: TenantConnection, slug_or_id: str) -> FoundSkill:
    """The skill of that slug, old slug or id, hidden or not, locked against publishers. Raises SkillNotFound."""
    skill = await require_skill(connection, slug_or_id, include_hidden=True)
    # By its id: it may be renamed while this waits for the lock.
    slug = await names.lock_named_skill(connection, skill.id)
    if slug is None:
        raise SkillNotFound(slug_or_id)
    return await _lock(connection, slug)


def _read_cursor(cursor: str) -> str:
    """The slug that a page ended with. Its skill may be gone by now: the next page begins behind it all the same."""
    try:
        return check_slug(cursor)
    except InvalidIdentifier as error:
        raise InvalidCursor(str(shown(cursor))) from error


async def _show(connection: TenantConnection, held: FoundSkill) -> None:
    skill = held.skill
    if skill.published_version is None or held.origin.announced_at is None:
        await publishing.set_status(connection, skill.id, SkillStatus.DRAFT)
        return
    # What was announced last is younger than what was last visible: it becomes visible only now.
    is_new = held.origin.announced_at > skill.updated_at
    authors = _authors(held) if is_new else {}
    for author_id in sorted(authors):
        await publishing.lock_author_views(connection, author_id, [skill.id])
    moment = await allocate_visible_at(connection)
    await publishing.set_status(
        connection,
        skill.id,
        SkillStatus.PUBLISHED,
        updated_at=moment if is_new else None,
        visible_at=moment,
    )
    for author_id, version in authors.items():
        await publishing.move_author(connection, skill.id, author_id, version=version, moment=moment)


def _authors(held: FoundSkill) -> dict[str, int]:
    """Who wrote what is announced, and who wrote what is published quietly since (S17), each with that version."""
    skill, origin = held.skill, held.origin
    wrote = ((origin.announced_author, skill.announced_version), (origin.version_author, skill.published_version))
    return {author: version for author, version in wrote if author is not None and version is not None}


async def _lock(connection: TenantConnection, slug: str) -> FoundSkill:
    locked = await publishing.lock_skills(connection, [slug])
    if slug not in locked:
        raise SkillNotFound(slug)
    return locked[slug]
