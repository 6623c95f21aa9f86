"""Writes what publishing, archiving and restoring a skill decide."""

from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import Integer, Interval, and_, case, func, insert, literal_column, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import aliased

from everyskill.database.scope import TenantConnection, refusing
from everyskill.database.skills import OF_SLUG, SKILL_FIELDS
from everyskill.database.statements import TENANT, Statement, parameter
from everyskill.errors import TenantNotFound
from everyskill.model.skills import DEFAULT_CATEGORY, Skill, SkillFolder, SkillStatus
from everyskill.schema import PUBLISHES, Skills, SkillVersions, UserSkillViews
from everyskill.schema.base import MILLISECONDS

_OF_ID = and_(Skills.tenant_id == TENANT, Skills.id == parameter("skill_id"))

# Later than that of every other skill, also when the clock was set back: feeds begin where they ended.
_OTHERS = aliased(Skills)
_LAST = select(func.max(_OTHERS.visible_at)).where(_OTHERS.tenant_id == TENANT).scalar_subquery()
_MOMENT = parameter("visible_at", MILLISECONDS)
_VISIBLE_AT = case(
    (_MOMENT.is_not(None), func.greatest(_MOMENT, _LAST + literal_column("interval '1 millisecond'", Interval))),
    else_=Skills.visible_at,
)

# NO KEY UPDATE: views of the skill go on being recorded while it is published.
LOCK_SKILL = Statement(select(Skills.id).where(OF_SLUG).with_for_update(key_share=True))
# On its own and after the lock: a statement that waited sees the new skill, and beside it the versions of before.
FIND_HELD = Statement(
    select(*SKILL_FIELDS, SkillVersions.content_hash, SkillVersions.created_by, SkillVersions.created_at)
    .outerjoin(SkillVersions, PUBLISHES)
    .where(OF_SLUG)
)
INSERT_SKILL = Statement(
    upsert(Skills)
    .values(
        tenant_id=TENANT,
        slug=parameter("slug"),
        name=parameter("name"),
        description=parameter("description"),
        category=parameter("category"),
        author_id=parameter("author_id"),
    )
    .on_conflict_do_nothing(constraint="skills_tenant_id_slug_unique")
)
INSERT_VERSION = Statement(
    insert(SkillVersions)
    .from_select(
        [
            "tenant_id",
            "skill_id",
            "version",
            "name",
            "description",
            "content",
            "content_hash",
            "files",
            "created_by",
            "created_at",
        ],
        select(
            TENANT,
            parameter("skill_id"),
            func.coalesce(func.max(SkillVersions.version), 0) + 1,
            parameter("name"),
            parameter("description"),
            parameter("content"),
            parameter("content_hash"),
            parameter("files", JSONB),
            parameter("created_by"),
            parameter("created_at", MILLISECONDS),
        ).where(SkillVersions.tenant_id == TENANT, SkillVersions.skill_id == parameter("skill_id")),
    )
    .returning(SkillVersions.id, SkillVersions.version)
)
UPDATE_SKILL = Statement(
    update(Skills)
    .where(_OF_ID)
    .values(
        name=parameter("name"),
        description=parameter("description"),
        category=func.coalesce(parameter("category"), Skills.category),
        published_version_id=parameter("version_id"),
        published_version=parameter("version", Integer),
        status=parameter("status"),
        updated_at=func.coalesce(parameter("updated_at", MILLISECONDS), Skills.updated_at),
        visible_at=_VISIBLE_AT,
    )
)
SET_STATUS = Statement(
    update(Skills)
    .where(_OF_ID)
    .values(
        status=parameter("status"),
        updated_at=func.coalesce(parameter("updated_at", MILLISECONDS), Skills.updated_at),
        visible_at=_VISIBLE_AT,
    )
)
# The author saw what the author wrote (S9): the row moves along and counts no view.
MOVE_AUTHOR = Statement(
    update(UserSkillViews)
    .where(
        UserSkillViews.tenant_id == TENANT,
        UserSkillViews.user_id == parameter("user_id"),
        UserSkillViews.skill_id == parameter("skill_id"),
    )
    .values(
        last_viewed_at=func.greatest(UserSkillViews.last_viewed_at, parameter("moment", MILLISECONDS)),
        last_viewed_version=func.greatest(UserSkillViews.last_viewed_version, parameter("version", Integer)),
    )
)


class LockedSkill(Struct, frozen=True):
    """A skill whose row this transaction holds, and what its published version was made of, by whom and when."""

    skill: Skill
    content_hash: str | None
    version_author: str | None
    version_created_at: datetime | None


async def lock_skill(connection: TenantConnection, slug: str) -> LockedSkill | None:
    """The skill of that slug, held against other publishers until the transaction ends."""
    # What the lock did not find is not held, though the next statement may see it.
    if await connection.fetch_row(LOCK_SKILL, slug=slug) is None:
        return None
    row = await connection.fetch_row(FIND_HELD, slug=slug)
    if row is None:
        return None
    *skill, content_hash, version_author, version_created_at = row
    values = dict(zip(Skill.__struct_fields__, skill, strict=True))
    return LockedSkill(msgspec.convert(values, Skill), content_hash, version_author, version_created_at)


async def insert_skill(connection: TenantConnection, folder: SkillFolder, author_id: str | None) -> None:
    """Adds a draft of that slug unless there is a skill already. Raises TenantNotFound."""
    with refusing(skills_tenant_id_fkey=TenantNotFound(connection.tenant_id)):
        await connection.fetch(
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
    """Adds the next version of a skill that is held, and returns its id and number."""
    row = await connection.fetch_row(
        INSERT_VERSION,
        skill_id=skill_id,
        name=folder.name,
        description=folder.description,
        content=folder.content,
        content_hash=folder.content_hash,
        files=msgspec.json.encode(folder.files).decode(),
        created_by=author_id,
        created_at=moment,
    )
    version_id, number = row or ("", 0)
    return version_id, number


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
    await connection.fetch(
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
    """Shows or hides a skill. A time that is None stays as it is."""
    await connection.fetch(SET_STATUS, skill_id=skill_id, status=status, updated_at=updated_at, visible_at=visible_at)


async def move_author(
    connection: TenantConnection, skill_id: str, user_id: str, *, version: int, moment: datetime
) -> None:
    """Moves an author's own row along, if there is one (S9)."""
    await connection.fetch(MOVE_AUTHOR, skill_id=skill_id, user_id=user_id, version=version, moment=moment)
