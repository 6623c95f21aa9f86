"""What the faults happen to: an embedded server on a disk and with a clock of its own, tenants, and writers."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

import everyskill
from everyskill.embedded import EmbeddedServer
from everyskill.model import SkillFolder
from faults.acts import SLUGS, TENANTS, USERS

ROOT = Path(__file__).parents[1]
CONNECT_SECONDS = 60.0
DISK_BYTES = 768 * 1024 * 1024
# Where Debian's libfaketime puts it.
FAKETIME = Path("/usr/lib") / f"{os.uname().machine}-linux-gnu/faketime/libfaketime.so.1"


def skill(slug: str, content: object) -> SkillFolder:
    """A version of a skill that differs by its content alone."""
    return SkillFolder.from_content(
        slug, content=f"{content}", name=slug, description=f"What {slug} does.", category="general"
    )


@dataclass
class Writer:
    """A process that acts, and the log of it and those before it."""

    log: Path
    process: subprocess.Popen[bytes]


@dataclass
class Stage:
    """The place of a run. `has_own_disk` and `has_own_clock` tell which faults are possible on this machine."""

    folder: Path
    server: EmbeddedServer
    seed: int
    has_own_disk: bool
    has_own_clock: bool
    writers: list[Writer] = field(default_factory=list)
    started: int = 0

    @property
    def url(self) -> str:
        """What programs connect to."""
        return f"embedded://{self.server.data_folder}"

    def move_clock(self, seconds: int) -> None:
        """Moves the clock of the server and of the writers, to so many seconds from the true time."""
        (self.folder / "clock").write_text(f"{seconds:+d}\n")

    async def connect(self) -> asyncpg.Connection:
        """A superuser's connection, once the server takes any: it may just be recovering."""
        async with asyncio.timeout(CONNECT_SECONDS):
            while True:
                try:
                    return await asyncpg.connect(self.server.superuser_url)
                except (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError):
                    await asyncio.sleep(0.1)

    def server_pid(self) -> int:
        """The process of the server that was last started."""
        return int((self.server.data_folder / "postmaster.pid").read_text().split()[0])

    def start_writers(self, number: int) -> None:
        """Starts writers until there are so many."""
        for place in range(number):
            if place == len(self.writers):
                self.writers.append(self._start_writer(self.folder / f"writer-{place}.log"))
            elif self.writers[place].process.poll() is not None:
                self.writers[place] = self._start_writer(self.writers[place].log)

    async def stop_writers(self) -> None:
        """Lets the writers end what they are at."""
        for writer in self.writers:
            writer.process.send_signal(signal.SIGTERM)
        for writer in self.writers:
            await asyncio.to_thread(writer.process.wait, 120)

    def kill_writers(self) -> None:
        """Ends all writers that are left, without asking them."""
        for writer in self.writers:
            writer.process.kill()
            writer.process.wait()

    def _start_writer(self, log: Path) -> Writer:
        self.started += 1
        command = [sys.executable, "-m", "faults.writer", self.url, str(log), f"{self.seed}-{self.started}"]
        errors = (self.folder / "writers.err").open("ab")
        with errors:
            process = subprocess.Popen(command, cwd=ROOT, stderr=errors)
        return Writer(log, process)


@contextmanager
def own_disk(disk: Path, *, is_wanted: bool) -> Iterator[bool]:
    """Makes a folder, where wanted and allowed as a small disk in memory, which can be filled; tells which it is."""
    disk.mkdir()
    # The server's user passes through.
    disk.parent.chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)]
    may_mount = is_wanted and os.geteuid() == 0
    is_mounted = may_mount and subprocess.run(mount, check=False, capture_output=True, timeout=10).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", str(disk)], check=False, timeout=10)


def share_clock(folder: Path) -> None:
    """Has what this process starts from now on take the time from a file of the stage, but for the monotonic clock."""
    clock = folder / "clock"
    clock.write_text("+0\n")
    clock.chmod(0o644)
    os.environ |= {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


@asynccontextmanager
async def staged(
    folder: Path, seed: int, *, wants_disk: bool, wants_clock: bool
) -> AsyncIterator[tuple[Stage, everyskill.Database]]:
    """A stage with its tenants, people and skills, and a handle to look at it."""
    disk = folder / "disk"
    with own_disk(disk, is_wanted=wants_disk) as has_own_disk:
        has_own_clock = wants_clock and FAKETIME.exists()
        if has_own_clock:
            share_clock(folder)
        server = await asyncio.to_thread(EmbeddedServer.start, disk / "data")
        stage = Stage(folder, server, seed, has_own_disk, has_own_clock)
        try:
            async with everyskill.connect(stage.url) as database:
                for tenant_id in TENANTS:
                    await _fill(database.tenant(tenant_id))
                yield stage, database
        finally:
            stage.kill_writers()
            await asyncio.to_thread(server.stop)


async def _fill(tenant: everyskill.Tenant) -> None:
    await tenant.create(tenant.tenant_id)
    for user in USERS:
        await tenant.admit_user(user)
    for slug in SLUGS:
        await tenant.publish_skill(skill(slug, "first"))
