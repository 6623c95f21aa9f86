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
from sqlalchemy import BigInteger, ColumnElement, and_, any_, case, false, func, literal_column, null, select, update
from sqlalchemy.dialects.postgresql import insert

from everyskill.database.scope import TenantConnection
from everyskill.database.statements import TENANT, Statement, parameter, parameters
from everyskill.model.whats_new import WhatsNewItem
from everyskill.schema import FeedCheckpoints, Skills
from everyskill.schema.base import MILLISECONDS

# So many of a long feed are known beforehand: a few first pages.
MOST_WAITING = 32


class Start(Struct, frozen=True):
    """Where a checkpoint would begin: the newest `visible_at`, and the token of the user's row, if there is one."""

    newest: datetime | None
    token: str | None


class Checkpoint(Struct, frozen=True):
    """Of all skills up to `visible_at`, those in `waiting` alone are updated for the user, of updates after `down_to`.

    `token` is the row's from before this was found out.
    """

    visible_at: datetime | None
    waiting: list[str]
    down_to: datetime | None
    token: str | None

    @classmethod
    def reached(cls, start: Start, items: Sequence[WhatsNewItem], limit: int) -> "Checkpoint | None":
        """What a feed proves that was read from its first item, and not beyond the limit."""
        if len(items) < limit:
            return cls(start.newest, [item.skill_id for item in items], None, start.token)
        # Of what has the time of the first that is left out, others may be missing too.
        down_to = items[-1].updated_at
        waiting = [item.skill_id for item in items if item.updated_at > down_to]
        return cls(start.newest, waiting, down_to, start.token) if waiting else None


_OF_USER = and_(FeedCheckpoints.tenant_id == TENANT, FeedCheckpoints.user_id == parameter("user_id"))

OPEN = Statement(
    insert(FeedCheckpoints).values(tenant_id=TENANT, user_id=parameter("user_id")).on_conflict_do_nothing()
)
REMEMBER = Statement(
    update(FeedCheckpoints)
    # Else it was taken back, or thrown away, while the feed was read.
    .where(_OF_USER, FeedCheckpoints.token == parameter("token"))
    .values(
        visible_at=parameter("visible_at", MILLISECONDS),
        waiting=parameters("waiting"),
        down_to=parameter("down_to", MILLISECONDS),
    )
)


def _take_back() -> Statement:
    # One order for all writers, so that no two wait for each other in a circle.
    held = (
        select(FeedCheckpoints.user_id)
        .where(FeedCheckpoints.tenant_id == TENANT, FeedCheckpoints.user_id == any_(parameters("user_ids")))
        .order_by(FeedCheckpoints.user_id)
        .with_for_update(key_share=True)
        .cte("held")
    )
    return Statement(
        update(FeedCheckpoints)
        .where(FeedCheckpoints.tenant_id == TENANT, FeedCheckpoints.user_id == held.c.user_id)
        .values(visible_at=null(), waiting=literal_column("'{}'::text[]"), down_to=null(), token=func.gen_random_uuid())
    )


TAKE_BACK = _take_back()

# Who records views of a user holds the lock, shared, from before the statement to the commit; here it is tried for and
# let go at once. True if nobody did, after the snapshot in which the statement reads the columns of a Start.
_KEY = parameter("recording_key", BigInteger)
NOBODY_RECORDS = case((func.pg_try_advisory_lock(_KEY), func.pg_advisory_unlock(_KEY)), else_=false())
START: tuple[ColumnElement[Any], ...] = (
    select(func.max(Skills.visible_at)).where(Skills.tenant_id == TENANT).scalar_subquery(),
    select(FeedCheckpoints.token).where(_OF_USER).scalar_subquery(),
)


async def remember(connection: TenantConnection, user_id: str, found: Checkpoint) -> None:
    """Keeps a checkpoint, unless the user's was taken back since; where there was no row, makes one for the next."""
    if found.token is None:
        await connection.fetch(OPEN, user_id=user_id)
        return
    await connection.fetch(
        REMEMBER,
        user_id=user_id,
        visible_at=found.visible_at,
        waiting=found.waiting,
        down_to=found.down_to,
        token=found.token,
    )


async def take_back(connection: TenantConnection, user_ids: Collection[str]) -> None:
    """Forgets these users' checkpoints, also those that are just being made."""
    await connection.fetch(TAKE_BACK, user_ids=list(user_ids))
