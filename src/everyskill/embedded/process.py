"""The server's process: whether one lives in a directory, starting it, stopping it, and clearing away a dead one."""

import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

from everyskill.embedded.binaries import Binaries, last_lines
from everyskill.embedded.cluster import STAMP, make_cluster
from everyskill.embedded.urls import PORT, SOCKET, Address, short_path
from everyskill.errors import DataDirectoryInUse, EmbeddedServerFailed

PATIENCE = 120  # seconds that a recovery after a crash may take
PID_FILE = "postmaster.pid"
LOG = "server.log"
# "." is the data directory, whatever its name and length, and only its owner may enter it.
SERVER_OPTIONS = f"-h '' -k . -p {PORT} -c unix_socket_permissions=0700"


def join_or_start(directory: Path, binaries: Binaries) -> Address:
    """The address of the running server, which is started if there is none."""
    if not _is_alive(directory):
        _forget_dead_server(directory)
        binaries.hand_over(directory)
        if not (directory / STAMP).exists():
            make_cluster(directory, binaries)
        _launch(directory, binaries)
    lines = _wait_until_ready(directory)
    if not lines[4]:
        raise DataDirectoryInUse(str(directory), f"process {lines[0]} runs in it and listens on no unix socket")
    return Address(short_path(directory) if lines[4] == "." else lines[4], lines[3])


def halt(directory: Path, binaries: Binaries) -> None:
    """Ends the sessions and stops the server, if one runs."""
    # At the end of a program nobody could act on a failure; the next one that uses the directory ends the server.
    with suppress(subprocess.CalledProcessError):
        if _is_alive(directory):
            _pg_ctl(directory, binaries, "-m", "fast", "stop")


def _launch(directory: Path, binaries: Binaries) -> None:
    try:
        _pg_ctl(directory, binaries, "-t", str(PATIENCE), "-l", LOG, "-o", SERVER_OPTIONS, "start")
    except subprocess.CalledProcessError as error:
        raise _failed(directory) from error


def _pg_ctl(directory: Path, binaries: Binaries, *arguments: str) -> None:
    # "." because pg_ctl puts the path into a shell command, where a $ in it would be a variable. It also starts the
    # server in a session of its own, so that Ctrl-C in the terminal does not reach it.
    binaries.run(directory, "pg_ctl", "-w", "-D", ".", *arguments)


def _wait_until_ready(directory: Path) -> list[str]:
    deadline = time.monotonic() + PATIENCE
    while _is_alive(directory):
        lines = _pid_file(directory)
        if lines[7:8] == ["ready"]:
            return lines
        if time.monotonic() > deadline:
            raise DataDirectoryInUse(str(directory), f"process {lines[0]} runs in it and does not get ready")
        time.sleep(0.05)
    raise _failed(directory)


def _failed(directory: Path) -> EmbeddedServerFailed:
    log = directory / LOG
    reason = last_lines(log.read_text(errors="replace")) if log.exists() else "it left no log"
    return EmbeddedServerFailed(str(directory), reason)


# -- alive or dead -------------------------------------------------------------------------------------------------


def _is_alive(directory: Path) -> bool:
    """Whether the process in postmaster.pid is a server of this directory: pids are used again."""
    try:
        return _works_in(psutil.Process(int(_pid_file(directory)[0])), directory)
    except (IndexError, ValueError, psutil.NoSuchProcess):
        return False


def _works_in(process: psutil.Process, directory: Path) -> bool:
    # A killed server stays a zombie where nobody reaps, as in many a container.
    try:
        is_postgres = process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
        return is_postgres and directory.samefile(process.cwd())
    except (OSError, psutil.Error):
        return False


def _pid_file(directory: Path) -> list[str]:
    try:
        return [line.strip() for line in (directory / PID_FILE).read_text().splitlines()]
    except FileNotFoundError:
        return []


def _forget_dead_server(directory: Path) -> None:
    """Removes the lock files of a killed server, whose pid may be another program's by now."""
    with socket.socket(socket.AF_UNIX) as client:
        if client.connect_ex(f"{short_path(directory)}/{SOCKET}") == 0:
            raise DataDirectoryInUse(str(directory), "a server of another machine or container answers in it")
    if (directory / PID_FILE).exists():
        _wait_for_orphans(directory)
    for stale in (PID_FILE, SOCKET, f"{SOCKET}.lock"):
        (directory / stale).unlink(missing_ok=True)


def _wait_for_orphans(directory: Path) -> None:
    """The sessions of a killed server end their statement first; until then no new one can start."""
    deadline = time.monotonic() + PATIENCE
    orphans = [process for process in psutil.process_iter() if _works_in(process, directory)]
    while any(_works_in(orphan, directory) for orphan in orphans) and time.monotonic() < deadline:
        time.sleep(0.05)
