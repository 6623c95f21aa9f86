"""One contender in a process of its own: told on stdin what to do next, tells on stdout how it went."""

import asyncio
import json
import random
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, TypeAlias

Ask: TypeAlias = Callable[..., Awaitable[Any]]
Open: TypeAlias = Callable[[str], AbstractAsyncContextManager[dict[str, Ask]]]


async def drive(name: str, url: str, workload: dict[str, list[Sequence[Any]]]) -> None:
    """Opens the contender and runs what is asked for, a line of JSON at a time, until there is no more."""
    contender = import_module(f"benchmarks.contenders.{name}")
    async with contender.open_contender(url) as calls:
        print(json.dumps({"ready": sorted(calls)}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            order = json.loads(line)
            items = order.get("items") or workload[order["call"]]
            run = _run_threads if getattr(contender, "BLOCKING", False) else _run_tasks
            started, cpu = perf_counter(), process_time()
            latencies = await run(calls[order["call"]], items, order["callers"], order["seconds"])
            seconds, cpu = perf_counter() - started, process_time() - cpu
            print(json.dumps(summary(latencies, seconds, cpu)), flush=True)


async def _run_tasks(call: Ask, items: list[Sequence[Any]], callers: int, seconds: float) -> list[float]:
    latencies: list[float] = []
    end = perf_counter() + seconds

    async def caller(seed: int) -> None:
        chance = random.Random(seed)
        # At least once, however short the time.
        while True:
            began = perf_counter()
            await call(*chance.choice(items))
            latencies.append(perf_counter() - began)
            if perf_counter() >= end:
                return

    await asyncio.gather(*(caller(seed) for seed in range(callers)))
    return latencies


async def _run_threads(
    call: Callable[..., Any], items: list[Sequence[Any]], callers: int, seconds: float
) -> list[float]:
    latencies: list[float] = []
    end = perf_counter() + seconds

    def caller(seed: int) -> None:
        chance = random.Random(seed)
        while True:
            began = perf_counter()
            call(*chance.choice(items))
            latencies.append(perf_counter() - began)
            if perf_counter() >= end:
                return

    threads = [threading.Thread(target=caller, args=(seed,)) for seed in range(callers)]
    for thread in threads:
        thread.start()
    await asyncio.to_thread(lambda: [thread.join() for thread in threads])
    return latencies


def summary(latencies: list[float], seconds: float, cpu: float) -> dict[str, float]:
    """Calls a second, milliseconds of the middle and of the slowest hundredth, and CPU microseconds a call."""
    ordered = sorted(latencies)
    return {
        "calls": len(ordered),
        "rate": len(ordered) / seconds,
        "p50": 1_000 * ordered[len(ordered) // 2],
        "p99": 1_000 * ordered[int(len(ordered) * 0.99)],
        "client_cpu": 1_000_000 * cpu / len(ordered),
    }


if __name__ == "__main__":
    asyncio.run(drive(sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text())))
