"""Publishing: one skill, or many in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from everyskill.database.catalog import files, publishing
from everyskill.database.catalog.publishing import FoundSkill, NewVersion
from everyskill.database.catalog.visible_at import allocate_visible_at
from everyskill.database.people.users import lock_user
from everyskill.database.transactions import TenantConnection
from everyskill.errors import InvalidArgument, UserNotFound
from everyskill.model.capabilities import find_capabilities
from everyskill.model.inputs import MAX_IDS, check_type
from everyskill.model.kept_files import FileLimits, KeptContent, contents_to_keep
from everyskill.model.provenance import Provenance
from everyskill.model.skills import Outcome, Publication, Skill, SkillFolder, SkillStatus, hash_of_files
from everyskill.services.tenant_scope import TenantScope


async def publish_skill(
    tenant: TenantScope,
    folder: SkillFolder,
    *,
    author_id: str | None = None,
    author_name: str | None = None,
    note: str | None = None,
    authored_at: datetime | None = None,
    quiet: bool = False,
    source: str | None = None,
    source_path: str | None = None,
) -> Publication:
    """Publishes what the folder says as the skill's next version, or does nothing where nothing changed.

    Any difference in content, name, description or category makes a version (S3), which badges everybody who viewed the
    skill but its author (S9); `quiet` badges nobody (S17). An archived skill takes the version and stays hidden;
    restore_skill shows it (S11). `author_name` names an author who is no user, `note` says why in at most 500
    characters, and `authored_at` when the author says that it was made; all three are only shown. `source` is the
    address that the skill comes from, and `source_path` its folder there.

    Raises InvalidArgument, InvalidIdentifier, InvalidText, InvalidTimestamp, UserNotFound for an unknown author,
    TenantNotFound, and Overloaded.
    """
    slug = check_type("folder", folder, SkillFolder).slug
    [publication] = await publish_skills(
        tenant,
        [folder],
        author_id=author_id,
        author_name=author_name,
        note=note,
        authored_at=authored_at,
        quiet=quiet,
        source=source,
        source_paths=None if source_path is None else {slug: source_path},
    )
    return publication


async def publish_skills(
    tenant: TenantScope,
    folders: Sequence[SkillFolder],
    *,
    author_id: str | None = None,
    author_name: str | None = None,
    note: str | None = None,
    authored_at: datetime | None = None,
    quiet: bool = False,
    source: str | None = None,
    source_paths: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> list[Publication]:
    """Publishes up to 10,000 folders in one transaction: all become visible at once, or none does.

    Each as publish_skill does; `source_paths` has their folders in the source, by slug. Returns what became of each, in
    the order given; with `dry_run` what would, and a skill that is not there has no id. Raises what publish_skill does,
    and InvalidArgument where two folders have one slug.
    """
    check_type("dry_run", dry_run, bool)
    provenance = Provenance(
        author_id=author_id,
        author_name=author_name,
        note=note,
        authored_at=authored_at,
        quiet=quiet,
        source=source,
        source_paths=source_paths or {},
    ).checked()
    given = list(check_type("folders", folders, Sequence))  # type: ignore[type-abstract]
    plain, contents = await tenant.run_in_worker(lambda: _prepare(given, tenant.file_limits))
    if not plain:
        return []
    if dry_run:
        async with tenant._transactions.read() as connection:
            return await _foresee(connection, plain)
    return await tenant._transactions.run(lambda connection: _publish(tenant, connection, plain, contents, provenance))


def _prepare(folders: Iterable[SkillFolder], limits: FileLimits) -> tuple[list[SkillFolder], dict[str, KeptContent]]:
    plain = [check_type("folder", folder, SkillFolder).checked() for folder in folders]
    if len(plain) > MAX_IDS:
        raise InvalidArgument("folders", f"at most {MAX_IDS:,} skills", f"{len(plain):,}")
    if len({folder.slug for folder in plain}) < len(plain):
        raise InvalidArgument("folders", "skills of different slugs", "two of one slug")
    contents: dict[str, KeptContent] = {}
    for folder in plain:
        contents |= contents_to_keep(folder, limits)
        # Kept by the folder from here on: it takes long where there are many files.
        _ = folder.content_hash
    return plain, contents


async def _publish(
    tenant: TenantScope,
    connection: TenantConnection,
    folders: Sequence[SkillFolder],
    contents: Mapping[str, KeptContent],
    provenance: Provenance,
) -> list[Publication]:
    if provenance.author_id is not None and not await lock_user(connection, provenance.author_id):
        raise UserNotFound(provenance.author_id)
    found = await publishing.find_skills(connection, [folder.slug for folder in folders])
    stale = [folder for folder in folders if _differs(found.get(folder.slug), folder, provenance)]
    capabilities: dict[str, list[str]] = {}
    if stale:
        # Before anything is locked: it takes a while.
        capabilities = await tenant.run_in_worker(lambda: {folder.slug: find_capabilities(folder) for folder in stale})
        found |= await _lock_or_create(connection, stale, found, provenance)
    await files.keep_contents(connection, contents)
    changed = [folder for folder in stale if not _says_the_same(found[folder.slug], folder)]
    versions = [
        _next_version(found[folder.slug], folder, capabilities[folder.slug], quiet=provenance.quiet)
        for folder in changed
    ]
    numbers = await _publish_next(connection, versions, provenance) if versions else {}
    return [_publication(found[folder.slug].skill, numbers) for folder in folders]


async def _foresee(connection: TenantConnection, folders: Sequence[SkillFolder]) -> list[Publication]:
    found = await publishing.find_skills(connection, [folder.slug for folder in folders])
    return [_next_publication(found.get(folder.slug), folder) for folder in folders]


def _next_publication(found: FoundSkill | None, folder: SkillFolder) -> Publication:
    if found is None:
        return Publication("", folder.slug, 1, Outcome.ADDED, SkillStatus.PUBLISHED)
    number = (found.skill.published_version or 0) + 1
    return _publication(found.skill, {} if _says_the_same(found, folder) else {found.skill.id: number})


async def _lock_or_create(
    connection: TenantConnection,
    folders: Sequence[SkillFolder],
    found: Mapping[str, FoundSkill],
    provenance: Provenance,
) -> dict[str, FoundSkill]:
    """The skills of the folders, locked. New ones are added before any is locked, so that no two callers deadlock."""
    if provenance.source is not None:
        await publishing.insert_source(connection, provenance.source)
    if new := [folder for folder in folders if folder.slug not in found]:
        await publishing.insert_skills(connection, new, provenance.author_id)
    locked = await publishing.lock_skills(connection, [folder.slug for folder in folders])
    # One may have been deleted, or renamed, since it was found.
    if gone := [folder for folder in folders if folder.slug not in locked]:
        await publishing.insert_skills(connection, gone, provenance.author_id)
        locked |= await publishing.lock_skills(connection, [folder.slug for folder in gone])
    if provenance.source is not None:
        paths = {held.skill.id: provenance.source_paths.get(slug) for slug, held in locked.items()}
        await publishing.set_sources(connection, provenance.source, paths)
    return locked


async def _publish_next(
    connection: TenantConnection, versions: Sequence[NewVersion], provenance: Provenance
) -> dict[str, int]:
    if provenance.author_id is not None:
        skill_ids = [version.skill_id for version in versions]
        await publishing.lock_author_views(connection, provenance.author_id, skill_ids)
    moment = await allocate_visible_at(connection)
    return await publishing.publish_versions(connection, versions, provenance, moment=moment)


def _next_version(found: FoundSkill, folder: SkillFolder, capabilities: list[str], *, quiet: bool) -> NewVersion:
    skill = found.skill
    quiet = quiet or _is_read_anew(found, folder)
    return NewVersion(
        skill_id=skill.id,
        name=folder.name,
        description=folder.description,
        category=folder.category or skill.category,
        content=folder.content,
        content_hash=folder.content_hash,
        files=folder.files,
        front_matter=folder.front_matter,
        capabilities=capabilities,
        # What nobody could see before is news (S17).
        is_quiet=quiet and skill.status is not SkillStatus.DRAFT and skill.published_version is not None,
    )


def _differs(found: FoundSkill | None, folder: SkillFolder, provenance: Provenance) -> bool:
    if found is None or not _says_the_same(found, folder):
        return True
    known = (found.origin.source, found.origin.source_path)
    return provenance.source is not None and known != (provenance.source, provenance.source_paths.get(folder.slug))


def _says_the_same(found: FoundSkill, folder: SkillFolder) -> bool:
    skill = found.skill
    return (found.origin.content_hash, skill.name, skill.description, skill.category) == (
        folder.content_hash,
        folder.name,
        folder.description,
        folder.category or skill.category,
    )


def _is_read_anew(found: FoundSkill, folder: SkillFolder) -> bool:
    """Whether this is the folder that an older release read, so that only what it made of its place is another.

    Without front matter it was not read, and what is said of it was said on purpose.
    """
    is_same = (found.skill.name, found.skill.description) == (folder.name, folder.description)
    hashes = {folder.content_hash, hash_of_files(folder.files)}
    was_read = found.origin.is_of_older_release and folder.front_matter is not None
    return was_read and is_same and found.origin.content_hash in hashes


def _publication(skill: Skill, numbers: Mapping[str, int]) -> Publication:
    number = numbers.get(skill.id)
    if number is None:
        return Publication(skill.id, skill.slug, skill.published_version or 0, Outcome.UNCHANGED, skill.status)
    status = SkillStatus.ARCHIVED if skill.status is SkillStatus.ARCHIVED else SkillStatus.PUBLISHED
    return Publication(skill.id, skill.slug, number, Outcome.ADDED if number == 1 else Outcome.UPDATED, status)
