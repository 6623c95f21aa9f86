"""Folds what concurrent page views record and ask into one statement a tenant and one transaction a batch."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias, TypeVar

import asyncpg

from everyskill.database.batching import Batcher
from everyskill.database.reader_states import ReaderState, find_reader_states
from everyskill.database.scope import TenantConnection, begin
from everyskill.database.short_feeds import FeedLookup, find_feeds
from everyskill.database.user_skill_views import (
    Lookup,
    find_states,
    find_updated,
    find_views,
    record_views,
    what_was_deleted,
)
from everyskill.model.views import NewUserSkillView, UserSkillView, ViewState
from everyskill.model.whats_new import WhatsNewItem

# A batch is large enough here to be worth its transaction; more only keeps its callers waiting.
MOST_ROWS = 64
MOST_IDS = 1_000
MOST_FEEDS = 8

Answer = TypeVar("Answer")
# A user id and a skill id.
Visiting: TypeAlias = tuple[str, str]
Question: TypeAlias = tuple[str, Sequence[str]]
# A user id, and how many items.
FeedQuestion: TypeAlias = tuple[str, int]
FindAll: TypeAlias = Callable[[TenantConnection, Sequence[Lookup]], Awaitable[list[Answer]]]


class FoldedCalls:
    """The calls that stand on every page view. `queue_size` bounds how many of each kind may wait."""

    def __init__(self, pool: asyncpg.Pool, *, queue_size: int) -> None:
        self._pool = pool
        self._records: Batcher[NewUserSkillView, str | None] = Batcher(
            self._record_all,
            most_waiting=queue_size,
            most_weight=MOST_ROWS,
            # Whatever one row is refused for, a skill that was just deleted say, must not touch the others.
            split_on=(asyncpg.PostgresError,),
        )
        self._visits: Batcher[Visiting, ReaderState | str] = Batcher(
            self._visit_all, most_waiting=queue_size, most_weight=MOST_ROWS, split_on=(asyncpg.PostgresError,)
        )
        self._views = self._batcher_of(find_views, queue_size)
        self._updated = self._batcher_of(find_updated, queue_size)
        self._states = self._batcher_of(find_states, queue_size)
        self._feeds: Batcher[FeedQuestion, list[WhatsNewItem] | None] = Batcher(
            self._find_feeds, most_waiting=queue_size, most_weight=MOST_FEEDS
        )

    async def record(self, view: NewUserSkillView) -> str | None:
        """Records a view; when this returns None it is committed, else it is what was missing for it.

        Raises Overloaded.
        """
        try:
            return await self._records.ask(view.tenant_id, view)
        except asyncpg.ForeignKeyViolationError as error:
            return what_was_deleted(error)

    async def visit(self, tenant_id: str, user_id: str, skill_id: str) -> ReaderState | str:
        """Records a view of the published version; what the skill was to the user before, or what was missing for it.

        Raises Overloaded.
        """
        try:
            return await self._visits.ask(tenant_id, (user_id, skill_id))
        except asyncpg.ForeignKeyViolationError as error:
            return what_was_deleted(error)

    async def find_views(self, tenant_id: str, user_id: str, skill_ids: Sequence[str]) -> dict[str, UserSkillView]:
        """The user's views of these skills, by skill id. Raises Overloaded."""
        return await self._views.ask(tenant_id, (user_id, skill_ids))

    async def find_updated(self, tenant_id: str, user_id: str, skill_ids: Sequence[str]) -> set[str]:
        """Which of these skills are updated for the user (S1). Raises Overloaded."""
        return await self._updated.ask(tenant_id, (user_id, skill_ids))

    async def find_states(self, tenant_id: str, user_id: str, skill_ids: Sequence[str]) -> dict[str, ViewState]:
        """Both: the user's views of these skills, by skill id, each with its badge. Raises Overloaded."""
        return await self._states.ask(tenant_id, (user_id, skill_ids))

    async def find_feed(self, tenant_id: str, user_id: str, limit: int) -> list[WhatsNewItem] | None:
        """The first items of the user's feed (S7); None where many skills must be looked at. Raises Overloaded."""
        return await self._feeds.ask(tenant_id, (user_id, limit))

    async def close(self) -> None:
        """Takes no more calls, and returns when those that wait have their answers."""
        for batcher in (self._records, self._visits, self._views, self._updated, self._states, self._feeds):
            await batcher.close()

    def _batcher_of(self, find_all: FindAll[Answer], queue_size: int) -> Batcher[Question, Answer]:
        return Batcher(
            partial(self._ask_all, find_all),
            most_waiting=queue_size,
            most_weight=MOST_IDS,
            weigh=_count_ids,
        )

    async def _ask_all(
        self, find_all: FindAll[Answer], questions: Mapping[str, Sequence[Question]]
    ) -> dict[str, list[Answer]]:
        answers = {}
        async with begin(self._pool, readonly=True) as transaction:
            for tenant_id, asked in questions.items():
                lookups = [Lookup(place, *question) for place, question in enumerate(asked)]
                answers[tenant_id] = await find_all(await transaction.enter(tenant_id), lookups)
        return answers

    async def _find_feeds(
        self, questions: Mapping[str, Sequence[FeedQuestion]]
    ) -> dict[str, list[list[WhatsNewItem] | None]]:
        answers = {}
        async with begin(self._pool, readonly=True) as transaction:
            for tenant_id, asked in questions.items():
                lookups = [FeedLookup(place, *question) for place, question in enumerate(asked)]
                answers[tenant_id] = await find_feeds(await transaction.enter(tenant_id), lookups)
        return answers

    async def _record_all(self, views: Mapping[str, Sequence[NewUserSkillView]]) -> dict[str, list[str | None]]:
        answers = {}
        async with begin(self._pool, readonly=False) as transaction:
            # One order for all writers, here as within a tenant, so that no two wait for each other in a circle.
            for tenant_id in sorted(views):
                users = (view.user_id for view in views[tenant_id])
                missing = await record_views(await transaction.enter(tenant_id, recording=users), views[tenant_id])
                answers[tenant_id] = [missing.get((view.user_id, view.skill_id)) for view in views[tenant_id]]
        return answers

    async def _visit_all(self, visits: Mapping[str, Sequence[Visiting]]) -> dict[str, list[ReaderState | str]]:
        answers = {}
        async with begin(self._pool, readonly=False) as transaction:
            for tenant_id in sorted(visits):
                users = (user_id for user_id, _ in visits[tenant_id])
                connection = await transaction.enter(tenant_id, recording=users)
                answers[tenant_id] = await _visit(connection, visits[tenant_id])
        return answers


async def _visit(connection: TenantConnection, visits: Sequence[Visiting]) -> list[ReaderState | str]:
    lookups = [Lookup(place, user_id, [skill_id]) for place, (user_id, skill_id) in enumerate(visits)]
    # Before anything is recorded (S6).
    found = await find_reader_states(connection, lookups)
    states = [states.get(skill_id) for states, (_, skill_id) in zip(found, visits, strict=True)]
    views = [
        NewUserSkillView(
            tenant_id=connection.tenant_id,
            user_id=user_id,
            skill_id=skill_id,
            last_viewed_at=state.as_of,
            last_viewed_version=state.skill.published_version,
        )
        for (user_id, skill_id), state in zip(visits, states, strict=True)
        if state is not None
    ]
    missing = await record_views(connection, views) if views else {}
    return [missing.get(key) or state or "skill" for key, state in zip(visits, states, strict=True)]


def _count_ids(question: Question) -> int:
    return len(question[1])
