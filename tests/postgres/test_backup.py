"""Dumps and restores, with the real pg_dump and pg_restore: whole or refused, all or nothing."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import zipfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from everyskill import backup
from everyskill.backup.contents import Contents
from everyskill.backup.dump_file import CONTENTS, DATABASE, new_dump_file
from everyskill.backup.programs import Programs, login_of
from everyskill.errors import (
    DatabaseNotEmpty,
    DatabaseNotMigrated,
    DumpFailed,
    EverySkillError,
    InvalidArgument,
    InvalidDump,
    LockTimeout,
    MissingPrivilege,
    PostgresProgramsMissing,
    RestoreFailed,
)
from everyskill.handles import Tenant, own_programs
from tests.support.databases import Clone, open_database
from tests.support.skills import publish, with_script

PROGRAMS = own_programs()
POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "everyskill.dump"


@pytest.fixture
async def dumped(clone: Clone, acme: Tenant, file: Path) -> Contents:
    """A dump of a database with a skill that ann has seen."""
    skill_id = (await publish(acme, "deploy")).skill_id
    await acme.record_skill_view("ann", skill_id, 1)
    return await backup.dump(clone.superuser_url, file, own_programs=PROGRAMS)


@pytest.fixture
async def role(owner: asyncpg.Connection) -> AsyncIterator[str]:
    """Another program's role that may read skills."""
    name = f"reports_{os.getpid()}"
    await owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'; GRANT SELECT ON skills TO {name}")
    yield name
    await owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


async def restore(to: Clone, file: Path) -> backup.Restored:
    return await backup.restore(to.superuser_url, file, own_programs=PROGRAMS)


async def fetchval(url: str, sql: str, *arguments: object) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql, *arguments)
    finally:
        await connection.close()


async def is_empty(clone: Clone) -> bool:
    tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    return await fetchval(clone.superuser_url, tables) == 0


