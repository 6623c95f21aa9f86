"""Bad input gets a typed error with a stable code and a sentence for a person, and changes nothing."""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest
from msgspec.structs import asdict, replace

import everyskill
from everyskill import errors
from everyskill.backup.dump import dump
from everyskill.database.inspection import inspect
from everyskill.database.policies import TENANT_COLUMNS
from everyskill.embedded import EmbeddedServer
from everyskill.errors import EverySkillError
from everyskill.handles import Database, Tenant, list_tenants
from everyskill.migrations import upgrade
from everyskill.model import SkillFile, SkillFolder
from everyskill.model.inputs import check_ids
from everyskill.model.whats_new import FeedCursor
from everyskill.skill_folders import import_skill_folders
from tests.support.databases import DISCONNECTING, Clone, cloned
from tests.support.skills import folder, publish

NOW = datetime.now(UTC)
NAIVE = datetime(2026, 11, 21, 12)  # noqa: DTZ001 - what the test is about
BEFORE_ALL_TIME = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))

Act = Callable[[Tenant, str], Awaitable[Any]]

REFUSED: dict[str, tuple[Act, str]] = {
    "unknown skill": (lambda t, s: t.record_skill_view("ann", "nothing", 1), "skill_not_found"),
    "unknown user": (lambda t, s: t.record_skill_view("nobody", s, 1), "user_not_found"),
    "unknown author": (lambda t, s: publish(t, content="x", author_id="nobody"), "user_not_found"),
    "feedback by nobody": (lambda t, s: t.add_feedback(s, user_id="nobody", comment="x"), "user_not_found"),
    "unknown slug": (lambda t, s: t.get_skill("nothing"), "skill_not_found"),
    "empty user id": (lambda t, s: t.record_skill_view("", s, 1), "invalid_identifier"),
    "empty skill id": (lambda t, s: t.record_skill_view("ann", "", 1), "invalid_identifier"),
    "over-long id": (lambda t, s: t.get_user_view("ann", "x" * 256), "invalid_identifier"),
    "NUL in an id": (lambda t, s: t.get_user_view("ann", "a\0b"), "invalid_identifier"),
    "lone surrogate": (lambda t, s: t.get_user_view("ann", "\ud800"), "invalid_identifier"),
    "id of a wrong type": (lambda t, s: t.get_user_view("ann", 7), "invalid_identifier"),  # type: ignore[arg-type]
    "one text for many ids": (lambda t, s: t.get_updated_skill_ids("ann", "abc"), "invalid_identifier"),
    "NUL in a version id": (lambda t, s: t.get_version_number("\0"), "invalid_identifier"),
    "naive moment of a view": (lambda t, s: t.record_skill_view("ann", s, 1, NAIVE), "invalid_timestamp"),
    "naive as_of": (lambda t, s: t.mark_all_seen("ann", NAIVE), "invalid_timestamp"),
    "naive since": (lambda t, s: t.count_feedback_since(s, NAIVE), "invalid_timestamp"),
    "moment before all time": (lambda t, s: t.mark_all_seen("ann", BEFORE_ALL_TIME), "invalid_timestamp"),
    "cursor from before all time": (
        lambda t, s: t.get_whats_new_page("ann", cursor=FeedCursor(NOW, BEFORE_ALL_TIME, "x").encode()),
        "invalid_cursor",
    ),
    "cursor with an id that no text can be": (
        lambda t, s: t.get_whats_new_page("ann", cursor=FeedCursor(NOW, NOW, "a\0b").encode()),
        "invalid_cursor",
    ),
    "cursor of many brackets": (
        lambda t, s: t.get_whats_new_page("ann", cursor=urlsafe_b64encode(b"[" * 3_000).decode()),
        "invalid_cursor",
    ),
    "ids that are no collection": (lambda t, s: t.get_updated_skill_ids("ann", 7), "invalid_identifier"),  # type: ignore[arg-type]
    "an id among the ids that is none": (lambda t, s: t.get_updated_skill_ids("ann", [[]]), "invalid_identifier"),  # type: ignore[list-item]
    "an empty id among the ids": (lambda t, s: t.get_updated_skill_ids("ann", [s, ""]), "invalid_identifier"),
    "an over-long id among the ids": (lambda t, s: t.get_view_states("ann", [s, "x" * 256]), "invalid_identifier"),
    "category of a wrong type": (lambda t, s: t.list_skills(category=0), "invalid_text"),  # type: ignore[arg-type]
    "version 0": (lambda t, s: t.record_skill_view("ann", s, 0), "invalid_version"),
    "version beyond an integer": (lambda t, s: t.record_skill_view("ann", s, 2**31), "invalid_version"),
    "a bool for a version": (lambda t, s: t.record_skill_view("ann", s, True), "invalid_version"),
    "limit 0": (lambda t, s: t.get_whats_new_for_user("ann", 0), "invalid_limit"),
    "limit 101": (lambda t, s: t.get_whats_new_page("ann", 101), "invalid_limit"),
    "limit of a list": (lambda t, s: t.list_skills(limit=0), "invalid_limit"),
    "broken cursor": (lambda t, s: t.get_whats_new_page("ann", cursor="???"), "invalid_cursor"),
    "broken cursor of a list": (lambda t, s: t.list_skills(cursor="???"), "invalid_cursor"),
    "10,001 ids": (lambda t, s: t.get_user_views_for_skills("ann", map(str, range(10_001))), "too_many_ids"),
    "unknown status": (lambda t, s: t.list_skills(status="gone"), "invalid_choice"),
    "unknown role": (lambda t, s: t.add_user("eve", role="root"), "invalid_choice"),
    "user who is there": (lambda t, s: t.add_user("ann"), "user_exists"),
    "tenant that is there": (lambda t, s: t.create("Acme"), "tenant_exists"),
    "empty name": (lambda t, s: t.publish_skill(folder(name=" ")), "invalid_text"),
    "NUL in a description": (lambda t, s: t.publish_skill(folder(description="a\0b")), "invalid_text"),
    "over-long content": (lambda t, s: publish(t, content="x" * (2**20 + 1)), "invalid_text"),
    "content that is not the file's": (
        lambda t, s: t.publish_skill(replace(folder(), content="another")),
        "invalid_text",
    ),
    "no SKILL.md among the files": (lambda t, s: t.publish_skill(replace(folder(), files=())), "invalid_text"),
    "size that is none": (lambda t, s: t.publish_skill(with_file(size=1.5)), "invalid_text"),
    "a path that is listed twice": (lambda t, s: t.publish_skill(with_file(path="SKILL.md")), "invalid_text"),
    "10,001 files": (lambda t, s: t.publish_skill(with_files(10_001)), "invalid_text"),
    "hash that is none": (lambda t, s: t.publish_skill(with_file(hash="\0")), "invalid_text"),
    "bad slug": (lambda t, s: publish(t, "../etc"), "invalid_identifier"),
    "feedback that says nothing": (lambda t, s: t.add_feedback(s), "invalid_text"),
    "unknown sentiment": (lambda t, s: t.add_feedback(s, sentiment="meh"), "invalid_choice"),
}


