"""Writes what publishing, archiving and restoring a skill decide."""

from datetime import datetime

from msgspec import Struct, convert

from everyskill.database.catalog.skills import SKILL_COLUMNS
from everyskill.database.statements import Statement, row_reader, to_json
from everyskill.database.transactions import TenantConnection, translate_constraint_errors
from everyskill.errors import TenantNotFound
from everyskill.model.skills import DEFAULT_CATEGORY, Skill, SkillFolder, SkillStatus

# Locks a skill, by skills_tenant_id_slug_unique. NO KEY UPDATE: views of the skill go on being recorded while it is
# published.
LOCK_SKILL = Statement("""
    SELECT s.id FROM skills AS s WHERE s.tenant_id = :tenant_id AND s.slug = :slug FOR NO KEY UPDATE
""")

# The locked skill, and where its published version comes from. Not joined in LOCK_SKILL: after waiting for a lock,
# PostgreSQL reads only the locked row again, and the joined version would come from the snapshot before.
# By skills_tenant_id_slug_unique and skill_versions_pkey.
FIND_LOCKED_SKILL = Statement(f"""
    SELECT {SKILL_COLUMNS}, sv.content_hash, sv.created_by AS version_author, sv.created_at AS version_created_at
      FROM skills AS s
      LEFT JOIN LATERAL (
          SELECT versions.content_hash, versions.created_by, versions.created_at
            FROM skill_versions AS versions
           WHERE versions.tenant_id = :tenant_id AND versions.id = s.published_version_id
          OFFSET 0
      ) AS sv ON true
     WHERE s.tenant_id = :tenant_id AND s.slug = :slug
""")

# A draft, never visible yet, unless the slug is taken: skills_tenant_id_slug_unique decides.
INSERT_SKILL = Statement("""
    INSERT INTO skills (tenant_id, slug, name, description, category, author_id, visible_at)
    VALUES (:tenant_id, :slug, :name, :description, :category, :author_id, 'epoch')
    ON CONFLICT ON CONSTRAINT skills_tenant_id_slug_unique DO NOTHING
""")

# A version with the skill's next number, found by skill_versions_tenant_id_skill_id_version_unique.
INSERT_VERSION = Statement("""
    INSERT INTO skill_versions AS sv
           (tenant_id, skill_id, version, name, description, content, content_hash, files, created_by, created_at)
    SELECT :tenant_id, :skill_id, coalesce(max(known.version), 0) + 1, :name, :description, :content, :content_hash,
           :files::jsonb, :created_by, :created_at::timestamptz
      FROM skill_versions AS known
     WHERE known.tenant_id = :tenant_id AND known.skill_id = :skill_id
    RETURNING sv.id, sv.version
""")

# The skill as its new version describes it, by skills_pkey.
UPDATE_SKILL = Statement("""
    UPDATE skills AS s
       SET name = :name, description = :description, category = coalesce(:category, s.category), status = :status,
           published_version_id = :version_id, published_version = :version,
           updated_at = coalesce(:updated_at, s.updated_at), visible_at = coalesce(:visible_at, s.visible_at)
     WHERE s.tenant_id = :tenant_id AND s.id = :skill_id
""")

# Archives or restores a skill, by skills_pkey.
SET_STATUS = Statement("""
    UPDATE skills AS s
       SET status = :status,
           updated_at = coalesce(:updated_at, s.updated_at), visible_at = coalesce(:visible_at, s.visible_at)
     WHERE s.tenant_id = :tenant_id AND s.id = :skill_id
""")

# Locks an author's own view, by user_skill_views_tenant_user_skill_unique: before the tenant's lock is taken, which
# nobody may hold who waits for a row.
LOCK_AUTHOR_VIEW = Statement("""
    SELECT v.id
      FROM user_skill_views AS v
     WHERE v.tenant_id = :tenant_id AND v.user_id = :user_id AND v.skill_id = :skill_id
       FOR NO KEY UPDATE
""")

