"""A tenant is answered as if it were alone, though its neighbours have rows of the same ids that say something else.

The neighbours sort before and behind it, and somebody holds all of their rows locked.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace

import everyskill.database
from everyskill.database.feed import walk
from everyskill.database.feed.first_page import FeedLookup, find_first_pages
from everyskill.database.feed.limits import FeedLimits
from everyskill.database.policies import TENANT_COLUMNS
from everyskill.database.statements import Statement
from everyskill.embedded import EmbeddedServer
from everyskill.errors import EverySkillError
from everyskill.handles import Database, Tenant
from everyskill.model import SkillFile, SkillFolder
from everyskill.model.whats_new import FeedCursor
from tests.support.databases import Clone, cloned, open_database
from tests.support.pgbouncer import PgBouncer
from tests.support.skills import folder, publish
from tests.support.twins import NOW, TWINS, USERS, put, rows_of_acme, rows_of_twin

LONG_AGO = NOW - timedelta(days=365)
LIMITS = FeedLimits(max_lookups=1, max_pending=1)


@asynccontextmanager
async def staged(server: EmbeddedServer, *, is_forced: bool) -> AsyncIterator[tuple[str, str]]:
    """The names of two databases to copy: acme alone, and acme among its twins, with or without its policies."""
    async with cloned(server) as alone:
        connection = await asyncpg.connect(alone.superuser_url)
        await put(connection, "acme", rows_of_acme())
        await connection.close()
        async with cloned(server, template=alone.name) as among:
            connection = await asyncpg.connect(among.superuser_url)
            for tenant_id in TWINS:
                await put(connection, tenant_id, rows_of_twin(tenant_id))
            for table in TENANT_COLUMNS:
                if not is_forced:
                    await connection.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
            await connection.close()
            yield alone.name, among.name


# -- the questions -----------------------------------------------------------------------------------------------------

Ask = Callable[[Tenant], Awaitable[Any]]
# x is a user and a skill that the twins alone have.
IDS = ["a", "b", "c", "d", "f", "x"]
# What a skill may be called, of which the twins have the slugs too, and lead the old ones elsewhere.
NAMES = [*IDS, "slug-a", "slug-c", "old-a", "old-f", "slug-x", "old-x"]
WHO = [*USERS, "x"]


async def first_pages(tenant: Tenant, max_lookups: int) -> Any:
    """What the service does not tell: whether a feed had to be walked."""
    async with tenant._transactions.read() as connection:
        return await find_first_pages(connection, [FeedLookup(user, 10) for user in WHO], max_lookups=max_lookups)


async def archived(tenant: Tenant, skill: str) -> bytes:
    """A zip, whole."""
    return b"".join([piece async for piece in (await tenant.get_archive(skill)).pieces])


async def compared(tenant: Tenant, skill: str) -> Any:
    """How the last two versions differ."""
    newest = (await tenant.list_versions(skill))[0].version
    return await tenant.compare_versions(skill, newest - 1, newest)


def with_script(skill: str, content: bytes) -> SkillFolder:
    """A skill with a script beside its SKILL.md."""
    plain, script = folder(skill, "with a script"), SkillFile.of("run.sh", content)
    return replace(plain, files=(*plain.files, script), contents={script.hash: content})


async def count_items(tenant: Tenant, user_id: str) -> int:
    """What the service asks for feeds of more than a hundred alone."""
    async with tenant._transactions.read() as connection:
        return await walk.count_items(connection, user_id)


def about_the_tenant() -> dict[str, Ask]:
    return {
        "get": lambda t: t.get(),
        "list_users": lambda t: t.list_users(),
        "list_skills": lambda t: t.list_skills(),
        "list_skills of all": lambda t: t.list_skills(status=None),
        "list_categories": lambda t: t.list_categories(),
        "list_slugs": lambda t: t.list_slugs(),
        "unused files": lambda t: t.prune_files(dry_run=True),
        **{f"first_pages {most}": partial(first_pages, max_lookups=most) for most in (1, 3, 4, 5, 64)},
    }


def about_user(user: str) -> dict[str, Ask]:
    after = FeedCursor(NOW, NOW - timedelta(hours=2), "a").encode()
    return {
        "get_user": lambda t: t.get_user(user),
        "get_active_user": lambda t: t.get_active_user(user),
        "get_session_generation": lambda t: t.get_session_generation(user),
        "list_skills": lambda t: t.list_skills(user),
        "get_user_views": lambda t: t.get_user_views_for_skills(user, NAMES),
        "get_updated": lambda t: t.get_updated_skill_ids(user, NAMES),
        "get_view_states": lambda t: t.get_view_states(user, NAMES),
        "get_changes": lambda t: t.get_changes_for_skills(user, NAMES),
        "count_items": lambda t: count_items(t, user),
        "get_whats_new": lambda t: t.get_whats_new_for_user(user),
        "get_whats_new again": lambda t: t.get_whats_new_for_user(user),
        "get_whats_new_page": lambda t: t.get_whats_new_page(user, 1),
        "get_whats_new_page after": lambda t: t.get_whats_new_page(user, 10, after),
        "count_whats_new": lambda t: t.count_whats_new(user),
    }


def about_skill(skill: str) -> dict[str, Ask]:
    return {
        "get_skill": lambda t: t.get_skill(skill, include_hidden=True),
        "get_skill_page": lambda t: t.get_skill_page("ann", skill),
        "list_versions": lambda t: t.list_versions(skill),
        "compare_versions": lambda t: t.compare_versions(skill, 1, 2),
        "get_version_number": lambda t: t.get_version_number(f"{skill}1"),
        "get_version": lambda t: t.get_version(skill, 1),
        "list_files": lambda t: t.list_files(skill),
        "read_file": lambda t: t.read_file(skill, "run.sh"),
        "get_archive": lambda t: archived(t, skill),
        "count_feedback_since": lambda t: t.count_feedback_since(skill, LONG_AGO),
        "list_feedback": lambda t: t.list_feedback(skill),
        "find_new_slug": lambda t: t.find_new_slug(skill),
        "get_changes of": lambda t: t.get_changes("ann", skill),
    }


def writes_to_skill(skill: str) -> dict[str, Ask]:
    slug = f"slug-{skill.removeprefix('slug-').removeprefix('old-')}"
    return {
        "publish what is published": lambda t: publish(t, slug, "1", author_id="ann"),
        "record": lambda t: t.record_skill_view("dora", skill, 1),
        "record for x": lambda t: t.record_skill_view("x", skill, 1),
        "mark all seen after": lambda t: t.mark_all_seen("dora", NOW),
        "visit": lambda t: t.visit_skill("carl", skill),
        "add_feedback": lambda t: t.add_feedback(skill, user_id="ann", comment="hello"),
        "publish": lambda t: publish(t, slug, "new", author_id="ann"),
        "publish by x": lambda t: publish(t, slug, "newer", author_id="x"),
        "archive": lambda t: t.archive_skill(skill),
        "publish hidden": lambda t: publish(t, slug, "hidden", author_id="ann"),
        "visit what is hidden": lambda t: t.visit_skill("carl", skill),
        "archive for another": lambda t: t.archive_skill(skill, successor="slug-b"),
        "visit what has a successor": lambda t: t.visit_skill("carl", skill),
        "restore": lambda t: t.restore_skill(skill),
        "rename": lambda t: t.rename_skill(skill, f"new-{skill}"),
        "rename back": lambda t: t.rename_skill(skill, slug),
        "rename to another's": lambda t: t.rename_skill(skill, "slug-d"),
        "publish with a file": lambda t: t.publish_skill(with_script(skill, b"theirs"), source="here"),
        "publish with another": lambda t: t.publish_skill(with_script(skill, b"one more"), quiet=True),
        "read what they have too": lambda t: t.read_file(skill, "run.sh", 1),
        "compare what was published": lambda t: compared(t, skill),
        "archive as zip": lambda t: archived(t, skill),
        "list_slugs of": lambda t: t.list_slugs(source="here"),
        "list_sourced_skills": lambda t: t.list_sourced_skills(),
        "mark_vanished_skills": lambda t: t.mark_vanished_skills("here", [slug]),
        "list_sourced_skills after": lambda t: t.list_sourced_skills(),
        "save_skill_source": lambda t: t.save_skill_source("here", ref="new", revision="1"),
        "get_skill_source": lambda t: source_of(t, "here"),
    }


async def source_of(tenant: Tenant, address: str) -> tuple[str | None, str | None]:
    """How far a source was synchronized, but for the moment."""
    source = await tenant.get_skill_source(address)
    return (None, None) if source is None else (source.ref, source.revision)


def writes_to_user(user: str) -> dict[str, Ask]:
    return {
        "mark_all_seen": lambda t: t.mark_all_seen(user, NOW),
        "end_sessions": lambda t: t.end_sessions(user),
        "admit_user": lambda t: t.admit_user(user, email=f"{user}@example.org"),
    }


def questions() -> Iterator[tuple[str, Ask]]:
    """Every call: about what acme has, about what its twins alone have, and about what acme hides; writes last."""
    yield from about_the_tenant().items()
    for about, subjects in (
        (about_user, WHO),
        (about_skill, NAMES),
        (writes_to_skill, [*IDS, "slug-a", "old-f", "slug-x"]),
        (writes_to_user, WHO),
    ):
        for subject in subjects:
            yield from ((f"{name} {subject}", ask) for name, ask in about(subject).items())
    yield "add_user", lambda t: t.add_user("y", email="x@example.com")
    yield "create", lambda t: t.create("Acme")
    yield "prune_files", lambda t: t.prune_files()


MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
RANDOM_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


def without_chance(text: str) -> str:
    """The same without the ids that PostgreSQL chose and the moments at which the questions were asked."""
    return RANDOM_ID.sub("<id>", MOMENT.sub(_or_now, text))


def _or_now(found: re.Match[str]) -> str:
    moment = datetime.fromisoformat(found[0])
    return "<now>" if NOW - timedelta(minutes=5) <= moment <= datetime.now(UTC) + timedelta(minutes=1) else found[0]


async def answer(ask: Ask, tenant: Tenant, patience: float) -> str:
    """What a caller learns, but for a cursor, which nobody can read. Waiting for a neighbour's row takes longer."""
    try:
        async with asyncio.timeout(patience):
            told = msgspec.to_builtins(await ask(tenant))
    except EverySkillError as error:
        return f"{type(error).__name__}: {error}"
    if isinstance(told, dict):
        told.pop("next_cursor", None)
    return without_chance(repr(told))