# Whatever a caller without a type checker passes is refused by name.
WRONG_TYPES: dict[str, tuple[Callable[[Any, str], Awaitable[Any]], str]] = {
    "a dict for a folder": (lambda t, s: t.publish_skill({"slug": "pdf"}), "invalid_argument"),
    "nothing for a folder": (lambda t, s: t.publish_skill(None), "invalid_argument"),
    "a dict for a file": (lambda t, s: t.publish_skill(replace(folder(), files=({},))), "invalid_argument"),
    "a list of files": (lambda t, s: t.publish_skill(replace(folder(), files=[])), "invalid_argument"),
    "a number for a slug": (lambda t, s: t.publish_skill(replace(folder(), slug=1)), "invalid_identifier"),
    "a number for content": (lambda t, s: t.publish_skill(replace(folder(), content=1)), "invalid_text"),
    "a number for an author": (lambda t, s: publish(t, author_id=1), "invalid_identifier"),  # type: ignore[arg-type]
    "a text for the view before": (lambda t, s: t.get_skill_page("ann", s, before_visit="x"), "invalid_argument"),
    "a text for a version": (lambda t, s: t.record_skill_view("ann", s, "1"), "invalid_version"),
    "a text for a moment": (lambda t, s: t.record_skill_view("ann", s, 1, "now"), "invalid_timestamp"),
    "a text for as_of": (lambda t, s: t.mark_all_seen("ann", "now"), "invalid_timestamp"),
    "a text for since": (lambda t, s: t.count_feedback_since(s, "now"), "invalid_timestamp"),
    "a text for a number": (lambda t, s: t.compare_versions("pdf", 1, "2"), "invalid_version"),
    "a text for a limit": (lambda t, s: t.get_whats_new_for_user("ann", "1"), "invalid_limit"),
    "a text for at_most": (lambda t, s: t.count_whats_new("ann", "1"), "invalid_limit"),
    "a number for a cursor": (lambda t, s: t.get_whats_new_page("ann", cursor=1), "invalid_cursor"),
    "a number for a list's cursor": (lambda t, s: t.list_skills(cursor=1), "invalid_cursor"),
    "a number for a text": (lambda t, s: t.list_skills(text=1), "invalid_text"),
    "a list for a status": (lambda t, s: t.list_skills(status=[]), "invalid_choice"),
    "a number for a skill": (lambda t, s: t.get_skill(1), "invalid_identifier"),
    "a number to archive": (lambda t, s: t.archive_skill(1), "invalid_identifier"),
    "a number to restore": (lambda t, s: t.restore_skill(1), "invalid_identifier"),
    "a number for a user": (lambda t, s: t.add_user(1), "invalid_identifier"),
    "a number for an address": (lambda t, s: t.add_user("eve", email=1), "invalid_text"),
    "a list for a role": (lambda t, s: t.add_user("eve", role=[]), "invalid_choice"),
    "a number for a comment": (lambda t, s: t.add_feedback(s, comment=1), "invalid_text"),
    "a list for a sentiment": (lambda t, s: t.add_feedback(s, sentiment=[]), "invalid_choice"),
    "a number for a name": (lambda t, s: t.create(1), "invalid_text"),
    "a text for include_hidden": (lambda t, s: t.get_skill("pdf", include_hidden="yes"), "invalid_argument"),
    "a number for include_hidden": (lambda t, s: t.list_versions("pdf", include_hidden=1), "invalid_argument"),
    "a text for a page of versions": (lambda t, s: t.list_versions("pdf", limit="1"), "invalid_limit"),
    "a text for the newest version": (lambda t, s: t.list_versions("pdf", up_to="1"), "invalid_version"),
    "a number for a tenant's slug": (lambda t, s: t.create("Acme", slug=1), "invalid_identifier"),
}
REFUSED |= WRONG_TYPES

