"""Writes what publishing, archiving and restoring skills decide: many skills by as many statements as one."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, convert

from everyskill.database.catalog.skills import SKILL_COLUMNS
from everyskill.database.statements import Statement, row_reader, to_json
from everyskill.database.transactions import TenantConnection, translate_constraint_errors
from everyskill.errors import TenantNotFound
from everyskill.model.provenance import Provenance
from everyskill.model.skills import DEFAULT_CATEGORY, Skill, SkillFolder, SkillStatus

# Locks skills, by skills_tenant_id_slug_unique: in one order, so that no two publishers deadlock. NO KEY UPDATE: views
# of a skill go on being recorded while it is published.
LOCK_SKILLS = Statement("""
    SELECT s.slug
      FROM (SELECT given.slug FROM unnest(:slugs::text[]) AS given (slug) ORDER BY given.slug OFFSET 0) AS given
      JOIN LATERAL (
          SELECT skills.slug
            FROM skills
           WHERE skills.tenant_id = :tenant_id AND skills.slug = given.slug
          OFFSET 0
             FOR NO KEY UPDATE
      ) AS s ON true
""")

# Skills, and where their published and their announced versions come from. Not joined in LOCK_SKILLS: after waiting for
# a lock, PostgreSQL reads only the locked row again, and the joined version would come from the snapshot before.
# By skills_tenant_id_slug_unique, skill_versions_pkey and skill_versions_tenant_id_skill_id_version_unique.
FIND_SKILLS = Statement(f"""
    SELECT {SKILL_COLUMNS}, s.source, s.source_path, sv.content_hash, sv.created_by AS version_author,
           sv.capabilities IS NULL AS is_of_older_release,
           CASE WHEN s.announced_version IS NULL THEN sv.created_by ELSE av.created_by END AS announced_author,
           CASE WHEN s.announced_version IS NULL THEN sv.created_at ELSE av.created_at END AS announced_at
      FROM unnest(:slugs::text[]) AS given (slug)
      JOIN LATERAL (
          SELECT skills.* FROM skills WHERE skills.tenant_id = :tenant_id AND skills.slug = given.slug OFFSET 0
      ) AS s ON true
      LEFT JOIN LATERAL (
          SELECT versions.content_hash, versions.capabilities, versions.created_by, versions.created_at
            FROM skill_versions AS versions
           WHERE versions.tenant_id = :tenant_id AND versions.id = s.published_version_id
          OFFSET 0
      ) AS sv ON true
      LEFT JOIN LATERAL (
          SELECT versions.created_by, versions.created_at
            FROM skill_versions AS versions
           WHERE versions.tenant_id = :tenant_id AND versions.skill_id = s.id
             AND versions.version = s.announced_version
          OFFSET 0
      ) AS av ON true
""")

# Drafts, never visible yet, unless the slug is taken: skills_tenant_id_slug_unique decides. In the order of
# LOCK_SKILLS, as who adds the same waits here.
INSERT_SKILLS = Statement("""
    INSERT INTO skills (tenant_id, slug, name, description, category, author_id, visible_at)
    SELECT :tenant_id, given.slug, given.name, given.description, given.category, :author_id, 'epoch'
      FROM json_to_recordset(:rows::json) AS given (slug text, name text, description text, category text)
     ORDER BY given.slug
    ON CONFLICT ON CONSTRAINT skills_tenant_id_slug_unique DO NOTHING
