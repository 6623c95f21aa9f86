"""Random acts of several users in two tenants, against a plain model of S1 to S17 that is asked the same questions."""

import asyncio
import contextlib
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from everyskill.database.feed.limits import DEFAULT_LIMITS, FeedLimits
from everyskill.embedded import EmbeddedServer
from everyskill.errors import SkillNotFound
from everyskill.handles import Tenant
from tests.support.databases import Clone, add_tenant, cloned, open_database
from tests.support.moved_clock import MovedClock, needs_faketime
from tests.support.pgbouncer import PgBouncer
from tests.support.skills import folder

MONTH = timedelta(days=31)


@dataclass
class ModelView:
    """When (as a tick), which version, how often."""

    at: int
    version: int | None
    count: int


@dataclass
class ModelSkill:
    """A skill of the model. Times are ticks: one act, one tick. `visible` is when it was last published or shown.

    `authors` has one for each version, and `announced` is the number of the newest that is not quiet (S17).
    """

    id: str = ""
    status: str = "published"
    text: tuple[str, str] = ("", "")
    contents: list[str] = field(default_factory=list)
    descriptions: list[str] = field(default_factory=list)
    updated: int = 0
    visible: int = 0
    is_recent: bool = True
    authors: list[str | None] = field(default_factory=list)
    announced: int = 0
    is_edited_hidden: bool = False
    feedback: list[tuple[int, str | None]] = field(default_factory=list)
    views: dict[str, ModelView] = field(default_factory=dict)

    @property
    def version(self) -> int:
        return len(self.descriptions)

    def is_updated(self, user: str) -> bool:
        view = self.views.get(user)
        if view is None or self.status != "published":
            return False
        return (view.version is not None and self.announced > view.version) or self.updated > view.at

    def record(self, user: str, at: int, version: int | None, count: int) -> None:
        view = self.views.setdefault(user, ModelView(at, None, 0))
        view.at = max(view.at, at)
        if version is not None:
            view.version = max(view.version or 0, min(version, self.version))
        view.count += count

    def move_author(self, version: int, at: int) -> None:
        author = self.authors[version - 1]
        if author in self.views:
            self.record(author, at, version, 0)

    def changes(self, user: str) -> list[tuple[str, str | None]]:
        view = self.views.get(user)
        if view is None:
            return []
        items: list[tuple[str, str | None]] = []
        if self.is_updated(user):
            moved = view.version is not None and view.version < self.version
            items.append(("version_bump", f"v{view.version} → v{self.version}" if moved else f"v{self.version}"))
            if view.version is not None and self.contents[view.version - 1] != self.contents[-1]:
                items.append(("instructions_changed", "+1 \N{MINUS SIGN}1"))
            if view.version is not None and self.descriptions[view.version - 1] != self.descriptions[-1]:
                items.append(("description_updated", self.descriptions[-1]))
        if any(tick > view.at and writer != user for tick, writer in self.feedback):
            items.append(("new_feedback", None))
        return items


@dataclass
class Rendered:
    """A page somebody has open: what it showed, and when by either clock."""

    tenant: str
    user: str
    slug: str
    version: int
    tick: int
    clock: datetime


tenants = st.runner().flatmap(lambda acts: st.sampled_from(acts.tenant_ids))
users = st.runner().flatmap(lambda acts: st.sampled_from(acts.user_ids))
slugs = st.runner().flatmap(lambda acts: st.sampled_from(acts.slug_names))
texts = st.sampled_from(["one", "two"])
authors = st.runner().flatmap(lambda acts: st.sampled_from([None, *acts.user_ids]))