async def ask_all(database: Database, patience: float = 10.0) -> AsyncIterator[tuple[str, str]]:
    """Every question with acme's answer; then those of a tenant that is not there."""
    for name, ask in questions():
        yield name, await answer(ask, database.tenant("acme"), patience)
    nowhere: dict[str, Ask] = {
        "get": lambda t: t.get(),
        "record": lambda t: t.record_skill_view("ann", "a", 1),
        "visit": lambda t: t.visit_skill("ann", "a"),
    }
    for name, ask in nowhere.items():
        yield f"{name} nowhere", await answer(ask, database.tenant("nowhere"), patience)


async def rows_of(clone: Clone, *, twins: bool) -> dict[str, list[str]]:
    """What is really there: acme's rows, or all others."""
    connection = await asyncpg.connect(clone.superuser_url)
    rows = {}
    for table, column in TENANT_COLUMNS.items():
        question = f"SELECT to_jsonb(t)::text FROM {table} AS t WHERE ({column} <> 'acme') = $1"
        rows[table] = sorted(without_chance(row[0]) for row in await connection.fetch(question, twins))
    await connection.close()
    return rows


@asynccontextmanager
async def twins_locked(clone: Clone) -> AsyncIterator[None]:
    connection = await asyncpg.connect(clone.superuser_url)
    async with connection.transaction():
        for table, column in TENANT_COLUMNS.items():
            await connection.execute(f"SELECT FROM {table} WHERE {column} <> 'acme' FOR UPDATE")
        yield
    await connection.close()