# Python refuses to write out a number of so many digits.
HUGE: Any = 10**5000
HUGE_NUMBERS: dict[str, tuple[Act, str]] = {
    "version": (lambda t, s: t.record_skill_view("ann", s, HUGE), "invalid_version"),
    "number": (lambda t, s: t.compare_versions("pdf", 1, HUGE), "invalid_version"),
    "limit": (lambda t, s: t.list_skills(limit=HUGE), "invalid_limit"),
    "at_most": (lambda t, s: t.count_whats_new("ann", HUGE), "invalid_limit"),
    "cursor": (lambda t, s: t.get_whats_new_page("ann", cursor=HUGE), "invalid_cursor"),
    "cursor of a list": (lambda t, s: t.list_skills(cursor=HUGE), "invalid_cursor"),
    "status": (lambda t, s: t.list_skills(status=HUGE), "invalid_choice"),
    "role": (lambda t, s: t.add_user("eve", role=HUGE), "invalid_choice"),
    "sentiment": (lambda t, s: t.add_feedback(s, sentiment=HUGE), "invalid_choice"),
    "feedback_type": (lambda t, s: t.add_feedback(s, comment="x", feedback_type=HUGE), "invalid_choice"),
    "file size": (lambda t, s: t.publish_skill(with_file(size=HUGE)), "invalid_text"),
}
REFUSED |= {f"huge {name}": refused for name, refused in HUGE_NUMBERS.items()}


class Markup(str):
    """Text that a template engine marked as safe, say; it spells itself in its own way."""

    __slots__ = ()

    def __str__(self) -> str:
        return "<b>" + self


def with_file(**odd: Any) -> SkillFolder:
    file = replace(SkillFile("notes.md", 1, "0" * 64), **odd)
    return replace(folder(), files=(*folder().files, file))


