"""Asks what users saw, and which of it was updated since; many users at once."""

from collections.abc import Collection, Sequence

from asyncpg import Record
from msgspec import Struct
from msgspec.structs import replace

from everyskill.database.catalog.names import skill_id_of
from everyskill.database.rules import IS_UPDATED, NEW_SEVERITY, SKILL_OF_VIEW
from everyskill.database.statements import Statement, row_reader, to_json
from everyskill.database.transactions import TenantConnection
from everyskill.model.severity import Severity
from everyskill.model.skills import find_slugs
from everyskill.model.views import UserSkillView, ViewState


class Lookup(Struct, frozen=True, omit_defaults=True):
    """Some skills that one user is asked about; `slugs` are those of the ids that may be slugs, and tried as both."""

    user_id: str
    skill_ids: Sequence[str]
    slugs: Sequence[str] = ()

    @classmethod
    def of(cls, user_id: str, names: Collection[str]) -> "Lookup":
        """Skills by their ids or slugs."""
        return cls(user_id, list(names), find_slugs(names))


# Lookups as rows, each with its place from 1 up. One JSON value costs half of what parallel arrays of all ids do.
LOOKUPS = """
    ROWS FROM (json_to_recordset(:lookups::json) AS (user_id text, skill_ids text[], slugs text[]))
    WITH ORDINALITY AS asked (user_id, skill_ids, slugs, place)
"""

# The skills of a lookup that were asked about by a slug. Where all are asked about by their ids, this is not begun.
ASKED_BY_SLUG = f"""
    SELECT wanted.slug AS asked_as, named.skill_id
      FROM unnest(asked.slugs) AS wanted (slug)
      JOIN LATERAL (SELECT {skill_id_of("wanted.slug")} AS skill_id OFFSET 0) AS named
        ON named.skill_id <> wanted.slug
"""

_SEEN = """
    SELECT seen.skill_id AS asked_as, seen.id, seen.tenant_id, seen.user_id, seen.skill_id,
           seen.last_viewed_at, seen.last_viewed_version, seen.view_count
      FROM user_skill_views AS seen
     WHERE seen.tenant_id = :tenant_id AND seen.user_id = asked.user_id
"""
_HAS_SKIPPING_SCANS = "current_setting('server_version_num')::integer >= 170000"

# The views of each lookup, by user_skill_views_tenant_user_skill_unique. OFFSET 0 keeps the planner from starting
# with other tables and reading many rows. Since 17 one scan finds a list of keys; before, without statistics, it would
# read all views of the user, so there it is a scan for each key.
ASKED_VIEWS = f"""
    LATERAL (
        {_SEEN} AND seen.skill_id = ANY (asked.skill_ids) AND {_HAS_SKIPPING_SCANS}
         UNION ALL
        SELECT one.*
          FROM unnest(asked.skill_ids) AS wanted (skill_id)
          JOIN LATERAL ({_SEEN} AND seen.skill_id = wanted.skill_id OFFSET 0) AS one ON true
         WHERE NOT {_HAS_SKIPPING_SCANS}
         UNION ALL
        SELECT named.asked_as, one.id, one.tenant_id, one.user_id, one.skill_id,
               one.last_viewed_at, one.last_viewed_version, one.view_count
          FROM ({ASKED_BY_SLUG}) AS named
          JOIN LATERAL ({_SEEN} AND seen.skill_id = named.skill_id OFFSET 0) AS one ON true
        OFFSET 0
    ) AS v
"""

# Views as they are.
FIND_VIEWS = Statement(f"""
    SELECT asked.place, v.*
      FROM {LOOKUPS}
      JOIN {ASKED_VIEWS} ON true
""")

# Which views are updated.
FIND_UPDATED = Statement(f"""
    SELECT asked.place, v.asked_as
      FROM {LOOKUPS}
      JOIN {ASKED_VIEWS} ON true
      {SKILL_OF_VIEW}
     WHERE {IS_UPDATED}
""")

# Views with their badges, skills by skills_pkey. A version that is not known, or a skill that this transaction does not
# see, is no update. Versions are read of what is updated alone.
FIND_VIEW_STATES = Statement(f"""
    SELECT v.place, v.asked_as, v.skill_id, v.last_viewed_at, v.last_viewed_version, v.view_count, v.is_updated,
           CASE WHEN v.is_updated THEN (
               SELECT {NEW_SEVERITY} FROM skills AS s WHERE s.tenant_id = :tenant_id AND s.id = v.skill_id
           ) END AS severity
      FROM (
          SELECT asked.place, v.*,
                 coalesce(
                     (SELECT {IS_UPDATED} FROM skills AS s WHERE s.tenant_id = :tenant_id AND s.id = v.skill_id), false
                 ) AS is_updated
            FROM {LOOKUPS}
            JOIN {ASKED_VIEWS} ON true
          OFFSET 0
      ) AS v
""")

_read_view = row_reader(UserSkillView)
_read_state = row_reader(ViewState)


async def find_views(connection: TenantConnection, lookups: Sequence[Lookup]) -> list[dict[str, UserSkillView]]:
    """For each lookup, in order, the user's views by what was asked; a skill never viewed is not in it."""
    found: list[dict[str, UserSkillView]] = [{} for _ in lookups]
    for row in await connection.fetch(FIND_VIEWS, lookups=to_json(lookups)):
        found[row["place"] - 1][row["asked_as"]] = _read_view(row)
    return found


async def find_updated(connection: TenantConnection, lookups: Sequence[Lookup]) -> list[set[str]]:
    """For each lookup, in order, which of its skills are updated for the user (S1)."""
    found: list[set[str]] = [set() for _ in lookups]
    for row in await connection.fetch(FIND_UPDATED, lookups=to_json(lookups)):
        found[row["place"] - 1].add(row["asked_as"])
    return found


async def find_view_states(connection: TenantConnection, lookups: Sequence[Lookup]) -> list[dict[str, ViewState]]:
    """Both at once: for each lookup, in order, the user's views by what was asked, each with its badge."""
    found: list[dict[str, ViewState]] = [{} for _ in lookups]
    for row in await connection.fetch(FIND_VIEW_STATES, lookups=to_json(lookups)):
        found[row["place"] - 1][row["asked_as"]] = _read_state_and_severity(row)
    return found


def _read_state_and_severity(row: Record) -> ViewState:
    state, severity = _read_state(row), row["severity"]
    return state if severity is None else replace(state, severity=Severity(severity))
