"""Asks about the versions of skills."""

import msgspec

from everyskill.database.statements import Statement, read_rows
from everyskill.database.transactions import TenantConnection
from everyskill.model.inputs import MAX_VERSION
from everyskill.model.skills import SkillFile, SkillVersion, VersionSummary

# The name of who made a version: of a user who has one, by users_pkey, else what was said.
_AUTHOR_NAME = """coalesce(
               (SELECT u.name FROM users AS u WHERE u.tenant_id = :tenant_id AND u.id = sv.created_by), sv.author_name
           ) AS author_name"""

# A version by its number, by skill_versions_tenant_id_skill_id_version_unique.
FIND_VERSION = Statement(f"""
    SELECT sv.id, sv.skill_id, sv.version, sv.name, sv.description, sv.content, sv.content_hash, sv.files,
           sv.created_by, sv.created_at, {_AUTHOR_NAME}, sv.note, sv.authored_at, sv.is_quiet, sv.category,
           sv.front_matter, sv.capabilities
      FROM skill_versions AS sv
     WHERE sv.tenant_id = :tenant_id AND sv.skill_id = :skill_id AND sv.version = :version
""")

# A page of the versions, newest first, by skill_versions_tenant_id_skill_id_version_unique backwards.
LIST_VERSIONS = Statement(f"""
    SELECT sv.id, sv.version, sv.name, sv.description, sv.content_hash, sv.created_by, sv.created_at, {_AUTHOR_NAME},
           sv.note, sv.authored_at, sv.is_quiet
      FROM skill_versions AS sv
     WHERE sv.tenant_id = :tenant_id AND sv.skill_id = :skill_id AND sv.version <= :up_to
     ORDER BY sv.version DESC
     LIMIT :limit
""")

# The number of a version, by skill_versions_pkey.
FIND_VERSION_NUMBER = Statement("""
    SELECT sv.version FROM skill_versions AS sv WHERE sv.tenant_id = :tenant_id AND sv.id = :version_id
""")


async def find_version(connection: TenantConnection, skill_id: str, version: int) -> SkillVersion | None:
    """A version of a skill by its number."""
    row = await connection.fetch_row(FIND_VERSION, skill_id=skill_id, version=version)
    if row is None:
        return None
    files = msgspec.json.decode(row["files"], type=tuple[SkillFile, ...])
    front_matter = None if row["front_matter"] is None else msgspec.json.decode(row["front_matter"])
    return msgspec.convert({**row, "files": files, "front_matter": front_matter}, SkillVersion)


async def list_versions(
    connection: TenantConnection, skill_id: str, *, limit: int, up_to: int = MAX_VERSION
) -> list[VersionSummary]:
    """Versions of a skill without their texts, newest first from number `up_to`."""
    rows = await connection.fetch(LIST_VERSIONS, skill_id=skill_id, limit=limit, up_to=up_to)
    return read_rows(rows, VersionSummary)


async def find_version_number(connection: TenantConnection, version_id: str) -> int | None:
    """The number of a version, if there is one of that id."""
    number: int | None = await connection.fetch_value(FIND_VERSION_NUMBER, version_id=version_id)
    return number