async def alone(
    server: EmbeddedServer, pooler: PgBouncer | None, name: str
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """What acme is answered, and its rows after that, where nobody else is."""
    async with cloned(server, pooler, template=name) as clone:
        async with open_database(clone.service_url, LIMITS) as database:
            answers = {question: told async for question, told in ask_all(database)}
        return answers, await rows_of(clone, twins=False)


async def first_difference(
    server: EmbeddedServer,
    pooler: PgBouncer | None,
    name: str,
    answers: dict[str, str],
    rows: dict[str, list[str]],
    *,
    patience: float = 10.0,
) -> str | None:
    """The first question that acme is answered otherwise among its twins, or the first table that is left otherwise."""
    async with cloned(server, pooler, template=name) as clone:
        before = await rows_of(clone, twins=True)
        async with twins_locked(clone), open_database(clone.service_url, LIMITS) as database:
            async for question, told in ask_all(database, patience):
                if told != answers[question]:
                    return f"{question}: {told} instead of {answers[question]}"
        if (found := await rows_of(clone, twins=False)) != rows:
            return f"rows of acme: {[table for table in rows if rows[table] != found[table]]}"
        return None if await rows_of(clone, twins=True) == before else "rows of the twins"


# -- the promises ------------------------------------------------------------------------------------------------------


def find_statements() -> set[str]:
    """The text of each statement of the package."""
    modules = [module.name for module in walk_packages(everyskill.database.__path__, "everyskill.database.")]
    values = [value for name in modules for value in vars(import_module(name)).values()]
    return {value.text for value in values if isinstance(value, Statement)}


@pytest.mark.parametrize("is_forced", [True, False], ids=["both defences", "predicates alone"])
async def test_twins_with_the_same_ids_change_no_answer_and_no_row(
    server: EmbeddedServer, pooler: PgBouncer | None, queries: list[str], is_forced: bool
) -> None:
    async with staged(server, is_forced=is_forced) as (without, among):
        answers, rows = await alone(server, pooler, without)
        queries.clear()
        assert await first_difference(server, pooler, among, answers, rows) is None
    assert find_statements() - set(queries) == set(), "a statement that no question sends"