class Acts(RuleBasedStateMachine):
    """The real thing and the model, side by side.

    Where the clock is moved, all views name their version, nobody gives feedback, whose time is all that tells it new,
    and nothing is deleted: the newest skill would take the tenant's last moment along.
    """

    server: EmbeddedServer
    pooler: PgBouncer | None = None
    limits: FeedLimits
    moved_clock: MovedClock | None = None
    tenant_ids: tuple[str, ...] = ("acme", "globex")
    user_ids: tuple[str, ...] = ("ann", "bob")
    slug_names: tuple[str, ...] = ("alpha", "beta", "gamma")

    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner()
        self.stack = contextlib.AsyncExitStack()
        self.tick = 0
        self.skills: dict[str, dict[str, ModelSkill]] = {tenant: {} for tenant in self.tenant_ids}
        self.pages: list[Rendered] = []
        self.lists: list[tuple[str, str, int, datetime]] = []
        self.run(self._open())

    async def _open(self) -> None:
        clone: Clone = await self.stack.enter_async_context(cloned(self.server, self.pooler))
        self.owner = await asyncpg.connect(clone.superuser_url)
        self.stack.push_async_callback(self.owner.close)
        database = await self.stack.enter_async_context(open_database(clone.service_url, self.limits))
        self.handles: dict[str, Tenant] = {name: await add_tenant(database, name) for name in self.tenant_ids}

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(self.stack.aclose())
            self.runner.close()

    def run(self, act: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await act

        return self.runner.run(awaited())

    def next_tick(self) -> int:
        self.tick += 1
        return self.tick

    def visible(self, tenant: str, slug: str) -> ModelSkill | None:
        skill = self.skills[tenant].get(slug)
        return skill if skill is not None and skill.status == "published" else None

    def attempt(self, skill: ModelSkill | None, act: Awaitable[Any]) -> Any:
        """Runs an act that needs a visible skill; without one it must be refused."""
        try:
            result = self.run(act)
        except SkillNotFound:
            assert skill is None
            return None
        assert skill is not None
        return result

    # -- acts

    @rule(tenant=tenants, slug=slugs, content=texts, description=texts, author=authors, quiet=st.booleans())
    def publish(
        self, tenant: str, slug: str, content: str, description: str, author: str | None, *, quiet: bool = False
    ) -> None:
        publication = self.run(
            self.handles[tenant].publish_skill(
                folder(slug, content, description=description), author_id=author, quiet=quiet
            )
        )
        tick = self.next_tick()
        skill = self.skills[tenant].setdefault(slug, ModelSkill(id=publication.skill_id))
        assert publication.skill_id == skill.id
        if skill.text == (content, description):
            assert publication.outcome == "unchanged"
            return
        skill.text = (content, description)
        skill.contents.append(content)
        skill.descriptions.append(description)
        skill.authors.append(author)
        assert publication.version == skill.version
        is_announced = skill.version == 1 or not quiet
        if is_announced:
            skill.announced = skill.version
        if skill.status == "published":
            skill.visible = tick
            if is_announced:
                skill.updated, skill.is_recent = tick, True
        elif is_announced:
            skill.is_edited_hidden = True
        skill.move_author(skill.version, tick)

    @rule(tenant=tenants, slug=slugs)
    def archive(self, tenant: str, slug: str) -> None:
        skill = self.skills[tenant].get(slug)
        self.attempt(skill, self.handles[tenant].archive_skill(slug))
        if skill is not None:
            skill.status = "archived"

    @rule(tenant=tenants, slug=slugs)
    def restore(self, tenant: str, slug: str) -> None:
        skill = self.skills[tenant].get(slug)
        self.attempt(skill, self.handles[tenant].restore_skill(slug))
        tick = self.next_tick()
        if skill is None or skill.status == "published":
            return
        skill.status, skill.visible = "published", tick
        if skill.is_edited_hidden:
            skill.updated, skill.is_recent = tick, True
            for version in (skill.announced, skill.version):
                skill.move_author(version, tick)
            skill.is_edited_hidden = False

    @rule(tenant=tenants, user=users, slug=slugs)
    def visit(self, tenant: str, user: str, slug: str) -> None:
        skill = self.visible(tenant, slug)
        skill_id = self.skills[tenant][slug].id if slug in self.skills[tenant] else slug
        visit = self.attempt(skill, self.handles[tenant].visit_skill(user, skill_id))
        if skill is not None:
            assert [(item.type, item.detail) for item in visit.changes] == skill.changes(user)
            skill.record(user, self.next_tick(), skill.version, 1)

    @rule(tenant=tenants, user=users, slug=slugs)
    def render(self, tenant: str, user: str, slug: str) -> None:
        skill = self.visible(tenant, slug)
        if skill is not None:
            page = self.run(self.handles[tenant].get_skill_page(user, slug))
            self.pages.append(Rendered(tenant, user, slug, skill.version, self.next_tick(), page.as_of))

    @rule(data=st.data(), names_version=st.booleans(), names_time=st.booleans(), from_the_future=st.booleans())
    def record(self, data: st.DataObject, names_version: bool, names_time: bool, from_the_future: bool) -> None:
        if not self.pages:
            return
        page = data.draw(st.sampled_from(self.pages))
        skill = self.visible(page.tenant, page.slug)
        if page.slug not in self.skills[page.tenant]:
            return
        names_version = names_version or self.moved_clock is not None
        version = page.version + (7 if from_the_future else 0) if names_version else None
        at = (page.clock + (MONTH * 99 if from_the_future else timedelta())) if names_time else None
        skill_id = self.skills[page.tenant][page.slug].id
        self.attempt(skill, self.handles[page.tenant].record_skill_view(page.user, skill_id, version, at))
        tick = self.next_tick()
        if skill is not None:
            skill.record(page.user, page.tick if names_time and not from_the_future else tick, version, 1)

    @rule(tenant=tenants, user=users)
    def read_list(self, tenant: str, user: str) -> None:
        page = self.run(self.handles[tenant].get_whats_new_page(user))
        self.lists.append((tenant, user, self.next_tick(), page.as_of))

    @rule(data=st.data())
    def mark_all_seen(self, data: st.DataObject) -> None:
        if not self.lists:
            return
        self.mark_seen(*data.draw(st.sampled_from(self.lists)))

    def mark_seen(self, tenant: str, user: str, tick: int, as_of: datetime) -> None:
        moved = self.run(self.handles[tenant].mark_all_seen(user, as_of))
        stale = [s for s in self.skills[tenant].values() if s.is_updated(user) and s.visible <= tick]
        assert moved == len(stale)
        for skill in stale:
            skill.record(user, tick, skill.version, 0)

    @precondition(lambda self: self.moved_clock is None)
    @rule(tenant=tenants, user=users, slug=slugs)
    def give_feedback(self, tenant: str, user: str, slug: str) -> None:
        skill = self.visible(tenant, slug)
        # Two acts in one millisecond are one moment to PostgreSQL; the model has no such thing.
        self.run(self.owner.execute("SELECT pg_sleep(0.002)"))
        skill_id = self.skills[tenant][slug].id if slug in self.skills[tenant] else slug
        self.attempt(skill, self.handles[tenant].add_feedback(skill_id, user_id=user, comment="hm"))
        if skill is not None:
            skill.feedback.append((self.next_tick(), user))
        self.run(self.owner.execute("SELECT pg_sleep(0.002)"))

    @precondition(lambda self: self.moved_clock is None)
    @rule(tenant=tenants, slug=slugs)
    def delete_skill(self, tenant: str, slug: str) -> None:
        self.run(self.owner.execute("DELETE FROM skills WHERE tenant_id = $1 AND slug = $2", tenant, slug))
        self.skills[tenant].pop(slug, None)
        self.pages = [page for page in self.pages if (page.tenant, page.slug) != (tenant, slug)]

    @precondition(lambda self: self.moved_clock is None)
    @rule(tenant=tenants, user=users)
    def leave_and_come_back(self, tenant: str, user: str) -> None:
        self.run(self.owner.execute("DELETE FROM users WHERE tenant_id = $1 AND id = $2", tenant, user))
        self.run(self.handles[tenant].add_user(user))
        for skill in self.skills[tenant].values():
            skill.views.pop(user, None)
            # What the person wrote is nobody's now.
            skill.authors = [None if author == user else author for author in skill.authors]
            skill.feedback = [(tick, None if writer == user else writer) for tick, writer in skill.feedback]

    @precondition(lambda self: self.moved_clock is None)
    @rule()
    def a_month_passes(self) -> None:
        # As if it were so: the triggers would not let a moment go back.
        self.run(self.owner.execute("SET session_replication_role = replica"))
        for table, column in (
            ("skills", "updated_at"),
            ("skills", "visible_at"),
            ("feed_checkpoints", "visible_at"),
            ("feed_checkpoints", "complete_above"),
            ("skill_versions", "created_at"),
            ("skill_feedback", "created_at"),
            ("user_skill_views", "last_viewed_at"),
        ):
            self.run(self.owner.execute(f"UPDATE {table} SET {column} = {column} - $1::interval", MONTH))
        self.run(self.owner.execute("RESET session_replication_role"))
        for page in self.pages:
            page.clock -= MONTH
        self.lists = [(tenant, user, tick, as_of - MONTH) for tenant, user, tick, as_of in self.lists]
        for skills in self.skills.values():
            for skill in skills.values():
                skill.is_recent = False

    # -- questions

    @invariant()
    def every_answer_is_the_models(self) -> None:
        if hasattr(self, "handles"):
            self.run(self._compare())

    async def _compare(self) -> None:
        for name, tenant in self.handles.items():
            for user in self.user_ids:
                await self._compare_user(tenant, user, self.skills[name])

    async def _compare_user(self, tenant: Tenant, user: str, skills: dict[str, ModelSkill]) -> None:
        updated = {slug for slug, skill in skills.items() if skill.is_updated(user)}
        listed = {item.slug: item for item in (await tenant.list_skills(user)).items}
        assert listed.keys() == {slug for slug, skill in skills.items() if skill.status == "published"}
        assert {slug for slug, item in listed.items() if item.is_updated} == updated
        ids = [skill.id for other in self.skills.values() for skill in other.values()]
        assert await tenant.get_updated_skill_ids(user, ids) == {skills[slug].id for slug in updated}

        fresh = sorted((s for s in updated if skills[s].is_recent), key=lambda slug: -skills[slug].updated)
        assert [item.skill_slug for item in await tenant.get_whats_new_for_user(user)] == fresh
        assert await tenant.count_whats_new(user) == len(fresh)

        views = await tenant.get_user_views_for_skills(user, ids)
        expected = {s.id: (s.views[user].version, s.views[user].count) for s in skills.values() if user in s.views}
        assert {i: (view.last_viewed_version, view.view_count) for i, view in views.items()} == expected
        changes = await tenant.get_changes_for_skills(user, ids)
        told = {skill_id: [(item.type, item.detail) for item in items] for skill_id, items in changes.items()}
        assert told == {skills[slug].id: skills[slug].changes(user) for slug in listed}


class ActsOnMovedClock(Acts):
    """The same acts of one user, who has seen all there is, so that more of them are about the same."""

    moved_clock: MovedClock
    tenant_ids = ("acme",)
    user_ids = ("ann",)
    slug_names = ("alpha", "beta")

    @initialize()
    def open(self) -> None:
        super().open()
        for slug in self.slug_names:
            self.publish("acme", slug, "one", "one", None)
            self.visit("acme", "ann", slug)
            self.render("acme", "ann", slug)
        self.read_list("acme", "ann")

    @rule(hours=st.sampled_from([-2, -1, 0, 1]))
    def move_the_clock(self, hours: int) -> None:
        self.moved_clock.set(hours)

    @rule(slug=slugs)
    def publish_something_else(self, slug: str) -> None:
        self.publish("acme", slug, str(self.tick), "one", None)

    @rule()
    def click_on_the_first_page(self) -> None:
        self.mark_seen(*self.lists[0])


def run_acts(kind: type[Acts], examples: int, **members: object) -> None:
    run_state_machine_as_test(
        type("ActsHere", (kind,), members),
        settings=settings(
            max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


each_kind_of_feed = pytest.mark.parametrize(
    "limits", [DEFAULT_LIMITS, FeedLimits(max_lookups=1)], ids=["short feeds", "feeds with checkpoints"]
)


@each_kind_of_feed
def test_s1_to_s17_hold_for_random_acts(server: EmbeddedServer, pooler: PgBouncer | None, limits: FeedLimits) -> None:
    run_acts(Acts, 20, server=server, pooler=pooler, limits=limits)


@needs_faketime
@each_kind_of_feed
def test_s1_to_s17_hold_for_random_acts_while_the_clock_is_moved(moved_clock: MovedClock, limits: FeedLimits) -> None:
    run_acts(ActsOnMovedClock, 15, server=moved_clock.server, limits=limits, moved_clock=moved_clock)
