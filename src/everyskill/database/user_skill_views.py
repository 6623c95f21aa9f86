"""Asks about and records views: the statements that stand on every page view."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Integer, Text, and_, any_, case, column, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql import Select

from everyskill.database.scope import TenantConnection
from everyskill.database.statements import TENANT, Statement, parameter, parameters
from everyskill.model.views import NewUserSkillView, UserSkillView
from everyskill.schema import (
    IS_PUBLISHED,
    IS_UPDATED,
    PUBLISHES,
    VIEWS,
    Skills,
    SkillVersions,
    Tenants,
    Users,
    UserSkillViews,
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
_OF_SKILLS = UserSkillViews.skill_id == any_(parameters("skill_ids"))

FIND_VIEWS = Statement(select(*VIEW_FIELDS).where(OF_USER, _OF_SKILLS))

FIND_UPDATED = Statement(
    select(UserSkillViews.skill_id)
    .join(Skills, VIEWS)
    .outerjoin(SkillVersions, PUBLISHES)
    .where(OF_USER, _OF_SKILLS, Skills.tenant_id == TENANT, IS_UPDATED)
)

FIND_WHAT_IS_MISSING = Statement(
    select(
        exists().where(Tenants.id == TENANT).label("tenant"),
        exists().where(Users.tenant_id == TENANT, Users.id == parameter("user_id")).label("user"),
        exists().where(Skills.tenant_id == TENANT, Skills.id == parameter("skill_id"), IS_PUBLISHED).label("skill"),
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
    # Not now(), which is when the transaction began: a version committed after that moment may be in our snapshot.
    clock = func.clock_timestamp(type_=MOMENT)
    return (
        select(
            TENANT,
            asked.c.user_id,
            asked.c.skill_id,
            func.least(func.coalesce(asked.c.viewed_at, clock), clock),
            # least() would turn an unknown version into the published one.
            case(
                (asked.c.version <= SkillVersions.version, asked.c.version),
                (asked.c.version > SkillVersions.version, SkillVersions.version),
            ),
            asked.c.view_count,
        )
        .select_from(asked)
        .join(Users, and_(Users.tenant_id == TENANT, Users.id == asked.c.user_id))
        .join(Skills, and_(Skills.tenant_id == TENANT, Skills.id == asked.c.skill_id, IS_PUBLISHED))
        .outerjoin(SkillVersions, PUBLISHES)
        # One order for all writers, so that two batches never wait for each other in a circle.
        .order_by(asked.c.user_id, asked.c.skill_id)
    )


def _upsert() -> Statement:
    fields = ["tenant_id", "user_id", "skill_id", "last_viewed_at", "last_viewed_version", "view_count"]
    new = insert(UserSkillViews).from_select(fields, _clamped_views())
    # greatest() passes over NULL: an unknown version never erases a known one.
    return Statement(
        new.on_conflict_do_update(
            constraint="user_skill_views_tenant_user_skill_unique",
            set_={
                "last_viewed_at": func.greatest(UserSkillViews.last_viewed_at, new.excluded.last_viewed_at),
                "last_viewed_version": func.greatest(
                    UserSkillViews.last_viewed_version, new.excluded.last_viewed_version
                ),
                "view_count": UserSkillViews.view_count + new.excluded.view_count,
            },
        ).returning(UserSkillViews.user_id, UserSkillViews.skill_id)
    )


RECORD_VIEWS = _upsert()


async def find_views(connection: TenantConnection, user_id: str, skill_ids: Sequence[str]) -> dict[str, UserSkillView]:
    """The user's views of these skills, by skill id; a skill never viewed is not in it."""
    rows = await connection.fetch(FIND_VIEWS, user_id=user_id, skill_ids=skill_ids)
    return {row["skill_id"]: UserSkillView(*row) for row in rows}


async def find_updated(connection: TenantConnection, user_id: str, skill_ids: Sequence[str]) -> set[str]:
    """Which of these skills are updated for the user (S1)."""
    rows = await connection.fetch(FIND_UPDATED, user_id=user_id, skill_ids=skill_ids)
    return {row["skill_id"] for row in rows}


async def record_views(connection: TenantConnection, views: Sequence[NewUserSkillView]) -> set[tuple[str, str]]:
    """Records views in one upsert, at most one a user and skill; returns the (user id, skill id) that were recorded.

    Left out are those whose user or visible skill this tenant does not have. Times and versions never go back (S4).
    """
    rows = await connection.fetch(
        RECORD_VIEWS,
        user_ids=[view.user_id for view in views],
        skill_ids=[view.skill_id for view in views],
        viewed_ats=[view.last_viewed_at for view in views],
        versions=[view.last_viewed_version for view in views],
        view_counts=[view.view_count for view in views],
    )
    return {(row["user_id"], row["skill_id"]) for row in rows}


async def find_what_is_missing(connection: TenantConnection, user_id: str, skill_id: str) -> str | None:
    """Why a view could not be recorded: "tenant", "user" or "skill"; None when all three are there."""
    row = await connection.fetch_row(FIND_WHAT_IS_MISSING, user_id=user_id, skill_id=skill_id)
    return next((name for name, is_there in (row or {}).items() if not is_there), None)