# The author saw what the author wrote (S9): the row moves along and counts no view.
# By user_skill_views_tenant_user_skill_unique.
MOVE_AUTHOR = Statement("""
    UPDATE user_skill_views AS v
       SET last_viewed_at = greatest(v.last_viewed_at, :moment::timestamptz),
           last_viewed_version = greatest(v.last_viewed_version, :version)
     WHERE v.tenant_id = :tenant_id AND v.user_id = :user_id AND v.skill_id = :skill_id
""")


class VersionOrigin(Struct, frozen=True):
    """What a skill's published version was made of, by whom and when; None of it where there is no version."""

    content_hash: str | None
    version_author: str | None
    version_created_at: datetime | None


class LockedSkill(Struct, frozen=True):
    """A skill whose row this transaction has locked, and where its published version comes from."""

    skill: Skill
    origin: VersionOrigin


_read_origin = row_reader(VersionOrigin)


async def lock_skill(connection: TenantConnection, slug: str) -> LockedSkill | None:
    """The skill of that slug, locked against other publishers until the transaction ends."""
    # What the first statement did not find is not locked, though the second one may see it.
    if await connection.fetch_row(LOCK_SKILL, slug=slug) is None:
        return None
    row = await connection.fetch_row(FIND_LOCKED_SKILL, slug=slug)
    return None if row is None else LockedSkill(convert(dict(row), Skill), _read_origin(row))


async def insert_skill(connection: TenantConnection, folder: SkillFolder, author_id: str | None) -> None:
    """Adds a draft of that slug unless there is a skill already. Raises TenantNotFound."""
    with translate_constraint_errors(skills_tenant_id_fkey=TenantNotFound(connection.tenant_id)):
        await connection.execute(
            INSERT_SKILL,
            slug=folder.slug,
            name=folder.name,
            description=folder.description,
            category=folder.category or DEFAULT_CATEGORY,
            author_id=author_id,
        )


async def insert_version(
    connection: TenantConnection, skill_id: str, folder: SkillFolder, *, author_id: str | None, moment: datetime
) -> tuple[str, int]:
    """Adds the next version of a skill that is locked, and returns its id and number."""
    [row] = await connection.fetch(
        INSERT_VERSION,
        skill_id=skill_id,
        name=folder.name,
        description=folder.description,
        content=folder.content,
        content_hash=folder.content_hash,
        files=to_json(folder.files),
        created_by=author_id,
        created_at=moment,
    )
    return row["id"], row["version"]


async def update_skill(
    connection: TenantConnection,
    skill_id: str,
    folder: SkillFolder,
    *,
    version_id: str,
    version: int,
    status: SkillStatus,
    visible_at: datetime | None,
) -> None:
    """Makes a version the published one, visible from that moment on; None while the skill is hidden.

    No category leaves it as it is.
    """
    await connection.execute(
        UPDATE_SKILL,
        skill_id=skill_id,
        name=folder.name,
        description=folder.description,
        category=folder.category,
        version_id=version_id,
        version=version,
        status=status,
        updated_at=visible_at,
        visible_at=visible_at,
    )


async def set_status(
    connection: TenantConnection,
    skill_id: str,
    status: SkillStatus,
    *,
    updated_at: datetime | None = None,
    visible_at: datetime | None = None,
) -> None:
    """Archives or restores a skill. A time that is None stays as it is."""
    await connection.execute(SET_STATUS, skill_id=skill_id, status=status, updated_at=updated_at, visible_at=visible_at)


async def lock_author_view(connection: TenantConnection, skill_id: str, user_id: str) -> None:
    """Locks an author's own row, if there is one, until the transaction ends."""
    await connection.fetch(LOCK_AUTHOR_VIEW, skill_id=skill_id, user_id=user_id)


async def move_author(
    connection: TenantConnection, skill_id: str, user_id: str, *, version: int, moment: datetime
) -> None:
    """Moves an author's own row along, if there is one (S9)."""
    await connection.execute(MOVE_AUTHOR, skill_id=skill_id, user_id=user_id, version=version, moment=moment)
