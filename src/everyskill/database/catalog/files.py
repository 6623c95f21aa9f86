"""Keeps the contents of files: each once a tenant, whichever skills, versions and paths have it."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec import Struct

from everyskill.database.statements import ONE_PASS_PLAN, Statement
from everyskill.database.transactions import TenantConnection
from everyskill.model.kept_files import KeptContent

# So many bytes go to PostgreSQL in one message, but for a file that is larger alone.
MAX_MESSAGE_BYTES = 8 * 1024 * 1024

_LOCK = "hashtextextended('everyskill:files:' || :tenant_id::text, 0)"

# The lock "files of the tenant": shared by who is about to refer to contents, until the commit; held alone by who
# removes those that no version refers to. So nothing is removed between the question whether it is there and the
# version that has it.
LOCK_FILES = Statement(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")

# Which contents are not there yet, by skill_file_contents_pkey.
FIND_MISSING = Statement("""
    SELECT asked.hash
      FROM unnest(:hashes::text[]) AS asked (hash)
      LEFT JOIN LATERAL (
          SELECT true AS is_kept
            FROM skill_file_contents AS contents
           WHERE contents.tenant_id = :tenant_id AND contents.hash = asked.hash
          OFFSET 0
      ) AS f ON true
     WHERE f.is_kept IS NULL
""")

# Adds contents; skill_file_contents_pkey decides, where somebody else adds them at the same time. By hash, so that no
# two callers deadlock.
INSERT_CONTENTS = Statement("""
    INSERT INTO skill_file_contents (tenant_id, hash, is_text, content)
    SELECT :tenant_id, given.hash, given.is_text, given.content
      FROM unnest(:hashes::text[], :are_texts::boolean[], :contents::bytea[]) AS given (hash, is_text, content)
     ORDER BY given.hash
    ON CONFLICT DO NOTHING
""")


_FIND = """
      FROM unnest(:hashes::text[]) AS asked (hash)
      JOIN LATERAL (
          SELECT contents.*
            FROM skill_file_contents AS contents
           WHERE contents.tenant_id = :tenant_id AND contents.hash = asked.hash
          OFFSET 0
      ) AS f ON true
"""

# Which contents are kept, and their bytes, by skill_file_contents_pkey.
FIND_KEPT = Statement(f"SELECT f.hash, f.is_text {_FIND}")
FIND_CONTENTS = Statement(f"SELECT f.hash, f.is_text, f.content {_FIND}")
FIND_TEXTS = Statement(f"SELECT f.hash, convert_from(f.content, 'UTF8') AS text {_FIND} WHERE f.is_text")

# The lock "files of the tenant" for who removes. Publishers wait for it, so what goes with it is short.
LOCK_ALL_FILES = Statement(f"SELECT pg_advisory_xact_lock({_LOCK})", plan=ONE_PASS_PLAN)

# The contents that no version refers to, by skill_file_contents_pkey and all versions of the tenant.
_UNUSED = """
      FROM skill_file_contents AS f
     WHERE f.tenant_id = :tenant_id AND (:hashes::text[] IS NULL OR f.hash = ANY (:hashes))
       AND NOT EXISTS (
           SELECT FROM skill_versions AS sv,
                  jsonb_array_elements(CASE jsonb_typeof(sv.files) WHEN 'array' THEN sv.files ELSE '[]' END) AS file
            WHERE sv.tenant_id = :tenant_id AND file ->> 'hash' = f.hash
       )
"""
COUNT_UNUSED = Statement(
    f"""
    SELECT count(*) AS files, coalesce(sum(octet_length(f.content)), 0)::bigint AS bytes {_UNUSED}
""",
    plan=ONE_PASS_PLAN,
)
FIND_UNUSED = Statement(f"SELECT f.hash {_UNUSED} LIMIT :limit", plan=ONE_PASS_PLAN)
DELETE_UNUSED = Statement(
    f"""
    WITH removed AS (DELETE {_UNUSED} RETURNING octet_length(f.content) AS size)
    SELECT count(*) AS files, coalesce(sum(removed.size), 0)::bigint AS bytes FROM removed
""",
    plan=ONE_PASS_PLAN,
)


class Unused(Struct, frozen=True):
    """How many contents no version refers to, and how many bytes they have."""

    files: int
    bytes: int


async def find_kept(connection: TenantConnection, hashes: Collection[str]) -> dict[str, bool]:
    """Which of these are kept, and whether each is text."""
    rows = await connection.fetch(FIND_KEPT, hashes=list(hashes))
    return {row["hash"]: row["is_text"] for row in rows}


async def find_contents(connection: TenantConnection, hashes: Collection[str]) -> dict[str, KeptContent]:
    """Those of these contents that are kept."""
    rows = await connection.fetch(FIND_CONTENTS, hashes=list(hashes)) if hashes else []
    return {row["hash"]: KeptContent(row["content"], row["is_text"]) for row in rows}


async def find_texts(connection: TenantConnection, hashes: Collection[str]) -> dict[str, str]:
    """Those of these contents that are kept and are text."""
    rows = await connection.fetch(FIND_TEXTS, hashes=list(hashes)) if hashes else []
    return {row["hash"]: row["text"] for row in rows}


async def count_unused(connection: TenantConnection) -> Unused:
    """What no version refers to."""
    [row] = await connection.fetch(COUNT_UNUSED, hashes=None)
    return Unused(row["files"], row["bytes"])


async def find_unused(connection: TenantConnection, *, limit: int) -> list[str]:
    """The hashes of contents that no version refers to just now."""
    return [row["hash"] for row in await connection.fetch(FIND_UNUSED, hashes=None, limit=limit)]


async def remove_unused(connection: TenantConnection, hashes: Collection[str]) -> Unused:
    """Removes those of these contents that still no version refers to."""
    await connection.execute(LOCK_ALL_FILES)
    # A statement of its own, as in keep_contents: what was published while it waited has them.
    [row] = await connection.fetch(DELETE_UNUSED, hashes=list(hashes))
    return Unused(row["files"], row["bytes"])


async def keep_contents(connection: TenantConnection, contents: Mapping[str, KeptContent]) -> None:
    """Adds what is not there yet. None of it is removed until the transaction ends."""
    if not contents:
        return
    await connection.execute(LOCK_FILES)
    # A statement of its own, and so with a snapshot that was taken under the lock.
    missing = sorted(row["hash"] for row in await connection.fetch(FIND_MISSING, hashes=list(contents)))
    for hashes in _chunks(missing, contents):
        await connection.execute(
            INSERT_CONTENTS,
            hashes=hashes,
            are_texts=[contents[key].is_text for key in hashes],
            contents=[contents[key].content for key in hashes],
        )


def _chunks(hashes: Iterable[str], contents: Mapping[str, KeptContent]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for key in hashes:
        size += len(contents[key].content)
        if chunk and size > MAX_MESSAGE_BYTES:
            yield chunk
            chunk, size = [], len(contents[key].content)
        chunk.append(key)
    if chunk:
        yield chunk
