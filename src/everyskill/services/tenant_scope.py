"""One tenant of an open database: what the services of that tenant work with."""

from everyskill.database.batched_calls import BatchedCalls
from everyskill.database.connection_shares import ConnectionShares
from everyskill.database.feed.limits import FeedLimits
from everyskill.database.transactions import TenantTransactions
from everyskill.model.inputs import check_id


class TenantScope:
    """One tenant of a database. Costs nothing to make; asks nothing until it is used.

    Its private members are for the services alone, which are its methods in `handles.Tenant`.
    """

    __slots__ = ("_batched", "_feed_limits", "_transactions", "tenant_id")

    def __init__(
        self, shares: ConnectionShares, batched: BatchedCalls, feed_limits: FeedLimits, tenant_id: str
    ) -> None:
        self.tenant_id = check_id("tenant_id", tenant_id)
        self._transactions = TenantTransactions(shares, tenant_id)
        self._batched = batched
        self._feed_limits = feed_limits
