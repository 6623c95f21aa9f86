"""Reads the versions that a change summary compares, and who published them and why."""

from collections.abc import Iterable, Sequence

import msgspec
from asyncpg import Record
from msgspec import Struct

from everyskill.database.statements import Statement, to_json
from everyskill.database.transactions import TenantConnection
from everyskill.model.changes import Publishers, VersionFacts
from everyskill.model.comparisons import Pair
from everyskill.model.skills import SkillFile

# Of SKILL.md, in one answer: texts beyond that are not compared line by line.
MAX_CONTENT = 16 * 1024 * 1024
# Of so many versions, the newest, a summary says who made them.
MAX_PUBLISHERS = 20

# Who published what a user has not seen, the newest first, and why: of a `pair` with a skill, the version that was seen
# and the one that is published. By skill_versions_tenant_id_skill_id_version_unique backwards, and users_pkey.
PUBLISHERS = f"""
    SELECT array_agg(made.author ORDER BY made.version DESC) FILTER (WHERE made.author IS NOT NULL) AS authors,
           (array_agg(made.note ORDER BY made.version DESC) FILTER (WHERE made.note IS NOT NULL))[1] AS note
      FROM (
          SELECT sv.version, sv.note,
                 coalesce(
                     (SELECT u.name FROM users AS u WHERE u.tenant_id = :tenant_id AND u.id = sv.created_by),
                     sv.author_name,
                     sv.created_by
                 ) AS author
            FROM skill_versions AS sv
           WHERE sv.tenant_id = :tenant_id AND sv.skill_id = pair.skill_id
             AND sv.version > pair.seen AND sv.version <= pair.published
           ORDER BY sv.version DESC
           LIMIT {MAX_PUBLISHERS}
      ) AS made
"""

# The same of one pair.
FIND_PUBLISHERS = Statement(f"""
    SELECT made.authors, made.note
      FROM (SELECT :skill_id::text AS skill_id, :seen::integer AS seen, :published::integer AS published) AS pair
      JOIN LATERAL ({PUBLISHERS}) AS made ON true
""")

# What versions of some skills consist of, by skill_versions_tenant_id_skill_id_version_unique. The length of a text
# stands outside of it, so those that are too many are not read.
FIND_FACTS = Statement(f"""
    SELECT sv.skill_id, sv.version, sv.name, sv.description, sv.category, sv.capabilities, sv.files,
           CASE WHEN sum(octet_length(sv.content)) OVER (ORDER BY asked.place) <= {MAX_CONTENT}
                THEN sv.content END AS content
      FROM ROWS FROM (json_to_recordset(:asked::json) AS (skill_id text, version integer))
           WITH ORDINALITY AS asked (skill_id, version, place)
      JOIN LATERAL (
          SELECT known.*
            FROM skill_versions AS known
           WHERE known.tenant_id = :tenant_id AND known.skill_id = asked.skill_id
             AND known.version = asked.version
          OFFSET 0
      ) AS sv ON true
""")


class StoredFacts(Struct, frozen=True):
    """The facts of a version, with its files as JSON: 10,000 of them take long to read, and a batch has many."""

    name: str
    description: str
    category: str | None
    capabilities: Sequence[str | None] | None
    files_json: str
    content: str | None

    def read(self) -> VersionFacts:
        """The facts themselves."""
        return VersionFacts(
            name=self.name,
            description=self.description,
            category=self.category,
            capabilities=self.capabilities,
            files=msgspec.json.decode(self.files_json, type=tuple[SkillFile, ...]),
            content=self.content,
        )


class StoredPair(Struct, frozen=True):
    """Both versions of a pair, not compared yet."""

    seen: StoredFacts
    published: StoredFacts


async def find_publishers(connection: TenantConnection, pair: Pair) -> Publishers:
    """Who published the versions of a skill that a user has not seen, and why."""
    row = await connection.fetch_row(FIND_PUBLISHERS, skill_id=pair.skill_id, seen=pair.seen, published=pair.published)
    return Publishers() if row is None else read_publishers(row)


def read_publishers(row: Record) -> Publishers:
    """The columns of PUBLISHERS as a value."""
    return Publishers(row["authors"] or (), row["note"])


async def find_facts(connection: TenantConnection, pairs: Iterable[Pair]) -> dict[Pair, StoredPair]:
    """The versions of all these pairs, in one query; a pair of which one is not there is left out."""
    wanted = {pair: ((pair.skill_id, pair.seen), (pair.skill_id, pair.published)) for pair in pairs}
    versions = dict.fromkeys(version for both in wanted.values() for version in both)
    asked = [{"skill_id": skill_id, "version": number} for skill_id, number in versions]
    rows = await connection.fetch(FIND_FACTS, asked=to_json(asked))
    found = {(row["skill_id"], row["version"]): _read_facts(row) for row in rows}
    return {
        pair: StoredPair(found[seen], found[published])
        for pair, (seen, published) in wanted.items()
        if seen in found and published in found
    }


def _read_facts(row: Record) -> StoredFacts:
    return StoredFacts(
        name=row["name"],
        description=row["description"],
        category=row["category"],
        capabilities=row["capabilities"],
        files_json=row["files"],
        content=row["content"],
    )
