"""Asks about and records views: the statements that stand on every page view."""

from collections.abc import Collection, Sequence
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct
from sqlalchemy import Integer, Text, and_, any_, case, cast, column, exists, false, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY, JSON, insert
from sqlalchemy.sql import Select

from everyskill.database.feed_checkpoints import take_back
from everyskill.database.scope import TenantConnection
from everyskill.database.statements import TENANT, Statement, look_up, parameter, parameters
from everyskill.model.views import NewUserSkillView, UserSkillView, ViewKey, ViewState, fold_views
from everyskill.schema import (
    Skills,
    Tenants,
    Users,
    UserSkillViews,
    is_published,
    is_updated,
)
from everyskill.schema.base import MOMENT

VIEW_FIELDS = (
    UserSkillViews.id,
    UserSkillViews.tenant_id,
    UserSkillViews.user_id,
    UserSkillViews.skill_id,
    UserSkillViews.last_viewed_at,
    UserSkillViews.last_viewed_version,
    UserSkillViews.view_count,
)
OF_USER = and_(UserSkillViews.tenant_id == TENANT, UserSkillViews.user_id == parameter("user_id"))

# What several callers ask at once. One JSON value costs half of what parallel arrays of all their ids do.
ASKED = (
    func.json_to_recordset(cast(parameter("lookups"), JSON))
    .table_valued(column("place", Integer), column("user_id", Text), column("skill_ids", ARRAY(Text)))
    .render_derived(name="asked", with_types=True)
)
_OF_ASKED = and_(
    UserSkillViews.tenant_id == TENANT,
    UserSkillViews.user_id == ASKED.c.user_id,
    UserSkillViews.skill_id == any_(ASKED.c.skill_ids),
)


def _find_views() -> Select[*tuple[Any, ...]]:
    viewed = look_up(select(*VIEW_FIELDS).where(_OF_ASKED), "viewed")
    return select(ASKED.c.place, *viewed.c).select_from(ASKED).join(viewed, true())


def _find_states() -> Select[*tuple[Any, ...]]:
    seen = select(
        UserSkillViews.skill_id,
        UserSkillViews.last_viewed_at,
        UserSkillViews.last_viewed_version,
        UserSkillViews.view_count,
    )
    viewed = look_up(seen.where(_OF_ASKED), "viewed")
    updated = select(is_updated(viewed.c, Skills)).where(Skills.tenant_id == TENANT, Skills.id == viewed.c.skill_id)
    # An unknown version, or a skill that this transaction does not see, is no news.
    flag = func.coalesce(updated.scalar_subquery(), false()).label("is_updated")
    return select(ASKED.c.place, *viewed.c, flag).select_from(ASKED).join(viewed, true())


def _find_updated() -> Select[*tuple[Any, ...]]:
    seen = select(UserSkillViews.skill_id, UserSkillViews.last_viewed_at, UserSkillViews.last_viewed_version)
    viewed = look_up(seen.where(_OF_ASKED), "viewed")
    skills = select(Skills.status, Skills.updated_at, Skills.published_version)
    skill = look_up(skills.where(Skills.tenant_id == TENANT, Skills.id == viewed.c.skill_id), "shown")
    return (
        select(ASKED.c.place, viewed.c.skill_id)
        .select_from(ASKED)
        .join(viewed, true())
        .join(skill, true())
        .where(is_updated(viewed.c, skill.c))
    )


FIND_VIEWS = Statement(_find_views())
FIND_UPDATED = Statement(_find_updated())
FIND_STATES = Statement(_find_states())

_pairs = (
    func.unnest(parameters("user_ids"), parameters("skill_ids"))
    .table_valued(column("user_id", Text), column("skill_id", Text))
    .render_derived(name="asked")
)

FIND_WHAT_IS_MISSING = Statement(
    select(
        _pairs.c.user_id,
        _pairs.c.skill_id,
        case(
            (~exists().where(Tenants.id == TENANT), "tenant"),
            (~exists().where(Users.tenant_id == TENANT, Users.id == _pairs.c.user_id), "user"),
            # Or it appeared between the two statements: the view was not recorded all the same.
            else_="skill",
        ).label("missing"),
    )
)


def _clamped_views() -> Select[*tuple[Any, ...]]:
    """The rows to record: known users and visible skills only, neither version nor time beyond what exists (S5)."""
    asked = (
        func.unnest(
            parameters("user_ids"),
            parameters("skill_ids"),
            parameters("viewed_ats", MOMENT),
            parameters("versions", Integer),
            parameters("view_counts", Integer),
        )
        .table_valued(
            column("user_id", Text),
            column("skill_id", Text),
            column("viewed_at", MOMENT),
            column("version", Integer),
            column("view_count", Integer),
        )
        .render_derived(name="asked")
    )
    user = look_up(select(Users.id).where(Users.tenant_id == TENANT, Users.id == asked.c.user_id), "known")
    skills = select(Skills.status, Skills.updated_at, Skills.published_version)
    skill = look_up(skills.where(Skills.tenant_id == TENANT, Skills.id == asked.c.skill_id), "shown")
    version = skill.c.published_version
    # Not now(), which is when the transaction began: a version committed after that moment may be in our snapshot.
    clock = func.clock_timestamp(type_=MOMENT)
    return (
        select(
            TENANT.label("tenant_id"),
            asked.c.user_id,
            asked.c.skill_id,
            func.least(func.coalesce(asked.c.viewed_at, clock), clock).label("last_viewed_at"),
            # least() would turn an unknown version into the published one.
            case(
                (asked.c.version <= version, asked.c.version),
                (asked.c.version > version, version),
            ).label("last_viewed_version"),
            asked.c.view_count,
            *skill.c,
        )
        .select_from(asked)
        .join(user, true())
        .join(skill, true())
        .where(is_published(skill.c))
        # One order for all writers, so that two batches never wait for each other in a circle.
        .order_by(asked.c.user_id, asked.c.skill_id)
    )


