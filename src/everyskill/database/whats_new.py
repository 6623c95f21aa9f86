"""Asks for the What's New feed, counts it, and marks it as seen."""

from datetime import datetime, timedelta

from sqlalchemy import Integer, and_, exists, func, literal_column, or_, select, text, update
from sqlalchemy.sql import Select

from everyskill.database.scope import TenantConnection
from everyskill.database.statements import TENANT, Statement, parameter
from everyskill.database.user_skill_views import OF_USER
from everyskill.model.whats_new import WINDOW, FeedCursor, WhatsNewItem
from everyskill.schema import IS_UPDATED, PUBLISHES, VIEWS, Skills, SkillVersions, Users, UserSkillViews
from everyskill.schema.base import MILLISECONDS, MOMENT

# The window is about the change, never about the view. now() is stable, so the index on updates can start at it.
# In hours: a day of the session's time zone may have 23 or 25.
_IN_WINDOW = Skills.updated_at >= func.now(type_=MOMENT) - literal_column(
    f"interval '{WINDOW // timedelta(hours=1)} hours'"
)

_AFTER = and_(
    # Implied by the next line; said on its own it lets the index start at the cursor.
    Skills.updated_at <= parameter("after_updated_at", MILLISECONDS),
    or_(
        Skills.updated_at < parameter("after_updated_at", MILLISECONDS),
        Skills.id > parameter("after_skill_id"),
    ),
)


def _feed() -> Select[str, str, str, str, datetime, datetime, int]:
    return (
        select(
            Skills.id,
            Skills.name,
            Skills.slug,
            Skills.category,
            Skills.updated_at,
            UserSkillViews.last_viewed_at,
            UserSkillViews.view_count,
        )
        .select_from(UserSkillViews)
        .join(Skills, VIEWS)
        .outerjoin(SkillVersions, PUBLISHES)
        .where(OF_USER, Skills.tenant_id == TENANT, IS_UPDATED, _IN_WINDOW)
        .order_by(Skills.updated_at.desc(), Skills.id)
        .limit(parameter("limit", Integer))
    )


FIND_WHATS_NEW = Statement(_feed())
FIND_WHATS_NEW_AFTER = Statement(_feed().where(_AFTER))
COUNT_WHATS_NEW = Statement(
    select(func.count())
    .select_from(UserSkillViews)
    .join(Skills, VIEWS)
    .outerjoin(SkillVersions, PUBLISHES)
    .where(OF_USER, Skills.tenant_id == TENANT, IS_UPDATED, _IN_WINDOW)
)


def _mark_all_seen() -> Statement:
    # Not rounded to the millisecond as stored moments are: see visibility.py for why the exact moment compares right.
    as_of = parameter("as_of", MOMENT)
    stale = (
        select(UserSkillViews.id, SkillVersions.version)
        .join(Skills, VIEWS)
        .outerjoin(SkillVersions, PUBLISHES)
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
            last_viewed_version=func.greatest(UserSkillViews.last_viewed_version, stale.c.version),
        )
        .returning(text("1"))
        .cte("moved")
    )
    has_user = exists().where(Users.tenant_id == TENANT, Users.id == parameter("user_id"))
    return Statement(select(select(func.count()).select_from(moved).scalar_subquery(), has_user))


MARK_ALL_SEEN = _mark_all_seen()


async def find_whats_new(
    connection: TenantConnection, user_id: str, *, limit: int, after: FeedCursor | None
) -> list[WhatsNewItem]:
    """The user's updated skills of the last 30 days, newest first, behind the cursor if there is one (S7)."""
    if after is None:
        rows = await connection.fetch(FIND_WHATS_NEW, user_id=user_id, limit=limit)
    else:
        rows = await connection.fetch(
            FIND_WHATS_NEW_AFTER,
            user_id=user_id,
            limit=limit,
            after_updated_at=after.updated_at,
            after_skill_id=after.skill_id,
        )
    return [WhatsNewItem(*row) for row in rows]


async def count_whats_new(connection: TenantConnection, user_id: str) -> int:
    """How many items the whole feed has."""
    return int(await connection.fetch_value(COUNT_WHATS_NEW, user_id=user_id))


async def mark_all_seen(connection: TenantConnection, user_id: str, as_of: datetime) -> tuple[int, bool]:
    """Moves the user's stale views up to a list's moment (S8): how many, and whether there is such a user."""
    row = await connection.fetch_row(MARK_ALL_SEEN, user_id=user_id, as_of=as_of)
    moved, has_user = row if row is not None else (0, False)
    return moved, has_user
