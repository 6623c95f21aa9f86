"""Sources: how far each was synchronized, and which skills come from it."""

from collections.abc import Iterable

from everyskill.database.catalog import sources
from everyskill.model.inputs import check_ids, check_text
from everyskill.model.sources import MAX_ADDRESS_LENGTH, MAX_REF_LENGTH, SkillSource, SourcedSkill
from everyskill.services.tenant_scope import TenantScope


async def get_skill_source(tenant: TenantScope, address: str) -> SkillSource | None:
    """How far a source was synchronized; None for one that never was. Raises InvalidText."""
    address = check_text("address", address, longest=MAX_ADDRESS_LENGTH)
    async with tenant._transactions.read() as connection:
        return await sources.find_source(connection, address)


async def save_skill_source(
    tenant: TenantScope, address: str, *, ref: str | None = None, revision: str | None = None
) -> None:
    """Writes how far a source was synchronized, and adds it where it is new. Raises InvalidText, TenantNotFound."""
    address = check_text("address", address, longest=MAX_ADDRESS_LENGTH)
    ref = None if ref is None else check_text("ref", ref, longest=MAX_REF_LENGTH)
    revision = None if revision is None else check_text("revision", revision, longest=MAX_REF_LENGTH)
    await tenant._transactions.run(
        lambda connection: sources.save_source(connection, address, ref=ref, revision=revision)
    )


async def list_sourced_skills(tenant: TenantScope) -> list[SourcedSkill]:
    """Every skill, hidden ones too, by slug, with the source that it was synchronized from."""
    async with tenant._transactions.read() as connection:
        return await sources.list_sourced_skills(connection)


async def mark_vanished_skills(tenant: TenantScope, address: str, slugs: Iterable[str]) -> None:
    """Notes of archived skills that they are so because their folders vanished from their source.

    Once such a folder is there again, a synchronization shows its skill again; one that somebody archived it leaves.
    Raises InvalidText, InvalidIdentifier, TooManyIds.
    """
    address = check_text("address", address, longest=MAX_ADDRESS_LENGTH)
    checked = check_ids("slugs", slugs)
    await tenant._transactions.run(lambda connection: sources.mark_vanished(connection, address, checked))
