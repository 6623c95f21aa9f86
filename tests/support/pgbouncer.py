"""PgBouncer between a test and an embedded server: on a Unix socket of its own, ended by its process id."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from everyskill.embedded import EmbeddedServer
from everyskill.embedded.system_user import SBIN_FOLDERS, find_system_user

PROGRAM = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", os.defpath), *SBIN_FOLDERS]))
WITHOUT_PGBOUNCER = "needs PgBouncer: apt-get install pgbouncer"
START_SECONDS = 10.0

_SETTINGS = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
auth_user = postgres
query_wait_timeout = 5
server_login_retry = 0
"""


class PgBouncer:
    """A running PgBouncer, whose folder stands in a URL for that of the server behind it."""

    def __init__(self, server: EmbeddedServer, folder: Path) -> None:
        self.host = parse_qs(urlsplit(server.service_url).query)["host"][0]
        self.port = parse_qs(urlsplit(server.service_url).query)["port"][0]
        self.folder = folder

    def url(self, url: str) -> str:
        """Where a login to the server connects to come through here."""
        return url.replace(f"host={quote(self.host)}", f"host={quote(str(self.folder))}")


@contextmanager
def run_pgbouncer(server: EmbeddedServer, **settings: object) -> Iterator[PgBouncer]:
    """PgBouncer in front of that server, with settings by their names: `pool_mode="transaction"`."""
    if PROGRAM is None:
        pytest.skip(WITHOUT_PGBOUNCER)
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    bouncer = PgBouncer(server, folder)
    more = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (folder / "ini").write_text(_SETTINGS.format(host=bouncer.host, port=bouncer.port, folder=folder) + more)
    (folder / "users").write_text('"postgres" ""\n')
    user = find_system_user(folder)
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    command = [PROGRAM, "--quiet", str(folder / "ini")]
    with (folder / "log").open("w") as log:
        if user is None:
            process = subprocess.Popen(command, stderr=log)
        else:
            process = subprocess.Popen(command, stderr=log, user=user.pw_uid, group=user.pw_gid, extra_groups=[])
    try:
        _wait_for(folder / f".s.PGSQL.{bouncer.port}", process)
        yield bouncer
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while not _answers(path):
        log = (path.parent / "log").read_text()
        assert process.poll() is None, log
        assert time.monotonic() < end, log
        time.sleep(0.01)


def _answers(path: Path) -> bool:
    # The file is there before anybody listens.
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0
