"""Orders the moments at which changes become visible against the moments of the lists that show them.

A publisher takes a moment, writes it as `updated_at` and commits; until then nobody sees the change. A list read in
between misses it, though the list is the younger of the two, and marking that list as seen would lose the change. So a
publisher takes its moment under the tenant's exclusive lock and holds that to its commit, and the moment of a list is
taken under the shared lock. What is stored is rounded to the millisecond, so a publisher takes the one after the
rounded clock and waits for it: then its moment is later than that of every list and every stored view before it, and
not later than that of any that come after its commit.
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

# The clock, by one row of tenants_pkey.
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