def script(folder: Path, text: str, name: str = "pg_dump") -> Path:
    """A folder with a pg_dump that does this."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    return folder


def tamper(file: Path, **changes: object) -> None:
    """Writes the dump again, with other contents beside the same rows."""
    with zipfile.ZipFile(file) as archive:
        rows, contents = archive.read(DATABASE), msgspec.json.decode(archive.read(CONTENTS))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(DATABASE, rows)
        archive.writestr(CONTENTS, msgspec.json.encode(contents | changes))


def damage(file: Path, kind: str) -> None:
    whole = file.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    # The second number of the format, after "PGDMP" and the first.
    newer = whole[:6] + b"\x63" + whole[7:]
    kinds = {"flipped": flipped, "text": b"no dump", "empty": b"", "newer": newer}
    file.write_bytes(kinds.get(kind, whole[:-2000]))


def files_in(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.iterdir()):
        if path.is_file():
            yield path.name, path.read_bytes()


def bare(clone: Clone, file: Path) -> None:
    command = [str(PROGRAMS and PROGRAMS / "pg_dump"), "-Fc", "-f", str(file), clone.superuser_url]
    subprocess.run(command, check=True)


# -- whole ---------------------------------------------------------------------------------------------------------


async def test_a_restored_database_has_every_row_and_is_safe_to_serve(
    dumped: Contents, empty_clone: Clone, file: Path
) -> None:
    restored = await restore(empty_clone, file)
    assert restored.counts == dumped.counts
    assert {name: dumped.counts[f"public.{name}"] for name in ("users", "skills", "user_skill_views")} == {
        "users": 2,
        "skills": 1,
        "user_skill_views": 1,
    }
    assert restored.findings
    assert [finding for finding in restored.findings if not finding.ok] == []


async def test_a_restored_database_has_the_bytes_of_every_file(
    clone: Clone, acme: Tenant, empty_clone: Clone, file: Path
) -> None:
    await acme.publish_skill(with_script("echo one\n"), note="First")
    await backup.dump(clone.superuser_url, file, own_programs=PROGRAMS)
    await restore(empty_clone, file)
    async with open_database(empty_clone.service_url) as database:
        restored = database.tenant("acme")
        assert (await restored.read_file("pdf", "run.sh")).content == b"echo one\n"
        assert await restored.get_version("pdf", 1) == await acme.get_version("pdf", 1)


async def test_a_login_with_bypassrls_dumps_every_row(
    dumped: Contents, clone: Clone, owner: asyncpg.Connection, role: str, file: Path
) -> None:
    await owner.execute(f"ALTER ROLE {role} BYPASSRLS; GRANT pg_read_all_data TO {role}")
    url = clone.superuser_url.replace("//postgres@", f"//{role}@")
    again = await backup.dump(url, file, own_programs=PROGRAMS)
    assert again.counts == dumped.counts


async def test_a_url_with_settings_of_the_session_dumps_and_restores(
    clone: Clone, empty_clone: Clone, file: Path
) -> None:
    settings = "&statement_timeout=90s&datestyle=ISO,%20DMY&application_name=nightly&connect_timeout=9"
    dumped = await backup.dump(clone.superuser_url + settings, file, own_programs=PROGRAMS)
    restored = await backup.restore(empty_clone.superuser_url + settings, file, own_programs=PROGRAMS)
    assert restored.counts == dumped.counts


async def test_what_is_written_during_a_dump_is_in_its_counts_and_its_rows_or_in_neither(
    clone: Clone, empty_clone: Clone, acme: Tenant, file: Path
) -> None:
    dumping = asyncio.create_task(backup.dump(clone.superuser_url, file, own_programs=PROGRAMS))
    added = 0
    while not dumping.done():
        await acme.add_user(f"user-{added}")
        added += 1
    assert added
    assert (await restore(empty_clone, file)).counts == (await dumping).counts


async def test_roles_that_the_server_lacks_are_made_without_their_password(
    clone: Clone, empty_clone: Clone, owner: asyncpg.Connection, role: str, file: Path
) -> None:
    await backup.dump(clone.superuser_url, file, own_programs=PROGRAMS)
    await owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    restored = await restore(empty_clone, file)
    assert restored.roles == [role]
    may_read = await fetchval(empty_clone.superuser_url, "SELECT has_table_privilege($1, 'skills', 'SELECT')", role)
    has_password = await owner.fetchval("SELECT rolpassword IS NOT NULL FROM pg_authid WHERE rolname = $1", role)
    await fetchval(empty_clone.superuser_url, f"DROP OWNED BY {role}")
    assert (may_read, has_password) == (True, False)


async def test_the_owner_of_the_database_owns_what_is_restored(
    dumped: Contents, empty_clone: Clone, owner: asyncpg.Connection, role: str, file: Path
) -> None:
    await owner.execute(f"ALTER DATABASE {empty_clone.name} OWNER TO {role}")
    await restore(empty_clone, file)
    owners = "SELECT array_agg(DISTINCT tableowner::text) FROM pg_tables WHERE schemaname = 'public'"
    found = await fetchval(empty_clone.superuser_url, owners)
    await owner.execute(f"ALTER DATABASE {empty_clone.name} OWNER TO postgres")
    await fetchval(empty_clone.superuser_url, f"REASSIGN OWNED BY {role} TO postgres")
    assert found == [role]


async def test_a_database_of_the_superuser_is_given_to_the_owner_in_the_dump(
    dumped: Contents, empty_clone: Clone, owner: asyncpg.Connection, file: Path
) -> None:
    await owner.execute(f"ALTER DATABASE {empty_clone.name} OWNER TO postgres")
    await restore(empty_clone, file)
    owned_by = "SELECT datdba::regrole::text FROM pg_database WHERE datname = $1"
    assert await owner.fetchval(owned_by, empty_clone.name) == "everyskill_owner"


async def test_what_pg_dump_wrote_by_itself_is_restored_without_counts(
    clone: Clone, acme: Tenant, empty_clone: Clone, file: Path
) -> None:
    bare(clone, file)
    restored = await restore(empty_clone, file)
    assert restored.counts is None
    assert await fetchval(empty_clone.superuser_url, "SELECT count(*) FROM users") == 2


@pytest.fixture(scope="module")
def postgres_15() -> Iterator[str]:
    """The URL of a superuser, with a password, of a PostgreSQL 15 that is not ours."""
    if not POSTGRES_15.is_dir():
        pytest.skip("needs another PostgreSQL: apt-get install postgresql-15")
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="everyskill-15-") as home:
        folder, password = Path(home) / "data", Path(home) / "password"
        password.write_text("a/b c")
        if user:
            shutil.chown(home, user)
            shutil.chown(password, user)
        options = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync"]
        server = ["pg_ctl", "-w", "-D", str(folder), "-l", f"{folder}/log"]

        def run(program: str, *arguments: str) -> None:
            command = [str(POSTGRES_15 / program), *arguments]
            subprocess.run(command, check=True, user=user, stdout=subprocess.DEVNULL)

        run("initdb", "-D", str(folder), *options)
        run(*server, "-o", f"-h '' -k {home} -c fsync=off", "start")
        yield f"postgresql://postgres:a%2Fb%20c@/postgres?host={home}"
        run(*server, "stop")


async def test_it_moves_to_another_server_and_back(
    dumped: Contents, empty_clone: Clone, postgres_15: str, file: Path, tmp_path: Path
) -> None:
    name = empty_clone.name
    await fetchval(postgres_15, f"CREATE DATABASE {name}")
    elsewhere = postgres_15.replace("/postgres?", f"/{name}?")
    there = await backup.restore(elsewhere, file, own_programs=PROGRAMS)
    again = tmp_path / "again.dump"
    assert (await backup.dump(elsewhere, again, own_programs=PROGRAMS)).counts == dumped.counts
    back = await restore(empty_clone, again)
    assert there.counts == back.counts == dumped.counts
    assert all(finding.ok for finding in [*there.findings, *back.findings])


# -- or refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["owner_url", "service_url"])
async def test_a_login_that_would_not_see_all_rows_is_refused(clone: Clone, file: Path, login: str) -> None:
    with pytest.raises(MissingPrivilege, match="BYPASSRLS"):
        await backup.dump(getattr(clone, login), file, own_programs=PROGRAMS)
    assert not list(file.parent.iterdir())


async def test_a_database_without_our_tables_is_not_dumped(empty_clone: Clone, file: Path) -> None:
    with pytest.raises(DatabaseNotMigrated):
        await backup.dump(empty_clone.superuser_url, file, own_programs=PROGRAMS)


@pytest.mark.usefixtures("newest_server")
@pytest.mark.parametrize("table", ["skills", "alembic_version"])
async def test_a_dump_does_not_wait_for_ever_for_a_locked_table(
    clone: Clone, owner: asyncpg.Connection, file: Path, table: str
) -> None:
    async with asyncio.timeout(20), owner.transaction():
        await owner.execute(f"LOCK TABLE {table}")
        with pytest.raises(LockTimeout):
            await backup.dump(clone.superuser_url, file, own_programs=PROGRAMS, lock_wait="10ms")
    assert not list(file.parent.iterdir())


@pytest.mark.usefixtures("newest_server")
async def test_a_dump_that_fails_leaves_the_file_of_the_last_one(
    dumped: Contents, clone: Clone, file: Path, tmp_path: Path
) -> None:
    before = list(files_in(tmp_path))
    fails = "[ $1 = --version ] && echo 'pg_dump 99' || { echo some; echo 'pg_dump: error: no more' >&2; exit 1; }"
    with pytest.raises(DumpFailed, match="no more"):
        await backup.dump(clone.superuser_url, file, own_programs=script(tmp_path / "bin", fails))
    assert list(files_in(tmp_path)) == before


async def test_what_a_killed_dump_left_is_replaced_by_the_next(clone: Clone, file: Path) -> None:
    file.with_name(f".{file.name}.unfinished").write_bytes(b"unfinished" * 1_000_000)
    await backup.dump(clone.superuser_url, file, own_programs=PROGRAMS)
    [(name, content)] = files_in(file.parent)
    assert name == file.name
    assert b"unfinished" * 2 not in content


async def test_a_second_dump_to_the_same_name_is_refused_and_leaves_the_first(file: Path) -> None:
    with new_dump_file(file) as first:
        with pytest.raises(DumpFailed, match="another program"), new_dump_file(file):
            pass
        first.writestr("whole", "yes")
    assert zipfile.ZipFile(file).read("whole") == b"yes"


@pytest.mark.usefixtures("newest_server")
async def test_only_a_file_is_replaced_by_a_dump(clone: Clone, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="FILE"):
        await backup.dump(clone.superuser_url, tmp_path, own_programs=PROGRAMS)


@pytest.mark.usefixtures("newest_server")
async def test_programs_that_are_too_old_are_named(
    clone: Clone, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(script(tmp_path / "bin", "echo 'pg_dump (PostgreSQL) 9.6.24'")))
    with pytest.raises(PostgresProgramsMissing, match=f"{clone.version} or newer; found 9.6.24 in {tmp_path}/bin"):
        await backup.dump(clone.superuser_url, file, own_programs=None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PostgresProgramsMissing, match="found none"):
        await backup.dump(clone.superuser_url, file, own_programs=None)


async def test_nothing_is_restored_into_a_database_that_holds_something(
    dumped: Contents, clone: Clone, file: Path
) -> None:
    with pytest.raises(DatabaseNotEmpty):
        await restore(clone, file)
    assert await fetchval(clone.superuser_url, "SELECT count(*) FROM skills") == 1


async def test_only_a_superuser_restores(dumped: Contents, empty_clone: Clone, file: Path) -> None:
    with pytest.raises(MissingPrivilege, match="superuser"):
        await backup.restore(empty_clone.owner_url, file, own_programs=PROGRAMS)


async def test_a_restore_with_other_counts_changes_nothing(
    dumped: Contents, empty_clone: Clone, owner: asyncpg.Connection, file: Path
) -> None:
    tamper(file, counts=dumped.counts | {"public.users": 3}, roles=[{"name": "another", "login": True}])
    with pytest.raises(RestoreFailed, match=r"2 of 3 rows of public\.users were restored"):
        await restore(empty_clone, file)
    assert await is_empty(empty_clone)
    assert await owner.fetchval("SELECT to_regrole('another')") is None


async def test_what_fails_after_everything_was_restored_is_a_finding(
    clone: Clone, empty_clone: Clone, acme: Tenant, owner: asyncpg.Connection, file: Path
) -> None:
    await owner.execute(
        "ALTER TABLE alembic_version RENAME TO kept; CREATE VIEW alembic_version AS SELECT (1 / 0)::text AS version_num"
    )
    await owner.execute("GRANT SELECT ON alembic_version TO PUBLIC")
    bare(clone, file)
    restored = await restore(empty_clone, file)
    assert [(finding.ok, finding.detail) for finding in restored.findings] == [(False, "division by zero")]
    assert not await is_empty(empty_clone)


async def test_a_restore_that_is_cancelled_when_all_is_committed_keeps_its_roles(
    clone: Clone, empty_clone: Clone, owner: asyncpg.Connection, role: str, tmp_path: Path
) -> None:
    file, programs = tmp_path / "everyskill.dump", tmp_path / "bin"
    await backup.dump(clone.superuser_url, file, own_programs=PROGRAMS)
    await owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    for name, then in {"pg_dump": "", "pg_restore": "", "psql": f"touch {tmp_path}/committed; exec sleep 60"}.items():
        script(programs, f'{PROGRAMS}/{name} "$@"\n{then}', name)
    restoring = asyncio.create_task(backup.restore(empty_clone.superuser_url, file, own_programs=programs))
    while not (restoring.done() or (tmp_path / "committed").exists()):  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.01)
    restoring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await restoring
    may_read = await fetchval(empty_clone.superuser_url, "SELECT has_table_privilege($1, 'skills', 'SELECT')", role)
    await fetchval(empty_clone.superuser_url, f"DROP OWNED BY {role}")
    assert may_read


async def test_a_restore_that_fails_early_ends(dumped: Contents, empty_clone: Clone, clone: Clone, file: Path) -> None:
    """Also where more than a pipe holds is still to come."""
    long = "SELECT string_agg(md5(n::text), '') FROM generate_series(1, 200000) AS n"
    await fetchval(clone.superuser_url, f"CREATE TABLE others AS {long}")
    await backup.dump(clone.superuser_url, file, own_programs=PROGRAMS)
    await fetchval(empty_clone.superuser_url, "CREATE TYPE public.alembic_version AS ENUM ()")
    with pytest.raises(RestoreFailed, match="already exists"):
        await restore(empty_clone, file)
    assert await is_empty(empty_clone)


async def test_a_program_whose_output_nobody_reads_any_more_is_ended(tmp_path: Path) -> None:
    """A pg_restore whose psql ended early, say: the restore fails, and does not wait for ever."""
    programs = Programs(script(tmp_path / "bin", "exec head -c 20000000 /dev/zero"))
    async with asyncio.timeout(20):
        with (tmp_path / "stderr").open("wb") as stderr:
            login = login_of("postgresql:///everyskill")
            async with programs.start("pg_dump", login=login, stderr=stderr, stdout=PIPE) as process:
                while not is_paused(process):  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0.01)
    assert process.returncode


def is_paused(process: Process) -> bool:
    return bool(process.stdout and process.stdout._paused)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("newest_server")
@pytest.mark.parametrize("kind", ["flipped", "cut", "text", "empty", "bare and cut"])
async def test_a_damaged_file_changes_nothing(
    dumped: Contents, clone: Clone, empty_clone: Clone, file: Path, kind: str
) -> None:
    if kind == "bare and cut":
        bare(clone, file)
    damage(file, kind)
    expected: type[EverySkillError] = RestoreFailed if kind == "bare and cut" else InvalidDump
    with pytest.raises(expected):
        await restore(empty_clone, file)
    assert await is_empty(empty_clone)


@pytest.mark.usefixtures("newest_server")
async def test_a_file_of_a_newer_pg_dump_says_what_reads_it(clone: Clone, empty_clone: Clone, file: Path) -> None:
    bare(clone, file)
    damage(file, "newer")
    with pytest.raises(RestoreFailed, match=r"unsupported version \(1\.99\).*newer pg_restore comes with: pip install"):
        await restore(empty_clone, file)


@pytest.mark.parametrize(
    ("url", "without"),
    [
        ("postgresql://ann:a%2Fb@h:1/d?sslmode=require", "postgresql://ann@h:1/d?sslmode=require"),
        ("postgresql:///d?host=/run&password=a%2Fb", "postgresql:///d?host=/run"),
        ("postgresql://ann:a%2Fb@h", "postgresql://ann@h"),
        ("postgresql://ann@one,two:2/d?port=1&password=a%2Fb", "postgresql://ann@one,two:2/d?port=1"),
    ],
)
def test_no_password_is_among_the_arguments_of_a_program(url: str, without: str) -> None:
    login = login_of(url)
    assert (login.url, login.environment["PGPASSWORD"]) == (without, "a/b")