def with_files(count: int) -> SkillFolder:
    files = tuple(SkillFile(f"{number}.md", 1, "0" * 64) for number in range(1, count))
    return replace(folder(), files=(*folder().files, *files))


@pytest.mark.parametrize("case", REFUSED)
async def test_bad_input_is_refused_by_code_and_changes_nothing(
    acme: Tenant, owner: asyncpg.Connection, case: str
) -> None:
    skill = await publish(acme)
    act, code = REFUSED[case]
    before = await everything(owner)
    with pytest.raises(EverySkillError) as refused:
        await act(acme, skill.skill_id)
    assert refused.value.code == code
    assert str(refused.value)
    assert repr(refused.value)
    assert await everything(owner) == before


def test_a_skill_whose_content_is_no_text_is_refused() -> None:
    with pytest.raises(errors.InvalidText, match="content must be text"):
        SkillFolder.from_content("pdf", name="PDF", description="…", content=None)  # type: ignore[arg-type]


async def test_s3_the_same_files_in_another_order_are_no_change(acme: Tenant) -> None:
    await acme.publish_skill(with_files(3))
    turned = replace(with_files(3), files=with_files(3).files[::-1])
    assert (await acme.publish_skill(turned)).outcome == "unchanged"


async def test_texts_of_a_class_that_no_encoder_knows_are_texts_like_others(database: Database) -> None:
    tenant, text = database.tenant(Markup("globex")), Markup
    await tenant.create(text("Globex"), slug=text("globex"))
    await tenant.add_user(text("ann"), email=text("ann@globex"), name=text("Ann"), role=text("admin"))
    file = SkillFile(text("a.md"), 1, text("0" * 64))
    fields = {name: text(value) for name, value in asdict(folder()).items() if isinstance(value, str)}
    skill = await tenant.publish_skill(
        replace(folder(), **fields, files=(*folder().files, file)), author_id=text("ann")
    )
    await tenant.add_feedback(text(skill.skill_id), user_id=text("ann"), comment=text("Good"))
    page = await tenant.get_skill_page(text("ann"), text("pdf"))
    assert page.published is not None
    assert page.published.files[-1] == SkillFile("a.md", 1, "0" * 64)
    assert [item.comment for item in page.feedback] == ["Good"]


async def test_as_many_files_as_a_folder_may_hold_are_published(acme: Tenant) -> None:
    assert (await acme.publish_skill(with_files(10_000))).outcome == "added"


def test_a_list_of_ids_is_read_no_further_than_one_call_may_name() -> None:
    ids = count()
    with pytest.raises(errors.TooManyIds):
        check_ids("skill_ids", map(str, ids))
    assert next(ids) == 10_001


@pytest.mark.parametrize("root", ["\0", "\ud800"])
async def test_a_root_that_no_path_can_be_is_named(acme: Tenant, root: str) -> None:
    with pytest.raises(errors.SkillFolderError, match="no path"):
        await import_skill_folders(acme, root)


async def test_a_count_of_views_stays_at_the_greatest_there_is(acme: Tenant, owner: asyncpg.Connection) -> None:
    skill = await publish(acme)
    await acme.record_skill_view("ann", skill.skill_id, 1)
    await owner.execute("UPDATE user_skill_views SET view_count = 2147483647")
    await acme.record_skill_view("ann", skill.skill_id, 1)
    view = await acme.get_user_view("ann", skill.skill_id)
    assert view is not None
    assert view.view_count == 2**31 - 1


async def test_ids_that_no_index_can_hold_together_are_refused(database: Database, owner: asyncpg.Connection) -> None:
    # Each is an id; random, as indexes compress.
    tenant_id, user_id, skill_id = ("".join(map(chr, Random(n).choices(range(0x1F300, 0x1F6FF), k=255))) for n in "123")
    await owner.execute("INSERT INTO tenants (id, name, slug) VALUES ($1, 'Long', 'long')", tenant_id)
    await owner.execute("INSERT INTO users (tenant_id, id) VALUES ($1, $2)", tenant_id, user_id)
    columns = "tenant_id, id, name, slug, description, category, status"
    values = "$1, $2, 'x', 'x', 'x', 'x', 'published'"
    await owner.execute(f"INSERT INTO skills ({columns}) VALUES ({values})", tenant_id, skill_id)
    with pytest.raises(errors.InvalidIdentifier, match="too long"):
        await database.tenant(tenant_id).record_skill_view(user_id, skill_id, 1)