def _upsert() -> Statement:
    seen = _clamped_views().cte("seen")
    fields = ["tenant_id", "user_id", "skill_id", "last_viewed_at", "last_viewed_version", "view_count"]
    new = insert(UserSkillViews).from_select(fields, select(*(seen.c[field] for field in fields)))
    # greatest() passes over NULL: an unknown version never erases a known one.
    recorded = new.on_conflict_do_update(
        constraint="user_skill_views_tenant_user_skill_unique",
        set_={
            "last_viewed_at": func.greatest(UserSkillViews.last_viewed_at, new.excluded.last_viewed_at),
            "last_viewed_version": func.greatest(UserSkillViews.last_viewed_version, new.excluded.last_viewed_version),
            "view_count": UserSkillViews.view_count + new.excluded.view_count,
        },
    )
    # As it was before: no part of a statement sees what another writes.
    known = select(UserSkillViews.last_viewed_version).where(
        UserSkillViews.tenant_id == TENANT,
        UserSkillViews.user_id == seen.c.user_id,
        UserSkillViews.skill_id == seen.c.skill_id,
    )
    is_behind = and_(is_updated(seen.c, seen.c), known.scalar_subquery().is_(None))
    return Statement(select(seen.c.user_id, seen.c.skill_id, is_behind).add_cte(recorded.cte("recorded")))


RECORD_VIEWS = _upsert()

_REFERENCES = {
    "user_skill_views_tenant_id_fkey": "tenant",
    "user_skill_views_tenant_id_user_id_fkey": "user",
    "user_skill_views_tenant_id_skill_id_fkey": "skill",
}

_JSON = msgspec.json.Encoder()


class Lookup(Struct, frozen=True):
    """Some skills that one user is asked about. `place` is the lookup's among those that are asked with it."""

    place: int
    user_id: str
    skill_ids: Sequence[str]


def encode_lookups(lookups: Sequence[Lookup]) -> str:
    """Lookups as ASKED takes them."""
    return _JSON.encode(lookups).decode()


async def find_views(connection: TenantConnection, lookups: Sequence[Lookup]) -> list[dict[str, UserSkillView]]:
    """For each lookup, in its place, the user's views by skill id; a skill never viewed is not in it."""
    found: list[dict[str, UserSkillView]] = [{} for _ in lookups]
    for place, *fields in await connection.fetch(FIND_VIEWS, lookups=encode_lookups(lookups)):
        view = UserSkillView(*fields)
        found[place][view.skill_id] = view
    return found


async def find_updated(connection: TenantConnection, lookups: Sequence[Lookup]) -> list[set[str]]:
    """For each lookup, in its place, which of its skills are updated for the user (S1)."""
    found: list[set[str]] = [set() for _ in lookups]
    for place, skill_id in await connection.fetch(FIND_UPDATED, lookups=encode_lookups(lookups)):
        found[place].add(skill_id)
    return found


async def find_states(connection: TenantConnection, lookups: Sequence[Lookup]) -> list[dict[str, ViewState]]:
    """Both at once: for each lookup, in its place, the user's views by skill id, each with its badge."""
    found: list[dict[str, ViewState]] = [{} for _ in lookups]
    for place, skill_id, *fields in await connection.fetch(FIND_STATES, lookups=encode_lookups(lookups)):
        found[place][skill_id] = ViewState(skill_id, *fields)
    return found


async def record_views(connection: TenantConnection, views: Sequence[NewUserSkillView]) -> dict[ViewKey, str]:
    """Records views in one upsert, those of one user and skill as one; times and versions never go back (S4).

    Returns, for those that could not be recorded, what this tenant does not have: "tenant", "user" or "skill".
    """
    folded = fold_views(views)
    recorded = await _upsert_views(connection, list(folded.values()))
    # The first look at a skill was at an older state of it: that is news to the user, and nothing changed.
    behind = {user_id for (user_id, _), is_behind in recorded.items() if is_behind}
    if behind:
        await take_back(connection, behind)
    if len(recorded) == len(folded):
        return {}
    return await _find_what_is_missing(connection, folded.keys() - recorded.keys())


def what_was_deleted(error: asyncpg.ForeignKeyViolationError) -> str:
    """What a view refers to that was deleted after its statement had seen it: "tenant", "user" or "skill"."""
    return _REFERENCES[error.constraint_name or ""]


async def _upsert_views(connection: TenantConnection, views: Sequence[NewUserSkillView]) -> dict[ViewKey, bool]:
    """What was recorded, and whether it was the first known version, and no longer the published one."""
    rows = await connection.fetch(
        RECORD_VIEWS,
        user_ids=[view.user_id for view in views],
        skill_ids=[view.skill_id for view in views],
        viewed_ats=[view.last_viewed_at for view in views],
        versions=[view.last_viewed_version for view in views],
        view_counts=[view.view_count for view in views],
    )
    return {(user_id, skill_id): is_behind for user_id, skill_id, is_behind in rows}


async def _find_what_is_missing(connection: TenantConnection, keys: Collection[ViewKey]) -> dict[ViewKey, str]:
    rows = await connection.fetch(
        FIND_WHAT_IS_MISSING, user_ids=[user_id for user_id, _ in keys], skill_ids=[skill_id for _, skill_id in keys]
    )
    return {(row["user_id"], row["skill_id"]): row["missing"] for row in rows}
