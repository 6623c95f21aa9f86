"""Asks about the sources of skills, and writes how far they were synchronized."""

from collections.abc import Collection

from everyskill.database.statements import Statement, read_row, read_rows
from everyskill.database.transactions import TenantConnection, translate_constraint_errors
from everyskill.errors import TenantNotFound
from everyskill.model.sources import SkillSource, SourcedSkill

# A source, by skill_sources_pkey.
FIND_SOURCE = Statement("""
    SELECT k.address, k.ref, k.revision, k.synced_at
      FROM skill_sources AS k
     WHERE k.tenant_id = :tenant_id AND k.address = :address
""")

# A source as it was synchronized now; skill_sources_pkey decides whether it is a new one.
SAVE_SOURCE = Statement("""
    INSERT INTO skill_sources AS k (tenant_id, address, ref, revision, synced_at)
    VALUES (:tenant_id, :address, :ref, :revision, clock_timestamp())
    ON CONFLICT ON CONSTRAINT skill_sources_pkey
    DO UPDATE SET ref = excluded.ref, revision = excluded.revision, synced_at = excluded.synced_at
""")

# Where each skill of the tenant comes from, by skills_tenant_id_slug_unique.
LIST_SOURCED_SKILLS = Statement("""
    SELECT s.slug, s.status, s.source, s.source_path FROM skills AS s WHERE s.tenant_id = :tenant_id ORDER BY s.slug
""")

# Archived skills whose folders vanished from their source, by skills_tenant_id_slug_unique.
MARK_VANISHED = Statement("""
    UPDATE skills AS s
       SET source_path = NULL
     WHERE s.tenant_id = :tenant_id AND s.slug = ANY (:slugs::text[]) AND s.source = :address AND s.status = 'archived'
""")


async def find_source(connection: TenantConnection, address: str) -> SkillSource | None:
    """The source of that address, if anything was synchronized from it."""
    return read_row(await connection.fetch_row(FIND_SOURCE, address=address), SkillSource)


async def save_source(connection: TenantConnection, address: str, *, ref: str | None, revision: str | None) -> None:
    """Writes how far a source was synchronized. Raises TenantNotFound."""
    with translate_constraint_errors(skill_sources_tenant_id_fkey=TenantNotFound(connection.tenant_id)):
        await connection.execute(SAVE_SOURCE, address=address, ref=ref, revision=revision)


async def list_sourced_skills(connection: TenantConnection) -> list[SourcedSkill]:
    """Every skill of the tenant, hidden ones too, with its source."""
    return read_rows(await connection.fetch(LIST_SOURCED_SKILLS), SourcedSkill)


async def mark_vanished(connection: TenantConnection, address: str, slugs: Collection[str]) -> None:
    """Notes of archived skills that their folders vanished from this source."""
    await connection.execute(MARK_VANISHED, address=address, slugs=list(slugs))
