"""Asks for the What's New feed, counts it, and marks it as seen."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from msgspec import Struct
from sqlalchemy import ColumnElement, Integer, and_, exists, func, literal_column, or_, select, text, true, update
from sqlalchemy.sql import Select

from everyskill.database.feed_checkpoints import MOST_WAITING, NOBODY_RECORDS, START, Checkpoint, Start
from everyskill.database.scope import TenantConnection, recording_key
from everyskill.database.statements import TENANT, Statement, look_up, parameter
from everyskill.database.user_skill_views import OF_USER
from everyskill.model.whats_new import FeedCursor, WhatsNewItem
from everyskill.schema import (
    IN_WINDOW,
    IS_PUBLISHED,
    IS_UPDATED,
    VIEWS,
    Skills,
    Users,
    UserSkillViews,
    is_updated,
)
from everyskill.schema.base import MILLISECONDS, MOMENT

# Counting costs as much as walking; beyond this it says nothing that would be worth it.
_COUNTED: ColumnElement[int] = literal_column("1000")

_AFTER = and_(
    # Implied by the next line; said on its own it lets the index start at the cursor.
    Skills.updated_at <= parameter("after_updated_at", MILLISECONDS),
    or_(
        Skills.updated_at < parameter("after_updated_at", MILLISECONDS),
        Skills.id > parameter("after_skill_id"),
    ),
)


def _walk_views(*conditions: ColumnElement[bool]) -> tuple[Select[*tuple[Any, ...]], Any, Any]:
    """The user's rows, and to each its skill: the question, and where it has the columns of skills and of views."""
    skills = select(Skills.id, Skills.name, Skills.slug, Skills.category, Skills.status, Skills.updated_at)
    skills = skills.add_columns(Skills.published_version).where(Skills.tenant_id == TENANT, *conditions)
    skill = look_up(skills.where(Skills.id == UserSkillViews.skill_id), "shown")
    rows = select().select_from(UserSkillViews).join(skill, true())
    return rows.where(OF_USER, is_updated(UserSkillViews, skill.c)), skill.c, UserSkillViews


def _walk_updates(*conditions: ColumnElement[bool]) -> tuple[Select[*tuple[Any, ...]], Any, Any]:
    """The updates of the window, newest first, and to each the user's row."""
    views = select(UserSkillViews.last_viewed_at, UserSkillViews.last_viewed_version, UserSkillViews.view_count)
    view = look_up(views.where(OF_USER, UserSkillViews.skill_id == Skills.id), "viewed")
    rows = select().select_from(Skills).join(view, true())
    conditions = (Skills.tenant_id == TENANT, IS_PUBLISHED, *conditions)
    return rows.where(*conditions, is_updated(view.c, Skills)), Skills, view.c


class Walk(Struct, frozen=True):
    """One way through the feed: its first page, a page behind a cursor, and its length."""

    first: Statement
    after: Statement
    count: Statement


_Path: TypeAlias = Callable[..., tuple[Select[*tuple[Any, ...]], Any, Any]]


def _walk(path: _Path) -> Walk:
    first, after = (_page(*path(IN_WINDOW, *conditions)) for conditions in ((), (_AFTER,)))
    rows, _, _ = path(IN_WINDOW)
    return Walk(Statement(first), Statement(after), Statement(rows.add_columns(func.count())))


def _page(rows: Select[*tuple[Any, ...]], skill: Any, view: Any) -> Select[*tuple[Any, ...]]:
    return (
        rows.add_columns(skill.id, skill.name, skill.slug, skill.category, skill.updated_at)
        .add_columns(view.last_viewed_at, view.view_count)
        .order_by(skill.updated_at.desc(), skill.id)
        .limit(parameter("limit", Integer))
    )


BY_VIEWS, BY_UPDATES = _walk(_walk_views), _walk(_walk_updates)


def _choose(*beside: ColumnElement[Any]) -> Statement:
    views = select(UserSkillViews.skill_id).where(OF_USER).limit(_COUNTED).subquery("views")
    updates = select(Skills.id).where(Skills.tenant_id == TENANT, IS_PUBLISHED, IN_WINDOW)
    # In the order of the index that is to be walked: without statistics another looks as good.
    updates = updates.order_by(Skills.updated_at.desc()).limit(_COUNTED)
    counts = (select(func.count()).select_from(side).scalar_subquery() for side in (views, updates.subquery("updates")))
    return Statement(select(next(counts) < next(counts), *beside))