""")

# Adds to each skill a version with its next number, by skill_versions_tenant_id_skill_id_version_unique, and makes it
# the published one, by skills_pkey. An archived skill stays as it is shown to nobody; a quiet version is not announced
# (S17). The author saw what the author wrote (S9): that row moves along and counts no view, by
# user_skill_views_tenant_user_skill_unique. The ids are given beside the rows, of which the planner knows no number: it
# would rather read all skills than look up many.
PUBLISH_VERSIONS = Statement("""
    WITH made AS (
        INSERT INTO skill_versions AS sv
               (tenant_id, skill_id, version, name, description, category, content, content_hash, files, front_matter,
                capabilities, is_quiet, created_by, author_name, note, authored_at, created_at)
        SELECT :tenant_id, given.skill_id, coalesce(newest.version, 0) + 1, given.name, given.description,
               given.category, given.content, given.content_hash, given.files, given.front_matter, given.capabilities,
               given.is_quiet, :author_id, :author_name, :note, :authored_at::timestamptz, :moment::timestamptz
          FROM json_to_recordset(:rows::json) AS given (
                   skill_id text, name text, description text, category text, content text, content_hash text,
                   files jsonb, front_matter json, capabilities text[], is_quiet boolean
               )
          LEFT JOIN LATERAL (
              SELECT max(known.version) AS version
                FROM skill_versions AS known
               WHERE known.tenant_id = :tenant_id AND known.skill_id = given.skill_id
              OFFSET 0
          ) AS newest ON true
        RETURNING sv.id, sv.skill_id, sv.version, sv.name, sv.description, sv.category, sv.is_quiet
    ), published AS (
        UPDATE skills AS s
           SET name = made.name, description = made.description, category = made.category,
               published_version_id = made.id, published_version = made.version,
               announced_version =
                   CASE WHEN made.is_quiet THEN coalesce(s.announced_version, s.published_version) END,
               status = CASE s.status WHEN 'archived' THEN 'archived' ELSE 'published' END,
               updated_at = CASE WHEN s.status = 'archived' OR made.is_quiet THEN s.updated_at ELSE :moment END,
               visible_at = CASE WHEN s.status = 'archived' THEN s.visible_at ELSE :moment END
          FROM made
         WHERE s.tenant_id = :tenant_id AND s.id = ANY (:skill_ids::text[]) AND s.id = made.skill_id
    ), moved AS (
        UPDATE user_skill_views AS v
           SET last_viewed_at = greatest(v.last_viewed_at, :moment),
               last_viewed_version = greatest(v.last_viewed_version, made.version)
          FROM made
         WHERE v.tenant_id = :tenant_id AND v.user_id = :author_id AND v.skill_id = ANY (:skill_ids::text[])
           AND v.skill_id = made.skill_id
    )
    SELECT made.skill_id, made.version FROM made
""")

# Archives or restores a skill, by skills_pkey.
SET_STATUS = Statement("""
    UPDATE skills AS s
       SET status = :status, successor_id = :successor_id,
           updated_at = coalesce(:updated_at, s.updated_at), visible_at = coalesce(:visible_at, s.visible_at)
     WHERE s.tenant_id = :tenant_id AND s.id = :skill_id
""")

# Locks an author's own views, by user_skill_views_tenant_user_skill_unique, in the order in which views are recorded:
# before the tenant's lock is taken, which nobody may hold who waits for a row.
LOCK_AUTHOR_VIEWS = Statement("""
    SELECT v.id
      FROM (SELECT given.id FROM unnest(:skill_ids::text[]) AS given (id) ORDER BY given.id OFFSET 0) AS given
      JOIN LATERAL (
          SELECT views.id
            FROM user_skill_views AS views
           WHERE views.tenant_id = :tenant_id AND views.user_id = :user_id AND views.skill_id = given.id
          OFFSET 0
             FOR NO KEY UPDATE
      ) AS v ON true
""")

# What an author wrote while it was hidden is no news to them when it is shown (S9).
# By user_skill_views_tenant_user_skill_unique.
MOVE_AUTHOR = Statement("""
    UPDATE user_skill_views AS v
       SET last_viewed_at = greatest(v.last_viewed_at, :moment::timestamptz),
           last_viewed_version = greatest(v.last_viewed_version, :version)
     WHERE v.tenant_id = :tenant_id AND v.user_id = :user_id AND v.skill_id = :skill_id
""")

# A source is known from the first skill on that comes from there, by skill_sources_pkey.
INSERT_SOURCE = Statement("""
    INSERT INTO skill_sources (tenant_id, address) VALUES (:tenant_id, :source) ON CONFLICT DO NOTHING
""")

# Says of locked skills where they come from, by skills_pkey. No change that anybody sees.
SET_SOURCES = Statement("""
    UPDATE skills AS s
       SET source = :source, source_path = given.source_path
      FROM unnest(:skill_ids::text[], :source_paths::text[]) AS given (skill_id, source_path)
     WHERE s.tenant_id = :tenant_id AND s.id = ANY (:skill_ids::text[]) AND s.id = given.skill_id
