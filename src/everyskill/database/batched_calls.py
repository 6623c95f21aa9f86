"""The calls that are batched: what concurrent page views record and ask becomes one statement a tenant."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias, TypeVar

import asyncpg

from everyskill.database.batcher import Batcher
from everyskill.database.calls import Blocked
from everyskill.database.connection_shares import ConnectionShares
from everyskill.database.feed.first_page import FeedLookup, find_first_pages
from everyskill.database.feed.limits import FeedLimits
from everyskill.database.places import Patience
from everyskill.database.transactions import TenantConnection, begin
from everyskill.database.views.lookups import Lookup, find_updated, find_view_states, find_views
from everyskill.database.views.record import Missing, missing_reference, record_views
from everyskill.database.views.visits import SkillChanges, visit_skills
from everyskill.errors import LockTimeout
from everyskill.model.comparisons import Comparisons
from everyskill.model.views import NewUserSkillView, UserSkillView, ViewKey, ViewState
from everyskill.model.whats_new import WhatsNewItem

# How many views a batch records (or visits), skills it looks up, and feeds it reads: large enough to be worth the
# transaction; a larger batch only keeps its callers waiting.
MAX_ROWS = 64
MAX_LOOKED_UP = 1_000
MAX_FEEDS = 8

Question = TypeVar("Question")
Answer = TypeVar("Answer")
AskAll: TypeAlias = Callable[[TenantConnection, Sequence[Question]], Awaitable[Sequence[Answer]]]


class BatchedCalls:
    """The calls that run on every page view. `queue_size` bounds how many of each kind may wait.

    All raise Overloaded where too many wait, LockTimeout, and DatabaseUnreachable. The way of a call: `record` puts a
    view into the queue of a Batcher, whose worker takes a batch and calls `_ask_all`, which opens one transaction and
    calls `record_views` in it for each tenant.
    """

    def __init__(
        self, shares: ConnectionShares, *, queue_size: int, feed_limits: FeedLimits, comparisons: Comparisons
    ) -> None:
        self._shares = shares
        self._queue_size = queue_size
        self._records: Batcher[NewUserSkillView, Missing | None] = self._batch_writes(record_views, lambda v: v.user_id)
        self._visits: Batcher[ViewKey, SkillChanges | Missing] = self._batch_writes(
            partial(visit_skills, comparisons=comparisons), lambda key: key[0]
        )
        self._views: Batcher[Lookup, dict[str, UserSkillView]] = self._batch_lookups(find_views)
        self._updated: Batcher[Lookup, set[str]] = self._batch_lookups(find_updated)
        self._states: Batcher[Lookup, dict[str, ViewState]] = self._batch_lookups(find_view_states)
        find_feeds = partial(find_first_pages, max_lookups=feed_limits.max_lookups)
        self._feeds: Batcher[FeedLookup, list[WhatsNewItem] | None] = Batcher(
            partial(self._ask_all, find_feeds, None),
            max_waiting=queue_size,
            max_weight=MAX_FEEDS,
            call_seconds=shares.call_seconds,
        )

    async def record(self, view: NewUserSkillView) -> Missing | None:
        """Records a view; when this returns None it is committed, else it is what was missing for it."""
        try:
            return await self._records.ask(view.tenant_id, view)
        except asyncpg.ForeignKeyViolationError as error:
            return missing_reference(error)

    async def visit(self, tenant_id: str, user_id: str, skill_id: str) -> SkillChanges | Missing:
        """Records a view of the published version; what had changed before, or what was missing for the view."""
        try:
            return await self._visits.ask(tenant_id, (user_id, skill_id))
        except asyncpg.ForeignKeyViolationError as error:
            return missing_reference(error)

    async def find_views(self, tenant_id: str, user_id: str, skill_ids: Sequence[str]) -> dict[str, UserSkillView]:
        """The user's views of these skills, by skill id."""
        return await self._views.ask(tenant_id, Lookup.of(user_id, skill_ids))

    async def find_updated(self, tenant_id: str, user_id: str, skill_ids: Sequence[str]) -> set[str]:
        """Which of these skills are updated for the user (S1)."""
        return await self._updated.ask(tenant_id, Lookup.of(user_id, skill_ids))

    async def find_view_states(self, tenant_id: str, user_id: str, skill_ids: Sequence[str]) -> dict[str, ViewState]:
        """Both: the user's views of these skills, by skill id, each with its badge."""
        return await self._states.ask(tenant_id, Lookup.of(user_id, skill_ids))

    async def find_first_page(self, tenant_id: str, user_id: str, limit: int) -> list[WhatsNewItem] | None:
        """The first items of the user's feed (S7); None where it must be walked."""
        return await self._feeds.ask(tenant_id, FeedLookup(user_id, limit))

    async def close(self) -> None:
        """Takes no more calls, and returns when those that wait have their answers."""
        for batcher in (self._records, self._visits, self._views, self._updated, self._states, self._feeds):
            await batcher.close()

    def _batch_lookups(self, find_all: AskAll[Lookup, Answer]) -> Batcher[Lookup, Answer]:
        return Batcher(
            partial(self._ask_all, find_all, None),
            max_waiting=self._queue_size,
            max_weight=MAX_LOOKED_UP,
            weigh=lambda lookup: len(lookup.skill_ids),
            call_seconds=self._shares.call_seconds,
        )

    def _batch_writes(
        self, record_all: AskAll[Question, Answer], user_of: Callable[[Question], str]
    ) -> Batcher[Question, Answer]:
        return Batcher(
            partial(self._ask_all, record_all, user_of),
            max_waiting=self._queue_size,
            max_weight=MAX_ROWS,
            call_seconds=self._shares.call_seconds,
        )

    async def _ask_all(
        self,
        ask_all: AskAll[Question, Answer],
        user_of: Callable[[Question], str] | None,
        questions: Mapping[str, Sequence[Question]],
        patience: Patience,
    ) -> dict[str, Sequence[Answer]]:
        """The answers to the questions of each tenant. `user_of` says whose view a question records, if it does.

        Raises Blocked for the tenant at which somebody else's lock was met.
        """
        answers: dict[str, Sequence[Answer]] = {}
        tenant_id = min(questions)
        acquired = self._shares.connection(tenant_id, patience)
        try:
            async with begin(acquired, readonly=user_of is None) as transaction:
                # One order for all writers, here as within a tenant, so that no two batches deadlock.
                for tenant_id in sorted(questions):
                    asked = questions[tenant_id]
                    users = map(user_of, asked) if user_of else ()
                    answers[tenant_id] = await ask_all(transaction.enter(tenant_id, recording=users), asked)
        except LockTimeout as error:
            raise Blocked(tenant_id) from error
        return answers
