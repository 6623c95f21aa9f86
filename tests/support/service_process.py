"""Runs `everyskill serve` as a process of its own."""

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass

SECONDS = 20.0


@dataclass
class Service:
    """A running service, and what it says on its standard error."""

    process: asyncio.subprocess.Process
    url: str

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, list[dict[str, object]]]:
        """Ends it by a signal: its exit code, and what it logged."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        _, err = await asyncio.wait_for(self.process.communicate(), SECONDS)
        return self.process.returncode or 0, [json.loads(line) for line in err.decode().splitlines()]


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EVERYSKILL_")}
    return kept | {"PYTHONPATH": os.pathsep.join(sys.path)} | variables


async def start(*arguments: str, **variables: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "everyskill", "serve", "--port", "0", *arguments]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, env=environment(**variables), stdout=pipe, stderr=pipe)


async def started(process: asyncio.subprocess.Process) -> Service:
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), SECONDS)).decode()
    assert line.startswith("Serving on http"), line
    return Service(process, line.split()[-1])
