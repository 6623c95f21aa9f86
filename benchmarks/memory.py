"""What waiting calls and idle tenants add to a process that uses the library."""

import asyncio
import gc
import json
import sys
from pathlib import Path
from typing import Any

import psutil

import everyskill
from benchmarks.dataset import LARGE

_MIB = 2**20


async def measure(url: str, items: list[list[Any]]) -> dict[str, float]:
    """MiB for 10,000 calls that wait, and for 1,000 tenants that were asked for once and do nothing."""
    async with everyskill.connect(url) as database:
        tenant = database.tenant(LARGE)
        await tenant.record_skill_view(*items[0])
        before = _used()
        waiting = [
            asyncio.ensure_future(tenant.record_skill_view(*items[place % len(items)])) for place in range(10_000)
        ]
        queued = 0
        while not all(call.done() for call in waiting):
            queued = max(queued, _used() - before)
            await asyncio.sleep(0.02)
        del waiting
        before = _used()
        for number in range(1_000):
            await database.tenant(f"idle-{number}").get_user_view("nobody", "nothing")
        idle = _used() - before
    return {"queued_mib": queued / _MIB, "idle_tenants_mib": idle / _MIB}


def _used() -> int:
    gc.collect()
    used: int = psutil.Process().memory_info().rss
    return used


if __name__ == "__main__":
    recorded = json.loads(Path(sys.argv[2]).read_text())["record"]
    print(json.dumps(asyncio.run(measure(sys.argv[1], recorded))))