@pytest.mark.parametrize("url", [5, b"postgresql://localhost", "", "mysql://localhost"])
def test_what_is_no_database_url_is_refused(url: Any) -> None:
    with pytest.raises(errors.InvalidSetting):
        everyskill.connect(url or "x")


async def test_what_is_no_tenant_id_is_refused(database: Database) -> None:
    for tenant_id in (None, 5, "", "a\0b"):
        with pytest.raises(errors.InvalidIdentifier):
            database.tenant(tenant_id)  # type: ignore[arg-type]


async def everything(owner: asyncpg.Connection) -> dict[str, Any]:
    return {table: await owner.fetchval(f"SELECT array_agg(t::text) FROM {table} AS t") for table in TENANT_COLUMNS}


@pytest.mark.parametrize(
    "act",
    [
        lambda t: t.record_skill_view("ann", "pdf", 1),
        lambda t: t.add_user("ann"),
        lambda t: t.publish_skill(folder()),
        lambda t: t.get(),
    ],
)
async def test_an_unknown_tenant_is_named(database: Database, act: Callable[[Tenant], Awaitable[Any]]) -> None:
    with pytest.raises(errors.TenantNotFound, match="initech"):
        await act(database.tenant("initech"))


@pytest.mark.parametrize("tenant_id", ["", "x" * 256, "a\0b"])
async def test_no_tenant_handle_is_made_for_an_impossible_id(database: Database, tenant_id: str) -> None:
    with pytest.raises(errors.InvalidIdentifier):
        database.tenant(tenant_id)


def test_every_error_has_a_code_of_its_own_and_a_sentence() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EverySkillError)]
    codes = [kind.code for kind in kinds]
    assert len(set(codes)) == len(codes)
    assert str(errors.SkillNotFound("{x}")) == "There is no skill '{x}' in this tenant."


