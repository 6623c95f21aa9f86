"""Starts a Citus coordinator and two workers on loopback from installed binaries, until Ctrl-C or SIGTERM.

    python scripts/citus_nodes.py FOLDER [--bin /usr/lib/postgresql/15/bin]

FOLDER is made, or empty, and is left as it is at the end. One line is printed once all is ready: the URL of the
coordinator's database `everyskill`, as its owner, a superuser. Whoever can log in to this machine is let in without a
password: the nodes are for trials and for `tests/citus`.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

HOST = "127.0.0.1"
OWNER = "postgres"  # of the database; and the system user who runs the servers where we are root
DATABASE = "everyskill"
NODES = ("coordinator", "worker1", "worker2")
SETTINGS = f"""
listen_addresses = '{HOST}'
unix_socket_directories = ''
shared_preload_libraries = 'citus'
wal_level = logical
max_connections = 200
max_prepared_transactions = 400
"""  # Shards are moved by logical replication, and what spans nodes is committed in two phases.


class Node:
    """One server: where its programs and its data are, and its port."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self.port = _free_port()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Makes the server and runs it, with the extension in a database of its own."""
        folder = str(self._folder)
        self._run("initdb", "--no-sync", "-D", folder, "-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C")
        with (self._folder / "postgresql.conf").open("a") as file:
            file.write(f"{SETTINGS}port = {self.port}\n")
        self._run("pg_ctl", "start", "-w", "-D", folder, "-l", f"{folder}.log")
        try:
            self.query(f"CREATE DATABASE {DATABASE}", database="postgres")
            self.query("CREATE EXTENSION citus")
            yield
        finally:
            self._run("pg_ctl", "stop", "-w", "-D", folder, "-m", "fast")

    def query(self, sql: str, *, database: str = DATABASE) -> None:
        """Sends one statement."""
        login = ("-h", HOST, "-p", str(self.port), "-U", OWNER, "-d", database)
        self._run("psql", "-X", "-v", "ON_ERROR_STOP=1", *login, "-c", sql)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        user = OWNER if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        groups: list[str] | None = [] if user else None
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd="/", user=user, group=user, extra_groups=groups
        )
        if done.returncode:
            sys.exit(f"{program} failed:\n{done.stdout}{done.stderr}")


def main() -> None:
    """Starts the nodes, joins them, and waits for a signal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bin", type=Path, default=Path("/usr/lib/postgresql/15/bin"), help="PostgreSQL's programs")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())
    folder = arguments.folder.resolve()
    _make_folder(folder)
    with ExitStack() as stack:
        coordinator, *workers = nodes = [Node(arguments.bin, folder / name) for name in NODES]
        for node in nodes:
            stack.enter_context(node.running())
        coordinator.query(f"SELECT citus_set_coordinator_host('{HOST}', {coordinator.port})")
        for worker in workers:
            coordinator.query(f"SELECT citus_add_node('{HOST}', {worker.port})")
        print(f"postgresql://{OWNER}@{HOST}:{coordinator.port}/{DATABASE}", flush=True)
        signal.pause()


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(folder, OWNER, OWNER)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