CHOOSE, CHOOSE_AND_START = _choose(), _choose(NOBODY_RECORDS, *START)


def _mark_all_seen() -> Statement:
    # Not rounded to the millisecond as stored moments are: see visibility.py for why the exact moment compares right.
    as_of = parameter("as_of", MOMENT)
    stale = (
        select(UserSkillViews.id, Skills.published_version)
        .join(Skills, VIEWS)
        .where(OF_USER, Skills.tenant_id == TENANT, IS_UPDATED, Skills.updated_at <= as_of)
        # The order in which batches of views lock their rows, so that neither waits for the other in a circle.
        .order_by(UserSkillViews.skill_id)
        .with_for_update(of=UserSkillViews, key_share=True)
        .cte("stale")
    )
    moved = (
        update(UserSkillViews)
        .where(UserSkillViews.tenant_id == TENANT, UserSkillViews.id == stale.c.id)
        .values(
            last_viewed_at=func.greatest(
                UserSkillViews.last_viewed_at, func.least(as_of, func.clock_timestamp(type_=MOMENT))
            ),
            last_viewed_version=func.greatest(UserSkillViews.last_viewed_version, stale.c.published_version),
        )
        .returning(text("1"))
        .cte("moved")
    )
    has_user = exists().where(Users.tenant_id == TENANT, Users.id == parameter("user_id"))
    return Statement(select(select(func.count()).select_from(moved).scalar_subquery(), has_user))


MARK_ALL_SEEN = _mark_all_seen()


async def walk_feed(
    connection: TenantConnection, user_id: str, *, limit: int
) -> tuple[list[WhatsNewItem], Checkpoint | None]:
    """The user's updated skills of the last 30 days, newest first (S7), and the checkpoint that this proves, if any."""
    key = recording_key(connection.tenant_id, user_id)
    [row] = await connection.fetch(CHOOSE_AND_START, user_id=user_id, recording_key=key)
    has_fewer_views, nobody_records, *start = row
    walk = BY_VIEWS if has_fewer_views else BY_UPDATES
    enough = max(limit, MOST_WAITING) + 1 if nobody_records else limit
    items = [WhatsNewItem(*row) for row in await connection.fetch(walk.first, user_id=user_id, limit=enough)]
    return items[:limit], Checkpoint.reached(Start(*start), items, enough) if nobody_records else None


async def find_page_after(
    connection: TenantConnection, user_id: str, cursor: FeedCursor, *, limit: int
) -> list[WhatsNewItem]:
    """What comes behind a cursor in the user's feed."""
    walk = await choose_walk(connection, user_id)
    rows = await connection.fetch(
        walk.after,
        user_id=user_id,
        limit=limit,
        after_updated_at=cursor.updated_at,
        after_skill_id=cursor.skill_id,
    )
    return [WhatsNewItem(*row) for row in rows]


async def count_whats_new(connection: TenantConnection, user_id: str) -> int:
    """How many items the whole feed has."""
    walk = await choose_walk(connection, user_id)
    return int(await connection.fetch_value(walk.count, user_id=user_id))


async def choose_walk(connection: TenantConnection, user_id: str) -> Walk:
    """The user's rows, or the recent updates: whichever is fewer.

    Counted here, as the planner knows only the average user. Where there are many of both, the updates, which come in
    the order of the feed and end at its limit.
    """
    return BY_VIEWS if await connection.fetch_value(CHOOSE, user_id=user_id) else BY_UPDATES


async def mark_all_seen(connection: TenantConnection, user_id: str, as_of: datetime) -> tuple[int, bool]:
    """Moves the user's stale views up to a list's moment (S8): how many, and whether there is such a user."""
    row = await connection.fetch_row(MARK_ALL_SEEN, user_id=user_id, as_of=as_of)
    moved, has_user = row if row is not None else (0, False)
    return moved, has_user