async def test_a_server_that_ends_during_a_question_is_unreachable(
    clone: Clone, database: Database, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    await owner.execute(DISCONNECTING)
    for asked in (
        everyskill.connect(clone.service_url).__aenter__(),
        database.check(),
        list_tenants(clone.owner_url),
        inspect(clone.service_url),
        dump(clone.superuser_url, tmp_path / "dump", own_programs=None),
    ):
        # The second is what PgBouncer makes of it.
        with pytest.raises(errors.DatabaseUnreachable, match=r"terminating connection|server conn crashed"):
            await asked


# -- a database that must not be served from ----------------------------------------------------------------------


async def opening(url: str) -> EverySkillError:
    with pytest.raises(EverySkillError) as refused:
        async with everyskill.connect(url):
            pass
    return refused.value


@pytest.fixture
async def stranger(clone: Clone, owner: asyncpg.Connection) -> AsyncIterator[str]:
    """The URL of a login that belongs to nobody; the test gives it what it wants."""
    role = f"stranger_of_{clone.name}"
    await owner.execute(f"CREATE ROLE {role} LOGIN")
    yield clone.service_url.replace("everyskill_service", role)
    await owner.execute(f"REASSIGN OWNED BY {role} TO everyskill_owner; DROP OWNED BY {role}; DROP ROLE {role}")


def role_in(url: str) -> str:
    return url.removeprefix("postgresql://").partition("@")[0]


async def test_options_that_are_no_settings_are_refused(clone: Clone) -> None:
    assert (await opening(f"{clone.service_url}&options=-c%20x")).code == "invalid_setting"


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP", "SQL_ASCII"])
async def test_a_database_that_cannot_hold_every_text_is_refused(
    server: EmbeddedServer, owner: asyncpg.Connection, encoding: str
) -> None:
    template = f"template0 ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'"
    async with cloned(server, template=template) as clone:
        await upgrade(clone.owner_url)
        refused = await opening(clone.service_url)
    assert refused.code == "wrong_encoding"
    assert encoding in str(refused)


@pytest.mark.parametrize("grant", ["ALTER ROLE {} SUPERUSER", "ALTER ROLE {} BYPASSRLS", "GRANT postgres TO {}"])
async def test_a_role_that_is_or_may_become_a_superuser_is_refused(
    stranger: str, owner: asyncpg.Connection, grant: str
) -> None:
    await owner.execute(grant.format(role_in(stranger)))
    assert (await opening(stranger)).code == "unsafe_role"


@pytest.mark.parametrize(
    ("grant", "reason"),
    [
        ("ALTER ROLE {} CREATEROLE", "CREATEROLE"),
        ("ALTER ROLE {} REPLICATION", "REPLICATION"),
        ("GRANT pg_execute_server_program TO {}", "pg_execute_server_program"),
        ("GRANT pg_read_server_files TO {}", "pg_read_server_files"),
        ("GRANT pg_write_server_files TO {}", "pg_write_server_files"),
        ("GRANT everyskill_operator TO {}", "everyskill_operator"),
        ("ALTER DATABASE {database} OWNER TO {}", "owns the database"),
        ("ALTER SCHEMA public OWNER TO {}", "owns the database or its schema public"),
    ],
)
async def test_a_role_that_could_make_itself_see_all_tenants_is_refused(
    clone: Clone, stranger: str, owner: asyncpg.Connection, grant: str, reason: str
) -> None:
    await owner.execute(f"GRANT everyskill_app TO {role_in(stranger)}")
    async with everyskill.connect(stranger):
        pass
    await owner.execute(grant.format(role_in(stranger), database=clone.name))
    refused = await opening(stranger)
    assert refused.code == "unsafe_role"
    assert reason in str(refused)


async def test_roles_that_watch_the_server_may_serve(stranger: str, owner: asyncpg.Connection) -> None:
    await owner.execute(f"GRANT everyskill_app, pg_monitor, pg_read_all_data TO {role_in(stranger)}")
    async with everyskill.connect(stranger):
        pass


async def test_the_owner_and_who_may_become_the_owner_are_refused(
    clone: Clone, stranger: str, owner: asyncpg.Connection
) -> None:
    assert (await opening(clone.owner_url)).code == "unsafe_role"
    await owner.execute(f"ALTER ROLE {role_in(stranger)} NOINHERIT; GRANT everyskill_owner TO {role_in(stranger)}")
    assert (await opening(stranger)).code == "unsafe_role"


async def test_a_login_that_would_find_other_tables_than_ours_is_refused(
    clone: Clone, acme: Tenant, owner: asyncpg.Connection
) -> None:
    await owner.execute("CREATE SCHEMA shadow; CREATE TABLE shadow.user_skill_views (tenant_id text)")
    await owner.execute("GRANT USAGE ON SCHEMA shadow TO everyskill_app")
    assert (await opening(clone.direct_url + "&search_path=shadow,public")).code == "unsafe_role"


async def test_a_login_without_the_applications_role_is_told_what_it_needs(stranger: str) -> None:
    refused = await opening(stranger)
    assert refused.code == "missing_privilege"
    assert "everyskill_app" in str(refused)


async def test_an_empty_database_is_not_migrated(empty_clone: Clone) -> None:
    refused = await opening(empty_clone.service_url)
    assert refused.code == "database_not_migrated"
    assert "everyskill db upgrade" in str(refused)


@pytest.mark.parametrize(
    ("revision", "code"), [("0038_skill_catalog", "database_not_migrated"), ("9999_later", "database_too_new")]
)
async def test_another_revision_is_named_as_older_or_newer(
    clone: Clone, owner: asyncpg.Connection, revision: str, code: str
) -> None:
    await owner.execute("UPDATE alembic_version SET version_num = $1", revision)
    refused = await opening(clone.service_url)
    assert refused.code == code
    assert revision in str(refused)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://ann@127.0.0.1:1/nothing", "database_unreachable"),
        ("postgresql://ann@/nothing?host=/no/such/folder", "database_unreachable"),
        ("postgresql://[bad", "invalid_setting"),
        ("postgresql://ann@host:port/x", "invalid_setting"),
        ("mysql://ann@localhost/x", "invalid_setting"),
        ("embedded://relative/path", "invalid_setting"),
    ],
)
async def test_a_database_that_cannot_be_reached_says_so(url: str, code: str) -> None:
    with pytest.raises(EverySkillError) as refused:
        async with everyskill.connect(url):
            pass
    assert refused.value.code == code


