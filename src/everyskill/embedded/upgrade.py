"""Brings a data folder to the newest PostgreSQL: pg_upgrade copies it into a new one, and the old one stays."""

import asyncio
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import asyncpg

from everyskill.embedded.binaries import Binaries, find_binaries, last_lines
from everyskill.embedded.cluster import VERSION_FILE, create_cluster
from everyskill.embedded.process import is_running
from everyskill.embedded.server import EmbeddedServer
from everyskill.embedded.start_lock import hold_start_lock
from everyskill.errors import DataDirectoryInUse, OldServerNotRemoved, ServerUpgradeFailed

NEWEST_VERSION = 18


def upgrade_server(old: Path, new: Path, *, remove_old: bool, on_step: Callable[[str], None]) -> None:
    """Makes the data folder `new` with all that is in `old`. Blocks: call it in a thread.

    `new` appears when it is complete and was started once; what an attempt left that was interrupted is removed by the
    next. `old` is read only, until it is removed where `remove_old` says so. Settings in postgresql.conf stay behind.

    Raises ServerUpgradeFailed, with pg_upgrade's own words where it has some; DataDirectoryInUse where programs use
    `old`; EmbeddedServerFailed where one of the two does not start; OldServerNotRemoved, and then `new` is complete.
    """
    old, new = old.expanduser().resolve(), new.expanduser().resolve()
    try:
        version = int((old / VERSION_FILE).read_text())
        if version >= NEWEST_VERSION:
            raise ServerUpgradeFailed(str(old), f"it holds PostgreSQL {version} already")
        if new.exists():
            raise ServerUpgradeFailed(str(old), f"{new} is there already; name a folder that is not")
        on_step(f"Starting PostgreSQL {version} in {old}, and stopping it")
        checksums = _shut_down_cleanly(old, version)
        with hold_start_lock(old, threading.Event()):
            if is_running(old):
                raise DataDirectoryInUse(str(old), "end the programs that use it first")
            _upgrade(old, find_binaries(version, old), new, checksums=checksums, on_step=on_step)
            if remove_old:
                _remove(old, new)
    except (OSError, ValueError) as error:
        raise ServerUpgradeFailed(str(old), str(error)) from error
    except subprocess.CalledProcessError as error:
        raise ServerUpgradeFailed(str(old), last_lines(error.stderr)) from error


def _remove(old: Path, new: Path) -> None:
    try:
        shutil.rmtree(old)
    except OSError as error:
        raise OldServerNotRemoved(str(old), str(new), str(error)) from error


def _shut_down_cleanly(old: Path, version: int) -> bool:
    """As pg_upgrade wants it, also after a crash. Returns whether its pages have checksums."""
    server = EmbeddedServer.start(old, postgres_version=version)
    try:
        return asyncio.run(_has_checksums(server.superuser_url))
    finally:
        server.stop()


async def _has_checksums(url: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        return bool(await connection.fetchval("SELECT current_setting('data_checksums')::boolean"))
    finally:
        await connection.close()


def _upgrade(old: Path, before: Binaries, new: Path, *, checksums: bool, on_step: Callable[[str], None]) -> None:
    after = find_binaries(NEWEST_VERSION, new)
    unfinished = new.with_name(f"{new.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    after.grant_access(unfinished)
    on_step(f"Copying it with pg_upgrade to PostgreSQL {after.version}")
    # pg_upgrade wants both to be alike; checksums are the default since 18.
    create_cluster(unfinished, after, "--data-checksums" if checksums else "--no-data-checksums")
    _run_pg_upgrade(old, before, unfinished, after)
    if not checksums:
        after.run(unfinished, "pg_checksums", "--enable", "-D", ".")
    on_step("Starting the new server once")
    EmbeddedServer.start(unfinished).stop()
    unfinished.rename(new)


def _run_pg_upgrade(old: Path, before: Binaries, new: Path, after: Binaries) -> None:
    # Links, as it puts paths into shell commands and a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="everyskill-upgrade-") as name:
        work = Path(name)
        (work / "old").symlink_to(old)
        (work / "new").symlink_to(new)
        after.grant_access(work)
        folders = ("-b", str(before.folder), "-B", str(after.folder), "-d", "old", "-D", "new")
        after.run(work, "pg_upgrade", *folders, "--username=postgres", f"--socketdir={work}")
