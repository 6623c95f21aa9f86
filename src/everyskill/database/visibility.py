"""Orders the moments at which changes become visible against the moments of the lists that show them.

A publisher takes a moment, writes it as `updated_at` and commits; until then nobody sees the change. A list read in
between misses it, though the list is the younger of the two, and marking that list as seen would lose the change. So a
publisher takes its moment under the tenant's exclusive lock and holds that to its commit, and the moment of a list is
taken under the shared lock. What is stored is rounded to the millisecond, so a publisher takes the one after the
rounded clock and waits for it: then its moment is later than that of every list and every stored view before it, and
not later than that of any that come after its commit.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, Interval, case, cast, func, literal_column, select

from everyskill.database.scope import TenantConnection
from everyskill.database.statements import TENANT, Statement
from everyskill.schema import Tenants
from everyskill.schema.base import MILLISECONDS, MOMENT

_KEY = func.hashtextextended(func.concat("everyskill:visibility:", TENANT), 0)
_CLOCK = func.clock_timestamp(type_=MOMENT)
_NEXT_MILLISECOND = cast(_CLOCK, MILLISECONDS) + literal_column("interval '1 millisecond'", Interval)


def _holding(lock: ColumnElement[None], moment: ColumnElement[datetime]) -> ColumnElement[datetime]:
    # CASE makes PostgreSQL look at the clock only when it has the lock.
    return case((lock.is_not(None), moment)).label("moment")


_TAKEN = select(_holding(func.pg_advisory_xact_lock(_KEY), _NEXT_MILLISECOND)).subquery("taken")

TAKE_MOMENT = Statement(select(_TAKEN.c.moment, func.pg_sleep_until(_TAKEN.c.moment)))
READ_CLOCK = Statement(select(_CLOCK).select_from(Tenants).where(Tenants.id == TENANT))
FIND_MOMENT_OF_LIST = Statement(select(_holding(func.pg_advisory_xact_lock_shared(_KEY), _CLOCK)))


async def take_moment(connection: TenantConnection) -> datetime:
    """The moment at which what this transaction publishes becomes visible. Publishers of a tenant queue up here."""
    moment: datetime = await connection.fetch_value(TAKE_MOMENT)
    return moment


async def read_clock(connection: TenantConnection) -> datetime:
    """What the database's clock says."""
    moment: datetime = await connection.fetch_value(READ_CLOCK)
    return moment


async def find_moment_of_list(connection: TenantConnection) -> datetime:
    """The moment of a list that is read next in this transaction: what it misses becomes visible after it."""
    moment: datetime = await connection.fetch_value(FIND_MOMENT_OF_LIST)
    return moment
