"""The server process: whether one runs in a data folder, starting it, stopping it, and cleaning up after a crash."""

import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

from everyskill.embedded.binaries import Binaries, last_lines
from everyskill.embedded.cluster import VERSION_FILE, create_cluster
from everyskill.embedded.sockets import PORT, SOCKET_FILE, Address, short_path
from everyskill.errors import DataDirectoryInUse, EmbeddedServerFailed

START_TIMEOUT_SECONDS = 120  # a recovery after a crash takes its time
PID_FILE = "postmaster.pid"
# Lines of postmaster.pid: LOCK_FILE_LINE_* in PostgreSQL's utils/pidfile.h, which counts from 1.
LINE_PID, LINE_PORT, LINE_SOCKET_FOLDER, LINE_STATUS = 0, 3, 4, 7
LOG_FILE = "server.log"
# "." is the data folder, whatever its name and length, and only its owner may enter it.
SERVER_OPTIONS = f"-h '' -k . -p {PORT} -c unix_socket_permissions=0700"


def start_or_find_server(data_folder: Path, binaries: Binaries) -> Address:
    """The address of the running server, which is started if there is none.

    Raises EmbeddedServerFailed where it does not start, DataDirectoryInUse where one runs that cannot be reached.
    """
    if not is_running(data_folder):
        _remove_stale_lock_files(data_folder)
        binaries.grant_access(data_folder)
        if not (data_folder / VERSION_FILE).exists():
            create_cluster(data_folder, binaries)
        _start_server(data_folder, binaries)
    lines = _wait_until_ready(data_folder)
    socket_folder = lines[LINE_SOCKET_FOLDER]
    if not socket_folder:
        reason = f"process {lines[LINE_PID]} runs in it and listens on no unix socket"
        raise DataDirectoryInUse(str(data_folder), reason)
    return Address(short_path(data_folder) if socket_folder == "." else socket_folder, lines[LINE_PORT])


def stop_server(data_folder: Path, binaries: Binaries) -> None:
    """Ends the sessions and stops the server, if one runs. A server that does not stop is no error.

    At the end of a program nobody could act on it; the next program that uses the data folder stops the server.
    """
    with suppress(subprocess.CalledProcessError):
        if is_running(data_folder):
            _pg_ctl(data_folder, binaries, "-m", "fast", "stop")


def _start_server(data_folder: Path, binaries: Binaries) -> None:
    log = data_folder / LOG_FILE
    logged_before = log.stat().st_size if log.exists() else 0
    try:
        timeout = str(START_TIMEOUT_SECONDS)
        _pg_ctl(data_folder, binaries, "-t", timeout, "-l", LOG_FILE, "-o", SERVER_OPTIONS, "start")
    except subprocess.CalledProcessError as error:
        raise _start_failure(data_folder, logged_before) from error


def _pg_ctl(data_folder: Path, binaries: Binaries, *arguments: str) -> None:
    # "." because pg_ctl puts the path into a shell command, where a $ in it would be a variable. It also starts the
    # server in a session of its own, so that Ctrl-C in the terminal does not reach it.
    binaries.run(data_folder, "pg_ctl", "-w", "-D", ".", *arguments)


def _wait_until_ready(data_folder: Path) -> list[str]:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while is_running(data_folder):
        lines = _read_pid_file(data_folder)
        if lines[LINE_STATUS : LINE_STATUS + 1] == ["ready"]:
            return lines
        if time.monotonic() > deadline:
            reason = f"process {lines[LINE_PID]} runs in it and does not get ready"
            raise DataDirectoryInUse(str(data_folder), reason)
        time.sleep(0.05)
    raise _start_failure(data_folder)


def _start_failure(data_folder: Path, logged_before: int = 0) -> EmbeddedServerFailed:
    log = data_folder / LOG_FILE
    logged = log.read_bytes()[logged_before:].decode(errors="replace") if log.exists() else ""
    lines = logged.splitlines()
    # After the reason it logs how it shuts down.
    while lines and " LOG:  " in lines[-1]:
        lines.pop()
    reason = last_lines("\n".join(lines) or logged) or "it left no log"
    return EmbeddedServerFailed(str(data_folder), reason)


# -- running or crashed --------------------------------------------------------------------------------------------


def is_running(data_folder: Path) -> bool:
    """Whether the process in postmaster.pid is a server of this data folder: the system reuses pids."""
    try:
        return _is_postgres_in(data_folder, psutil.Process(int(_read_pid_file(data_folder)[LINE_PID])))
    except (IndexError, ValueError, psutil.NoSuchProcess):
        return False


def _is_postgres_in(data_folder: Path, process: psutil.Process) -> bool:
    # A killed server stays a zombie where no init process reaps it, as in many containers.
    try:
        is_postgres = process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
        return is_postgres and data_folder.samefile(process.cwd())
    except (OSError, psutil.Error):
        return False


def _read_pid_file(data_folder: Path) -> list[str]:
    try:
        return [line.strip() for line in (data_folder / PID_FILE).read_text().splitlines()]
    except FileNotFoundError:
        return []


def _remove_stale_lock_files(data_folder: Path) -> None:
    """Removes the lock files of a killed server: their pid may be another program's by now."""
    with socket.socket(socket.AF_UNIX) as client:
        if client.connect_ex(f"{short_path(data_folder)}/{SOCKET_FILE}") == 0:
            raise DataDirectoryInUse(str(data_folder), "a server of another machine or container answers in it")
    if (data_folder / PID_FILE).exists():
        _end_orphaned_backends(data_folder)
    for stale in (PID_FILE, SOCKET_FILE, f"{SOCKET_FILE}.lock"):
        (data_folder / stale).unlink(missing_ok=True)


def _end_orphaned_backends(data_folder: Path) -> None:
    """Ends the sessions of a killed server: each would finish its statement first, and no new server can start.

    PostgreSQL does the same after a crash. Sessions whose server lives, in another container say, are waited for.
    """
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    processes = [process for process in psutil.process_iter(["ppid"]) if _is_postgres_in(data_folder, process)]
    related = {process.pid for process in processes} & {process.info["ppid"] for process in processes}
    for process in processes:
        if related.isdisjoint({process.pid, process.info["ppid"]}):
            with suppress(psutil.Error):
                process.kill()
    while any(_is_postgres_in(data_folder, process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