""")


class SkillOrigin(Struct, frozen=True):
    """Where a skill comes from, and its published and its announced version; None where there is no version.

    `is_of_older_release` says that the published version was read before releases looked at all of a skill.
    """

    source: str | None
    source_path: str | None
    content_hash: str | None
    version_author: str | None
    is_of_older_release: bool
    announced_author: str | None
    announced_at: datetime | None


class FoundSkill(Struct, frozen=True):
    """A skill, and where its versions come from."""

    skill: Skill
    origin: SkillOrigin


class NewVersion(Struct, frozen=True):
    """What is published of a skill next."""

    skill_id: str
    name: str
    description: str
    category: str
    content: str
    content_hash: str
    files: object
    front_matter: object
    capabilities: Sequence[str] | None
    is_quiet: bool


_read_origin = row_reader(SkillOrigin)


async def find_skills(connection: TenantConnection, slugs: Collection[str]) -> dict[str, FoundSkill]:
    """The skills of these slugs as they are now, locked by nobody."""
    rows = await connection.fetch(FIND_SKILLS, slugs=list(slugs))
    return {row["slug"]: FoundSkill(convert(dict(row), Skill), _read_origin(row)) for row in rows}


async def lock_skills(connection: TenantConnection, slugs: Collection[str]) -> dict[str, FoundSkill]:
    """The skills of these slugs, locked against other publishers until the transaction ends."""
    locked = {row["slug"] for row in await connection.fetch(LOCK_SKILLS, slugs=list(slugs))}
    # What the first statement did not find is not locked, though the second one might see it.
    return await find_skills(connection, locked) if locked else {}


async def insert_skills(connection: TenantConnection, folders: Collection[SkillFolder], author_id: str | None) -> None:
    """Adds a draft of each slug unless there is a skill already. Raises TenantNotFound."""
    rows = [
        {"slug": folder.slug, "name": folder.name, "description": folder.description}
        | {"category": folder.category or DEFAULT_CATEGORY}
        for folder in folders
    ]
    with translate_constraint_errors(skills_tenant_id_fkey=TenantNotFound(connection.tenant_id)):
        await connection.execute(INSERT_SKILLS, rows=to_json(rows), author_id=author_id)


async def publish_versions(
    connection: TenantConnection, versions: Sequence[NewVersion], provenance: Provenance, *, moment: datetime
) -> dict[str, int]:
    """Makes each the next and published version of its skill, which is locked, and returns the numbers by skill."""
    rows = await connection.fetch(
        PUBLISH_VERSIONS,
        rows=to_json(versions),
        skill_ids=[version.skill_id for version in versions],
        author_id=provenance.author_id,
        author_name=provenance.author_name,
        note=provenance.note,
        authored_at=provenance.authored_at,
        moment=moment,
    )
    return {row["skill_id"]: row["version"] for row in rows}


async def set_status(
    connection: TenantConnection,
    skill_id: str,
    status: SkillStatus,
    *,
    successor_id: str | None = None,
    updated_at: datetime | None = None,
    visible_at: datetime | None = None,
) -> None:
    """Archives or restores a skill. A time that is None stays as it is."""
    await connection.execute(
        SET_STATUS,
        skill_id=skill_id,
        status=status,
        successor_id=successor_id,
        updated_at=updated_at,
        visible_at=visible_at,
    )


async def lock_author_views(connection: TenantConnection, user_id: str, skill_ids: Collection[str]) -> None:
    """Locks an author's own rows, where there are any, until the transaction ends."""
    await connection.fetch(LOCK_AUTHOR_VIEWS, user_id=user_id, skill_ids=list(skill_ids))


async def move_author(
    connection: TenantConnection, skill_id: str, user_id: str, *, version: int, moment: datetime
) -> None:
    """Moves an author's own row along, if there is one (S9)."""
    await connection.execute(MOVE_AUTHOR, skill_id=skill_id, user_id=user_id, version=version, moment=moment)


async def insert_source(connection: TenantConnection, source: str) -> None:
    """Makes a source known, unless it is. Raises TenantNotFound."""
    with translate_constraint_errors(skill_sources_tenant_id_fkey=TenantNotFound(connection.tenant_id)):
        await connection.execute(INSERT_SOURCE, source=source)


async def set_sources(connection: TenantConnection, source: str, paths: Mapping[str, str | None]) -> None:
    """Says that skills, by id, come from these folders of a source."""
    await connection.execute(SET_SOURCES, source=source, skill_ids=list(paths), source_paths=list(paths.values()))
