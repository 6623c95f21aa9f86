"""Saves what a walk read completely, so that a feed is not read twice from its beginning.

A checkpoint says: of all skills up to its `visible_at`, those in `pending_skill_ids` alone are updated for the user;
where it has a `complete_above`, only of updates later than that. It stays true, as a skill becomes updated for somebody
in two ways only: it changes or is restored, and then its own `visible_at` is later; or somebody's first view was of
an older state than what is published, and then recording that view invalidates the checkpoint.
docs/decisions/0008 says why no order of concurrent acts gets between the two.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from msgspec import Struct

from everyskill.database.statements import Statement, row_reader
from everyskill.database.transactions import TenantConnection, recording_lock
from everyskill.model.whats_new import WhatsNewItem

# Where a checkpoint would begin: the newest `visible_at` (skills_visible_idx), and the token of the user's row
# (feed_checkpoints_pkey). Whoever records views of the user holds the lock, shared, from before its snapshot to its
# commit. Where it can be had here, and it is released at once, no such transaction is open, and whatever was recorded
# before is in this statement's snapshot.
READ_START = Statement("""
    SELECT CASE WHEN pg_try_advisory_lock(:recording_lock::bigint) THEN pg_advisory_unlock(:recording_lock)
                ELSE false END AS nobody_records,
           (SELECT max(skills.visible_at) FROM skills WHERE skills.tenant_id = :tenant_id) AS visible_at,
           (SELECT feed_checkpoints.token
              FROM feed_checkpoints
             WHERE feed_checkpoints.tenant_id = :tenant_id AND feed_checkpoints.user_id = :user_id) AS token
""")

# Makes a row for the next feed to save in, in feed_checkpoints_pkey.
OPEN = Statement(
    "INSERT INTO feed_checkpoints (tenant_id, user_id) VALUES (:tenant_id, :user_id) ON CONFLICT DO NOTHING"
)

# Saves a checkpoint, by feed_checkpoints_pkey. With another token, or no row, it was invalidated or deleted meanwhile.
SAVE = Statement("""
    UPDATE feed_checkpoints
       SET visible_at = :visible_at, pending_skill_ids = :pending_skill_ids, complete_above = :complete_above
     WHERE feed_checkpoints.tenant_id = :tenant_id AND feed_checkpoints.user_id = :user_id AND token = :token
""")

# Empties checkpoints, by feed_checkpoints_pkey, locked in one order, so that no two writers deadlock.
INVALIDATE = Statement("""
    WITH held AS (
        SELECT feed_checkpoints.user_id
          FROM feed_checkpoints
         WHERE feed_checkpoints.tenant_id = :tenant_id AND feed_checkpoints.user_id = ANY (:user_ids)
         ORDER BY feed_checkpoints.user_id
           FOR NO KEY UPDATE
    )
    UPDATE feed_checkpoints
       SET visible_at = NULL, pending_skill_ids = '{}', complete_above = NULL, token = gen_random_uuid()
      FROM held
     WHERE feed_checkpoints.tenant_id = :tenant_id AND feed_checkpoints.user_id = held.user_id
""")


class Start(Struct, frozen=True):
    """Where a checkpoint would begin: the newest `visible_at`, and the token of the user's row, if there is one."""

    visible_at: datetime | None
    token: str | None


class Checkpoint(Struct, frozen=True):
    """Of all skills up to `visible_at`, the pending ones alone are updated, of updates later than `complete_above`.

    `token` is the row's from before this was proved.
    """

    visible_at: datetime | None
    pending_skill_ids: list[str]
    complete_above: datetime | None
    token: str | None

    @classmethod
    def proven_by(cls, start: Start, items: Sequence[WhatsNewItem], limit: int) -> "Checkpoint | None":
        """What a feed proves that was read from its first item, and not beyond the limit."""
        if len(items) < limit:
            return cls(start.visible_at, [item.skill_id for item in items], None, start.token)
        # Of updates at the time of the first item that is left out, others may be missing too.
        complete_above = items[-1].updated_at
        pending = [item.skill_id for item in items if item.updated_at > complete_above]
        return cls(start.visible_at, pending, complete_above, start.token) if pending else None


_read_start = row_reader(Start)


async def read_start(connection: TenantConnection, user_id: str) -> Start | None:
    """Where a checkpoint of the user would begin; None while somebody records a view of the user."""
    lock = recording_lock(connection.tenant_id, user_id)
    [row] = await connection.fetch(READ_START, user_id=user_id, recording_lock=lock)
    return _read_start(row) if row["nobody_records"] else None


async def save(connection: TenantConnection, user_id: str, proven: Checkpoint) -> None:
    """Saves a checkpoint, unless the user's was invalidated since; where there was no row, makes one for the next."""
    if proven.token is None:
        await connection.execute(OPEN, user_id=user_id)
        return
    await connection.execute(
        SAVE,
        user_id=user_id,
        visible_at=proven.visible_at,
        pending_skill_ids=proven.pending_skill_ids,
        complete_above=proven.complete_above,
        token=proven.token,
    )


async def invalidate(connection: TenantConnection, user_ids: Collection[str]) -> None:
    """Empties these users' checkpoints, and keeps those that are just being proved from being saved."""
    await connection.execute(INVALIDATE, user_ids=list(user_ids))
