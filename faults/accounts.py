"""What must be there: the sum of all logs, compared with the database, and the library's answers with plain SQL."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import asyncpg

import everyskill
from faults.acts import SLUGS, TENANTS, USERS, Act, ActLog, Line, LogReader
from faults.stage import skill
from faults.writer import look

VIEWS = """
SELECT v.tenant_id, v.user_id, s.slug, v.view_count, v.last_viewed_version
  FROM user_skill_views AS v JOIN skills AS s ON s.tenant_id = v.tenant_id AND s.id = v.skill_id
"""
VERSIONS = """
SELECT s.tenant_id, s.slug, count(*) AS versions, max(n.version) AS newest, s.published_version
  FROM skills AS s JOIN skill_versions AS n ON n.tenant_id = s.tenant_id AND n.skill_id = s.id
 GROUP BY s.tenant_id, s.slug, s.published_version
"""
# Rule S1 from scratch, for one user.
UPDATED = """
SELECT s.id
  FROM user_skill_views AS v JOIN skills AS s ON s.tenant_id = v.tenant_id AND s.id = v.skill_id
 WHERE v.tenant_id = $1 AND v.user_id = $2 AND s.status = 'published'
   AND (s.published_version > v.last_viewed_version OR s.updated_at > v.last_viewed_at)
"""


@dataclass
class Sums:
    """How often something is known to have been done, and how often it may have been."""

    done: Counter[tuple[str, ...]] = field(default_factory=Counter)
    unknown: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def holds(self, key: tuple[str, ...], count: int) -> bool:
        """Whether the count is one that the logs allow."""
        return self.done[key] <= count <= self.done[key] + self.unknown[key]


@dataclass
class Accounts:
    """All logs of a run, added up as they grow."""

    readers: dict[Path, LogReader] = field(default_factory=dict)
    open_acts: dict[Path, dict[int, Act]] = field(default_factory=dict)
    views: Sums = field(default_factory=Sums)
    versions: Sums = field(default_factory=Sums)
    shown: Counter[tuple[str, ...]] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    untyped: list[str] = field(default_factory=list)

    def read(self, log: Path) -> list[Line]:
        """Adds what is new in a log, and returns it."""
        lines = list(self.readers.setdefault(log, LogReader(log)).read())
        tried = self.open_acts.setdefault(log, {})
        for line in lines:
            if line.outcome == "tried":
                # A writer that was killed began its numbers anew: what it had tried is unknown for ever.
                if line.number in tried:
                    self._add(tried[line.number], "unknown")
                tried[line.number] = line.act
            else:
                tried.pop(line.number, None)
                self._add(line.act, line.outcome)
            if line.outcome == "untyped":
                self.untyped.append(f"{line.act.kind}: {line.error}")
        return lines

    def close(self, log: Path) -> None:
        """Counts what a writer that is no more had tried as unknown."""
        for act in self.open_acts.pop(log, {}).values():
            self._add(act, "unknown")

    def _add(self, act: Act, outcome: str) -> None:
        self.outcomes[outcome] += 1
        if outcome == "refused":
            return
        if act.kind in {"record", "visit"}:
            key: tuple[str, ...] = (act.tenant, act.user, act.slug)
            (self.views.done if outcome == "done" else self.views.unknown)[key] += 1
            if outcome == "done" and act.version:
                self.shown[key] = max(self.shown[key], act.version)
        elif act.kind == "publish":
            (self.versions.done if outcome == "done" else self.versions.unknown)[act.tenant, act.slug] += 1

    def losses(self, views: list[asyncpg.Record], versions: list[asyncpg.Record]) -> Iterator[str]:
        """Says of each view and skill where the database and the logs disagree."""
        found: dict[tuple[str, ...], tuple[int, int]] = {
            (row["tenant_id"], row["user_id"], row["slug"]): (row["view_count"], row["last_viewed_version"] or 0)
            for row in views
        }
        for key in self.views.done.keys() | found.keys():
            count, version = found.get(key, (0, 0))
            if not self.views.holds(key, count):
                yield f"{key}: {count} views, {self.views.done[key]} acknowledged, {self.views.unknown[key]} unknown"
            if self.shown[key] > version:
                yield f"{key}: has seen version {self.shown[key]}, recorded is {version}"
        for tenant_id, slug, count, newest, published in versions:
            key = (tenant_id, slug)
            # The first version is the stage's.
            if not self.versions.holds(key, count - 1):
                yield f"{key}: {count} versions, {self.versions.done[key]} acknowledged"
            if not count == newest == published:
                yield f"{key}: {count} versions up to {newest}, {published} is published"


async def find_losses(accounts: Accounts, admin: asyncpg.Connection, database: everyskill.Database) -> list[str]:
    """Everything that is not as the logs and the rules say. The writers must be at rest."""
    found = list(accounts.losses(await admin.fetch(VIEWS), await admin.fetch(VERSIONS)))
    for tenant_id in TENANTS:
        for user in USERS:
            found += [line async for line in _differences(admin, database.tenant(tenant_id), user)]
    return found


async def _differences(admin: asyncpg.Connection, tenant: everyskill.Tenant, user: str) -> AsyncIterator[str]:
    expected = {row["id"] for row in await admin.fetch(UPDATED, tenant.tenant_id, user)}
    ids = [(await tenant.get_skill(slug)).skill.id for slug in SLUGS]
    answers = {
        "badges": await tenant.get_updated_skill_ids(user, ids),
        "feed": {item.skill_id for item in await tenant.get_whats_new_for_user(user, limit=100)},
    }
    for what, answer in answers.items():
        if answer != expected:
            yield f"{tenant.tenant_id} {user}: {what} {sorted(answer)}, expected {sorted(expected)}"
    count = await tenant.count_whats_new(user)
    if count != len(expected):
        yield f"{tenant.tenant_id} {user}: {count} counted, {len(expected)} expected"


async def live_once(database: everyskill.Database, log: ActLog) -> AsyncIterator[str]:
    """A change is badged to all who saw the skill, and a visit clears it, and "mark all": whatever happened before."""
    for tenant_id in TENANTS:
        tenant = database.tenant(tenant_id)
        for slug in SLUGS:
            await _publish(tenant, log, slug)
        ids = [(await tenant.get_skill(slug)).skill.id for slug in SLUGS]
        for user in USERS:
            seen = set(await tenant.get_user_views_for_skills(user, ids))
            if await tenant.get_updated_skill_ids(user, ids) != seen:
                yield f"{tenant_id} {user}: a change without a badge"
            await look(tenant, log, Act("visit", tenant_id, user, SLUGS[0]), ids[0])
            if await tenant.get_updated_skill_ids(user, ids[:1]):
                yield f"{tenant_id} {user}: a badge that a visit does not clear"
            page = await tenant.get_whats_new_page(user)
            await tenant.mark_all_seen(user, page.as_of)
            if await tenant.get_updated_skill_ids(user, ids):
                yield f"{tenant_id} {user}: a badge that marking all does not clear"


async def _publish(tenant: everyskill.Tenant, log: ActLog, slug: str) -> None:
    await log.run(Act("publish", tenant.tenant_id, "", slug), lambda: tenant.publish_skill(skill(slug, uuid4())))
