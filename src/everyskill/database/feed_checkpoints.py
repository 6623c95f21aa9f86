"""Remembers what is new to whom, so that a feed is not read twice from its beginning.

A checkpoint says that of all skills up to its `visible_at`, those in `waiting` alone are updated for the user; where it
has a `down_to`, only of updates later than that. It stays true, as a skill becomes updated for somebody in two ways
only: it changes or comes back, and then its own `visible_at` is later; or somebody's first look at it was at an older
state than what is published, and then recording that takes the checkpoint back. docs/decisions/0008 says why no order
of concurrent acts gets between the two.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Integer, and_, case, false, func, literal_column, null, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql import Select

from everyskill.database.scope import RECORDING, TenantConnection
from everyskill.database.statements import TENANT, Statement, parameter, parameters
from everyskill.schema import IS_PUBLISHED, FeedCheckpoints, Skills, UserSkillViews
from everyskill.schema.base import MILLISECONDS

# Looking this many skills up costs about as much as all else that a feed takes.
FEW = 64
# So many of a long feed are known beforehand: a few first pages.
MOST_WAITING = 32

_OF_USER = and_(FeedCheckpoints.tenant_id == TENANT, FeedCheckpoints.user_id == parameter("user_id"))
_OF_TENANT = and_(Skills.tenant_id == TENANT, IS_PUBLISHED)
_FEW = parameter("few", Integer)
_ONE: ColumnElement[int] = literal_column("1")
_NONE: ColumnElement[list[str]] = literal_column("'{}'::text[]")


class Checkpoint(Struct, frozen=True):
    """Of all skills up to `visible_at`, those in `waiting` alone are updated for the user, of updates after `down_to`.

    `resets` is how often the user's checkpoint had been taken back when this was found out.
    """

    visible_at: datetime | None
    waiting: list[str]
    down_to: datetime | None
    resets: int


class FeedState(Struct, frozen=True):
    """What there is to look at for a user's feed: all their views, or what changed since the checkpoint.

    `newest` is the latest `visible_at` of the tenant's skills.
    """

    has_few_views: bool
    has_few_changes: bool
    newest: datetime | None
    checkpoint: Checkpoint

    def reached(self, found: Sequence[tuple[str, datetime]], limit: int) -> Checkpoint:
        """The checkpoint that a feed proves: skills with their updates, newest first, not more than the limit."""
        is_cut = len(found) == limit
        # Of what has the time of the first that is left out, others may be missing too.
        down_to = found[-1][1] if is_cut else None
        waiting = [skill_id for skill_id, _ in (found[:-1] if is_cut else found)]
        return Checkpoint(self.newest, waiting, down_to, self.checkpoint.resets)


def _find_state() -> Statement:
    kept = FeedCheckpoints
    checkpoint = select(kept.visible_at, kept.waiting, kept.down_to, kept.resets).where(_OF_USER).subquery("checkpoint")
    views = select(_ONE).where(UserSkillViews.tenant_id == TENANT, UserSkillViews.user_id == parameter("user_id"))
    changes = select(_ONE).where(_OF_TENANT, Skills.visible_at > checkpoint.c.visible_at).correlate(checkpoint)
    newest = select(func.max(Skills.visible_at)).where(_OF_TENANT)
    return Statement(
        select(
            _is_few(views),
            and_(checkpoint.c.visible_at.is_not(None), _is_few(changes)),
            newest.scalar_subquery(),
            checkpoint.c.visible_at,
            func.coalesce(checkpoint.c.waiting, _NONE),
            checkpoint.c.down_to,
            func.coalesce(checkpoint.c.resets, literal_column("0")),
        )
        .select_from(select(_ONE).subquery("always"))
        .outerjoin(checkpoint, true())
    )


def _is_few(rows: Select[*tuple[Any, ...]]) -> ColumnElement[bool]:
    # Counted no further than to one more.
    counted = select(func.count()).select_from(rows.limit(_FEW + _ONE).subquery())
    is_few: ColumnElement[bool] = counted.scalar_subquery() <= _FEW
    return is_few


def _remember() -> Statement:
    new = insert(FeedCheckpoints).values(
        tenant_id=TENANT,
        user_id=parameter("user_id"),
        visible_at=parameter("visible_at", MILLISECONDS),
        waiting=parameters("waiting"),
        down_to=parameter("down_to", MILLISECONDS),
        resets=parameter("resets", Integer),
    )
    return Statement(
        new.on_conflict_do_update(
            constraint="feed_checkpoints_pkey",
            set_={name: new.excluded[name] for name in ("visible_at", "waiting", "down_to")},
            # Else it was taken back while the feed was read.
            where=FeedCheckpoints.resets == new.excluded.resets,
        )
    )


def _take_back() -> Statement:
    users = func.unnest(parameters("user_ids")).column_valued("user_id")
    # One order for all writers, so that no two wait for each other in a circle.
    new = insert(FeedCheckpoints).from_select(
        ["tenant_id", "user_id", "resets"], select(TENANT, users, _ONE).order_by(users)
    )
    return Statement(
        new.on_conflict_do_update(
            constraint="feed_checkpoints_pkey",
            set_={"visible_at": null(), "waiting": _NONE, "resets": FeedCheckpoints.resets + _ONE},
        )
    )


FIND_STATE = _find_state()
REMEMBER = _remember()
TAKE_BACK = _take_back()

# Who records holds the lock shared, from before the statement to the commit; so this is true while nobody does.
_RECORDING = func.hashtextextended(func.concat(RECORDING, TENANT), 0)
NOBODY_RECORDS = case((func.pg_try_advisory_lock(_RECORDING), func.pg_advisory_unlock(_RECORDING)), else_=false())


async def find_state(connection: TenantConnection, user_id: str) -> FeedState:
    """What there is to look at for the user's feed."""
    [row] = await connection.fetch(FIND_STATE, user_id=user_id, few=FEW)
    has_few_views, has_few_changes, newest, *checkpoint = row
    return FeedState(has_few_views, has_few_changes, newest, Checkpoint(*checkpoint))


async def remember(connection: TenantConnection, user_id: str, checkpoint: Checkpoint) -> None:
    """Keeps a checkpoint, unless the user's was taken back since."""
    await connection.fetch(
        REMEMBER,
        user_id=user_id,
        visible_at=checkpoint.visible_at,
        waiting=checkpoint.waiting,
        down_to=checkpoint.down_to,
        resets=checkpoint.resets,
    )


async def take_back(connection: TenantConnection, user_ids: Collection[str]) -> None:
    """Forgets these users' checkpoints, also those that are just being made."""
    await connection.fetch(TAKE_BACK, user_ids=list(user_ids))
