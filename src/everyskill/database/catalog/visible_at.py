"""Orders the moments at which changes become visible: who sees one change of a tenant sees all with earlier moments.

1. The problem: a publication takes a moment, writes it as `visible_at` and commits; until then nobody sees the change.
   A list that is read in between misses it, and marking that list as seen must not lose it.
2. The lock: a publication takes its moment under the tenant's advisory lock and holds that to its commit. So changes
   become visible in the order of their moments, and the greatest that a list sees is its own moment: what it missed is
   later. A clock that is set back turns nothing round, as a moment is later than all `visible_at` of the tenant.
3. The next millisecond: stored moments are rounded (S13). So a publication takes the millisecond after the rounded
   clock, and waits until that has come: it is later than every stored view before it, and not later than what follows.

`everyskill_allocate_visible_at` of migration 0043 does this, for other programs' changes too (docs/decisions/0002).
"""

from datetime import datetime

from everyskill.database.statements import Statement
from everyskill.database.transactions import TenantConnection

_LOCK = "hashtextextended('everyskill:visible_at:' || :tenant_id::text, 0)"

# Whether somebody holds the lock; it is tried for, shared, and let go at once.
SOMEBODY_PUBLISHES = (
    f"CASE WHEN pg_try_advisory_lock_shared({_LOCK}) THEN NOT pg_advisory_unlock_shared({_LOCK}) ELSE true END"
)

# The moment of this transaction's change, by skills_visible_idx.
ALLOCATE_VISIBLE_AT = Statement("SELECT public.everyskill_allocate_visible_at(:tenant_id)")

# The greatest moment that this statement sees, by skills_visible_idx.
READ_LIST_MOMENT = Statement("""
    SELECT coalesce(max(s.visible_at), 'epoch') FROM skills AS s WHERE s.tenant_id = :tenant_id
""")

# The clock. From the tenant's row, by tenants_pkey, only because every statement names its tenant.
READ_CLOCK = Statement("SELECT clock_timestamp() FROM tenants WHERE tenants.id = :tenant_id")


async def allocate_visible_at(connection: TenantConnection) -> datetime:
    """The moment at which what this transaction publishes becomes visible. Publishers of a tenant queue up here."""
    moment: datetime = await connection.fetch_value(ALLOCATE_VISIBLE_AT)
    return moment


async def read_list_moment(connection: TenantConnection) -> datetime:
    """The moment of a list that is read next in this transaction: what it misses has a later one."""
    moment: datetime = await connection.fetch_value(READ_LIST_MOMENT)
    return moment


async def read_clock(connection: TenantConnection) -> datetime:
    """The time by the database's clock."""
    moment: datetime = await connection.fetch_value(READ_CLOCK)
    return moment
