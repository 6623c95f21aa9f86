"""Orders the moments at which changes become visible against the moments of lists (their `as_of`).

1. The problem: a publication takes a moment, writes it as `updated_at` and commits; until then nobody sees the change.
   A list that is read in between misses it although its moment is later, and marking that list as seen would lose the
   change.
2. The lock: a publication takes its moment under the tenant's exclusive advisory lock and holds that to its commit; the
   moment of a list is taken under the same lock, shared. So a list either waits for a publication or is earlier.
3. The next millisecond: stored moments are rounded (S13). So a publication takes the millisecond after the rounded
   clock, which is later than the moment of every list and every stored view before it.
4. The sleep: it waits until that millisecond has come, so that its moment is not later than what follows its commit.
"""

from datetime import datetime

from everyskill.database.statements import Statement
from everyskill.database.transactions import TenantConnection

_LOCK = "hashtextextended('everyskill:visible_at:' || :tenant_id::text, 0)"

# The next millisecond, once it has come, under the exclusive lock; reads no table.
# CASE makes PostgreSQL read the clock only when it has the lock.
ALLOCATE_VISIBLE_AT = Statement(f"""
    SELECT taken.moment, pg_sleep_until(taken.moment)
      FROM (SELECT CASE WHEN pg_advisory_xact_lock({_LOCK}) IS NOT NULL
                        THEN clock_timestamp()::timestamptz(3) + interval '1 millisecond'
                    END AS moment
           ) AS taken
""")

# The clock under the shared lock; reads no table.
READ_LIST_MOMENT = Statement(f"""
    SELECT CASE WHEN pg_advisory_xact_lock_shared({_LOCK}) IS NOT NULL THEN clock_timestamp() END
""")

# The clock. From the tenant's row, by tenants_pkey, only because every statement names its tenant.
READ_CLOCK = Statement("SELECT clock_timestamp() FROM tenants WHERE tenants.id = :tenant_id")


async def allocate_visible_at(connection: TenantConnection) -> datetime:
    """The moment at which what this transaction publishes becomes visible. Publishers of a tenant queue up here."""
    moment: datetime = await connection.fetch_value(ALLOCATE_VISIBLE_AT)
    return moment


async def read_list_moment(connection: TenantConnection) -> datetime:
    """The moment of a list that is read next in this transaction: what it misses becomes visible after it."""
    moment: datetime = await connection.fetch_value(READ_LIST_MOMENT)
    return moment


async def read_clock(connection: TenantConnection) -> datetime:
    """The time by the database's clock."""
    moment: datetime = await connection.fetch_value(READ_CLOCK)
    return moment
