"""Asks for the feeds of several users at once, where few skills have to be looked at for each."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Integer, Text, and_, cast, column, func, literal_column, or_, select, true, union
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.sql import Select
from sqlalchemy.sql.selectable import LateralFromClause

from everyskill.database.scope import TenantConnection
from everyskill.database.statements import TENANT, Statement, look_up, parameter
from everyskill.model.whats_new import WhatsNewItem
from everyskill.schema import IN_WINDOW, IS_PUBLISHED, FeedCheckpoints, Skills, UserSkillViews, is_updated

# Looking this many skills up costs about as much as all else that a feed takes.
FEW = 64

_FEW = parameter("few", Integer)
_ONE: ColumnElement[int] = literal_column("1")
_ASKED = (
    func.json_to_recordset(cast(parameter("lookups"), JSON))
    .table_valued(column("place", Integer), column("user_id", Text), column("most", Integer))
    .render_derived(name="asked", with_types=True)
)
_OF_USER = and_(UserSkillViews.tenant_id == TENANT, UserSkillViews.user_id == _ASKED.c.user_id)
_SKILL_FIELDS = (
    Skills.id,
    Skills.name,
    Skills.slug,
    Skills.category,
    Skills.status,
    Skills.updated_at,
    Skills.published_version,
)
_VIEW_FIELDS = (UserSkillViews.last_viewed_at, UserSkillViews.last_viewed_version, UserSkillViews.view_count)


def _find_feeds() -> Statement:
    state = look_up(_state(), "state")
    first = look_up(_first(state), "first")
    return Statement(
        select(_ASKED.c.place, state.c.has_few_views, state.c.has_few_changes, state.c.down_to.is_(None), *first.c)
        .select_from(_ASKED)
        .join(state, true())
        .outerjoin(first, true())
        .order_by(_ASKED.c.place, first.c.updated_at.desc(), first.c.id)
    )


def _state() -> Select[*tuple[Any, ...]]:
    """What there is to look at: all of a user's views, or what changed since the user's checkpoint."""
    kept = FeedCheckpoints
    of_user = and_(kept.tenant_id == TENANT, kept.user_id == _ASKED.c.user_id)
    kept_rows = select(kept.visible_at, kept.waiting, kept.down_to).where(of_user).correlate(_ASKED)
    checkpoint = look_up(kept_rows, "checkpoint")
    views = select(_ONE).where(_OF_USER).correlate(_ASKED)
    changes = select(_ONE).where(Skills.tenant_id == TENANT, IS_PUBLISHED, Skills.visible_at > checkpoint.c.visible_at)
    return (
        select(
            _is_few(views).label("has_few_views"),
            and_(checkpoint.c.visible_at.is_not(None), _is_few(changes.correlate(checkpoint))).label("has_few_changes"),
            *checkpoint.c,
        )
        .select_from(select(_ONE).subquery("always"))
        .outerjoin(checkpoint, true())
    )


def _is_few(rows: Select[*tuple[Any, ...]]) -> ColumnElement[bool]:
    # Counted no further than to one more.
    counted = select(func.count()).select_from(rows.limit(_FEW + _ONE).subquery())
    is_few: ColumnElement[bool] = counted.scalar_subquery() <= _FEW
    return is_few


def _first(state: LateralFromClause) -> Select[*tuple[Any, ...]]:
    """The first items of a user's feed, of the skills that there are to look at."""
    views = select(UserSkillViews.skill_id).where(_OF_USER, state.c.has_few_views)
    changes = select(Skills.id).where(Skills.tenant_id == TENANT, IS_PUBLISHED, Skills.visible_at > state.c.visible_at)
    waiting = select(func.unnest(state.c.waiting))
    is_known = [~state.c.has_few_views, state.c.has_few_changes]
    ways = (views, changes.where(*is_known), waiting.where(*is_known))
    listed = union(*(way.correlate(_ASKED, state) for way in ways)).subquery("listed")
    skills = select(*_SKILL_FIELDS).where(
        Skills.tenant_id == TENANT,
        Skills.id == listed.c.skill_id,
        IN_WINDOW,
        or_(state.c.has_few_views, state.c.down_to.is_(None), Skills.updated_at > state.c.down_to),
    )
    shown = look_up(skills.correlate(state, listed), "shown")
    view = select(*_VIEW_FIELDS).where(_OF_USER, UserSkillViews.skill_id == shown.c.id)
    viewed = look_up(view.correlate(_ASKED, shown), "viewed")
    return (
        select(shown.c.id, shown.c.name, shown.c.slug, shown.c.category, shown.c.updated_at)
        .add_columns(viewed.c.last_viewed_at, viewed.c.view_count)
        .select_from(listed)
        .join(shown, true())
        .join(viewed, true())
        .where(is_updated(viewed.c, shown.c))
        .order_by(shown.c.updated_at.desc(), shown.c.id)
        .limit(_ASKED.c.most)
    )


FIND_FEEDS = _find_feeds()

_JSON = msgspec.json.Encoder()


class FeedLookup(Struct, frozen=True):
    """How many items of whose feed, at most. `place` is the lookup's among those that are asked with it."""

    place: int
    user_id: str
    most: int


def encode_lookups(lookups: Sequence[FeedLookup]) -> str:
    """Lookups as FIND_FEEDS takes them."""
    return _JSON.encode(lookups).decode()


async def find_feeds(connection: TenantConnection, lookups: Sequence[FeedLookup]) -> list[list[WhatsNewItem] | None]:
    """For each lookup, in its place, the first items of the feed (S7); None where many skills must be looked at."""
    feeds: list[list[WhatsNewItem]] = [[] for _ in lookups]
    may_go_on = [False for _ in lookups]
    rows = await connection.fetch(FIND_FEEDS, lookups=encode_lookups(lookups), few=FEW)
    for place, has_few_views, has_few_changes, is_whole, *item in rows:
        may_go_on[place] = not (has_few_views or (has_few_changes and is_whole))
        if item[0] is not None:
            feeds[place].append(WhatsNewItem(*item))
    return [
        None if may_go_on[lookup.place] and len(feed) < lookup.most else feed
        for lookup, feed in zip(lookups, feeds, strict=True)
    ]
