"""One tenant of an open database: what the services of that tenant work with."""

from collections.abc import Callable

from everyskill.database.batched_calls import BatchedCalls
from everyskill.database.connection_shares import ConnectionShares
from everyskill.database.feed.limits import FeedLimits
from everyskill.database.transactions import TenantTransactions
from everyskill.model.comparisons import Comparisons
from everyskill.model.inputs import check_id
from everyskill.model.kept_files import FileLimits
from everyskill.workers import Result, Workers


class TenantScope:
    """One tenant of a database. Costs nothing to make; asks nothing until it is used.

    Its private members are for the services alone, which are its methods in `handles.Tenant`. `file_limits` say which
    files of a skill are kept.
    """

    __slots__ = (
        "_batched",
        "_comparisons",
        "_diff_lines",
        "_feed_limits",
        "_transactions",
        "_workers",
        "file_limits",
        "tenant_id",
    )

    def __init__(
        self,
        shares: ConnectionShares,
        batched: BatchedCalls,
        feed_limits: FeedLimits,
        workers: Workers,
        tenant_id: str,
        *,
        comparisons: Comparisons,
        diff_lines: int,
        file_limits: FileLimits,
    ) -> None:
        self.tenant_id = check_id("tenant_id", tenant_id)
        self._transactions = TenantTransactions(shares, self.tenant_id)
        self._batched = batched
        self._feed_limits = feed_limits
        self._diff_lines = diff_lines
        self.file_limits = file_limits
        self._workers = workers
        self._comparisons = comparisons

    async def run_in_worker(self, job: Callable[[], Result]) -> Result:
        """Runs what would hold up the event loop in a thread, one job of this tenant at a time.

        Raises Overloaded where too many jobs of this tenant wait.
        """
        return await self._workers.run(self.tenant_id, job)
