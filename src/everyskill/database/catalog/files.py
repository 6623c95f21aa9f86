"""Keeps the contents of files: each once a tenant, whichever skills, versions and paths have it."""

from collections.abc import Iterable, Iterator, Mapping

from everyskill.database.statements import Statement
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
