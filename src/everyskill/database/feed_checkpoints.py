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
from sqlalchemy import ColumnElement, Integer, case, false, func, literal_column, null, select
from sqlalchemy.dialects.postgresql import insert

from everyskill.database.scope import RECORDING, TenantConnection
from everyskill.database.statements import TENANT, Statement, parameter, parameters
from everyskill.model.whats_new import WhatsNewItem
from everyskill.schema import IS_PUBLISHED, FeedCheckpoints, Skills
from everyskill.schema.base import MILLISECONDS

# So many of a long feed are known beforehand: a few first pages.
MOST_WAITING = 32

_ONE: ColumnElement[int] = literal_column("1")
_NONE: ColumnElement[list[str]] = literal_column("'{}'::text[]")


class Start(Struct, frozen=True):
    """Where a checkpoint would begin: the newest `visible_at`, and how often the user's was taken back before."""

    newest: datetime | None
    resets: int


class Checkpoint(Struct, frozen=True):
    """Of all skills up to `visible_at`, those in `waiting` alone are updated for the user, of updates after `down_to`.

    `resets` is how often the user's checkpoint had been taken back when this was found out.
    """

    visible_at: datetime | None
    waiting: list[str]
    down_to: datetime | None
    resets: int

    @classmethod
    def reached(cls, start: Start, items: Sequence[WhatsNewItem], limit: int) -> "Checkpoint":
        """What a feed proves that was read from its first item, and not beyond the limit."""
        is_cut = len(items) == limit
        # Of what has the time of the first that is left out, others may be missing too.
        down_to = items[-1].updated_at if is_cut else None
        waiting = [item.skill_id for item in (items[:-1] if is_cut else items)]
        return cls(start.newest, waiting, down_to, start.resets)


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


REMEMBER = _remember()
TAKE_BACK = _take_back()

# The columns of a Start, and whether nobody was recording views after the snapshot they were read in. Who records holds
# the lock shared, from before the statement to the commit; here it is tried for and let go at once.
_RECORDING = func.hashtextextended(func.concat(RECORDING, TENANT), 0)
NOBODY_RECORDS = case((func.pg_try_advisory_lock(_RECORDING), func.pg_advisory_unlock(_RECORDING)), else_=false())
START: tuple[ColumnElement[Any], ...] = (
    select(func.max(Skills.visible_at)).where(Skills.tenant_id == TENANT, IS_PUBLISHED).scalar_subquery(),
    func.coalesce(
        select(FeedCheckpoints.resets)
        .where(FeedCheckpoints.tenant_id == TENANT, FeedCheckpoints.user_id == parameter("user_id"))
        .scalar_subquery(),
        literal_column("0"),
    ),
)


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
