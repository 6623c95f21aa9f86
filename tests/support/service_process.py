"""Runs `everyskill serve` as a process of its own."""

import asyncio
import json
import os
import resource
import signal
import sys
from dataclasses import dataclass, field

SECONDS = 20.0


@dataclass
class Service:
    """A running service, and the lines that it logs."""

    process: asyncio.subprocess.Process
    url: str
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Read all the time, or the service stands still once the pipe is full.
        self._reading = asyncio.create_task(self._read_log())

    @property
    def errors(self) -> list[str]:
        """What it logged as an error so far."""
        return [line for line in self.log if json.loads(line).get("level") in {"error", "critical"}]

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, list[dict[str, object]]]:
        """Ends it by a signal: its exit code, and what it logged."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(SECONDS):
            code = await self.process.wait()
            await self._reading
        return code, [json.loads(line) for line in self.log]

    async def kill(self) -> None:
        """Ends it at once, if it still runs."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self._reading

    async def _read_log(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(line.decode())


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EVERYSKILL_")}
    return kept | {"PYTHONPATH": os.pathsep.join(sys.path)} | variables


async def start(*arguments: str, max_files: int | None = None, **variables: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "everyskill", "serve", "--port", "0", *arguments]
    pipe = asyncio.subprocess.PIPE

    def limit_files() -> None:
        if max_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max_files, max_files))

    return await asyncio.create_subprocess_exec(
        *command, env=environment(**variables), stdout=pipe, stderr=pipe, preexec_fn=limit_files
    )


async def started(process: asyncio.subprocess.Process) -> Service:
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), SECONDS)).decode()
    assert line.startswith("Serving on http"), line
    return Service(process, line.split()[-1])