async def test_a_database_that_does_not_exist_is_unreachable(clone: Clone) -> None:
    assert (await opening(clone.service_url.replace(clone.name, "no_such_database"))).code == "database_unreachable"


@pytest.mark.parametrize("parameter", ["no_such_parameter=1", "statement_timeout=soon", "max_connections=9"])
async def test_a_url_with_a_parameter_that_the_server_refuses_is_invalid(clone: Clone, parameter: str) -> None:
    assert (await opening(f"{clone.service_url}&{parameter}")).code == "invalid_setting"


async def test_a_database_that_takes_no_writes_is_named_so(acme: Tenant, clone: Clone) -> None:
    skill = await publish(acme)
    async with everyskill.connect(f"{clone.direct_url}&default_transaction_read_only=on") as standby:
        reader = standby.tenant("acme")
        assert await reader.get_user_view("ann", skill.skill_id) is None
        with pytest.raises(errors.DatabaseReadOnly):
            await publish(reader, content="two")


async def test_a_grant_that_somebody_took_away_is_named(acme: Tenant, owner: asyncpg.Connection) -> None:
    await owner.execute("REVOKE SELECT ON skill_feedback FROM everyskill_app")
    skill = await publish(acme)
    with pytest.raises(errors.MissingPrivilege, match="skill_feedback"):
        await acme.count_feedback_since(skill.skill_id, datetime.now(UTC))


async def test_a_server_that_goes_away_is_unreachable_and_comes_back(acme: Tenant, clone: Clone) -> None:
    skill = await publish(acme)
    outside = await asyncpg.connect(clone.server.superuser_url)
    await outside.execute(f"ALTER DATABASE {clone.name} ALLOW_CONNECTIONS false")
    await outside.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", clone.name)
    with pytest.raises(errors.DatabaseUnreachable):
        await acme.record_skill_view("ann", skill.skill_id, 1)
    await outside.execute(f"ALTER DATABASE {clone.name} ALLOW_CONNECTIONS true")
    await outside.close()
    if clone.pooler:
        # It remembers for a moment that nobody could log in.
        async with asyncio.timeout(30):
            while not await is_reachable(acme):  # noqa: ASYNC110 - it is the pooler's own time
                await asyncio.sleep(0.1)
    await acme.record_skill_view("ann", skill.skill_id, 1)


async def is_reachable(tenant: Tenant) -> bool:
    try:
        await tenant.get()
    except errors.DatabaseUnreachable:
        return False
    return True


async def test_a_database_that_is_not_open_has_no_tenants(clone: Clone) -> None:
    closed = everyskill.connect(clone.service_url)
    with pytest.raises(errors.DatabaseUnreachable, match="async with"):
        closed.tenant("acme")


async def test_only_an_operator_lists_the_tenants(acme: Tenant, globex: Tenant, clone: Clone) -> None:
    assert [tenant.id for tenant in await list_tenants(clone.owner_url)] == ["acme", "globex"]
    with pytest.raises(errors.MissingPrivilege, match="everyskill_operator"):
        await list_tenants(clone.service_url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("POOL_SIZE", value) for value in ("0", "1001", "many", "-1")),
        *(("LOCK_TIMEOUT", value) for value in ("0", "51", "nan", "inf")),
        *(("DIFF_LINES", value) for value in ("0", "20001")),
    ],
)
def test_a_setting_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"EVERYSKILL_{name}", value)
    with pytest.raises(errors.InvalidSetting, match=f"EVERYSKILL_{name}"):
        everyskill.connect("postgresql:///x")


def test_a_folder_says_which_of_its_fields_cannot_be_stored() -> None:
    broken = SkillFolder.from_content("pdf", name="x" * 201, description="…", content="")
    with pytest.raises(errors.InvalidText, match="name must not be longer"):
        broken.checked()


async def test_a_login_without_any_role_of_ours_is_told_so(clone: Clone, owner: asyncpg.Connection) -> None:
    login = f"bare_{clone.name}"
    await owner.execute(f"CREATE ROLE {login} LOGIN")
    url = clone.service_url.replace("everyskill_service", login)
    try:
        for refused in (list_tenants(url), everyskill.connect(url).__aenter__()):
            with pytest.raises(errors.MissingPrivilege):
                await refused
    finally:
        await owner.execute(f"DROP ROLE {login}")
