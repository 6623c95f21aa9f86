"""`python -m benchmarks`: fills the databases, asks every contender in turn, and writes down what was seen."""

import argparse
import asyncio
import json
import os
import platform
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from benchmarks import dataset, pgbench, report
from benchmarks.contenders.http_client import AUDIENCE, ISSUER
from benchmarks.dataset import LARGE, SMOKE, Scale
from benchmarks.stage import ROOT, Contender, Stage, contender, drizzle_driver, prepare, python_driver

CALLS = ("record", "badges", "visit", "whats_new")
CALLERS = (1, 16, 64, 256)
FEW_CALLERS = (1, 16)
PACKAGES = ("asyncpg", "sqlalchemy", "django", "psycopg", "fastapi", "litestar", "uvicorn")
CLIENTS = (8, 16, 32)
FEW_CLIENTS = (8,)


@dataclass
class Results:
    """Everything that was seen, as rows."""

    seconds: float
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, **row: Any) -> None:
        """One measurement; told as it comes in, as a run takes a while."""
        self.rows.append(row)
        facts = " ".join(
            f"{name}={value:.4g}" if isinstance(value, float) else str(value) for name, value in row.items()
        )
        print(facts, file=sys.stderr, flush=True)


async def measure(stage: Stage, results: Results, who: Contender, **order: Any) -> None:
    """One order to one contender, and the CPU that the server spent on it."""
    before = stage.database_cpu()
    seen = await who.run(**{"seconds": results.seconds} | {name: order[name] for name in order if name != "about"})
    cpu = 1_000_000 * (stage.database_cpu() - before) / seen["calls"]
    about = order.get("about", {})
    results.add(contender=who.name, call=order["call"], callers=order["callers"], **about, **seen, database_cpu=cpu)


async def compare(stage: Stage, results: Results, contenders: list[Contender], rounds: int) -> None:
    """Every call at every number of callers, the contenders taking turns, another one first in each round."""
    for who in contenders:
        for call in set(CALLS) & set(who.calls):
            # Not measured: whoever came first would read what all need from the disk.
            await who.run(call=call, callers=16, seconds=results.seconds)
    for number in range(rounds):
        for call in CALLS:
            for callers in FEW_CALLERS if stage.scale is SMOKE else CALLERS:
                for who in contenders[number % len(contenders) :] + contenders[: number % len(contenders)]:
                    if call in who.calls:
                        await measure(stage, results, who, call=call, callers=callers)
        run_floor(stage, results)
        await run_bulk(stage, results)


async def run_bulk(stage: Stage, results: Results) -> None:
    """Rows a second of one large upsert: what PostgreSQL could do if all calls came as one."""
    async with stage.admin() as admin:
        began = time.perf_counter()
        done = await admin.execute(pgbench.BULK, LARGE)
        rows = int(done.split()[-1])
        results.add(contender="one upsert", call="bulk", rows=rows, rate=rows / (time.perf_counter() - began))


def run_floor(stage: Stage, results: Results) -> None:
    """pgbench on the same tables: as superuser without policies, a statement to a transaction."""
    folder = stage.folder / "pgbench"
    folder.mkdir(exist_ok=True)
    for call, scripts in pgbench.write_scripts(stage.scale, folder).items():
        for clients in FEW_CLIENTS if stage.scale is SMOKE else CLIENTS:
            url = stage.server.superuser_url
            seen = pgbench.run(stage.pgbench, url, scripts, clients=clients, seconds=results.seconds)
            results.add(contender="pgbench", call=call, callers=clients, **seen)


async def compare_histories(stage: Stage, results: Results, contenders: list[Contender], rounds: int) -> None:
    """What's New for people with short and long histories, one caller, and their first feed."""
    large = [f"u{round(place * (stage.scale.large_users - 1))}" for place in (0, 0.25, 0.5, 0.75, 1)]
    cases = [("whats_new", user, dataset.views_of(stage.scale, int(user[1:]))) for user in large]
    for user, tenant, _, _, views, _ in dataset.special_users(stage.scale):
        cases.append(("whats_new" if tenant == LARGE else "whats_new_extreme", user, views))
    for _ in range(rounds):
        for call, user, views in cases:
            about = {"user": user, "views": views}
            for who in contenders:
                await measure(stage, results, who, call=call, callers=1, items=[[user]], about=about)
            async with stage.admin() as admin:
                await admin.execute("DELETE FROM feed_checkpoints WHERE user_id = $1", user)
            # As short as this, it is one call.
            first = await contenders[0].run(call=call, callers=1, items=[[user]], seconds=0.0005)
            results.add(contender=contenders[0].name, call=f"{call}_first", **about, **first)


async def weigh_records(stage: Stage, results: Results, contenders: dict[str, Contender]) -> None:
    """WAL bytes and the share of HOT updates of re-views."""
    for database, who in contenders.items():
        async with stage.admin(database) as admin:
            await _warm_up(admin, who, 2 * results.seconds, times=1 if stage.scale is SMOKE else 40)
            before = await _written(admin)
            seen = await who.run(call="record", callers=16, seconds=results.seconds)
            after = await _written(admin)
            updates, hot, wal, pages = (new - old for new, old in zip(after, before, strict=True))
            rows, size = await admin.fetchrow(
                "SELECT count(*), pg_total_relation_size('user_skill_views') FROM user_skill_views"
            )
            results.add(
                contender=who.name,
                call="weigh",
                wal_bytes=float(wal) / seen["calls"],
                whole_pages=pages / seen["calls"],
                hot_share=hot / max(updates, 1),
                bytes_a_row=float(size) / rows,
            )


async def _warm_up(admin: Any, who: Contender, seconds: float, times: int) -> None:
    """Records until hardly a page is changed for the first time since the checkpoint, as each such is written whole."""
    await admin.execute("CHECKPOINT")
    for _ in range(times):
        before = await _written(admin)
        seen = await who.run(call="record", callers=16, seconds=seconds)
        _, _, _, pages = (new - old for new, old in zip(await _written(admin), before, strict=True))
        if pages < seen["calls"] / 100:
            return


async def _written(admin: Any) -> tuple[int, int, int, int]:
    """Updates, HOT ones among them, WAL bytes, and pages written whole."""
    # What other sessions did is told with a delay.
    await asyncio.sleep(1.5)
    updates, hot = await admin.fetchrow(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'user_skill_views'"
    )
    wal, pages = await admin.fetchrow("SELECT wal_bytes, wal_fpi FROM pg_stat_wal")
    return updates, hot, wal, pages


async def compare_services(stage: Stage, results: Results, rounds: int) -> None:
    """All calls over HTTP, one worker each, asked from another process."""
    secret = secrets.token_urlsafe(48)
    ours, theirs = _free_port(), _free_port()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT.parent), *sys.path])}
    own = {"EVERYSKILL_JWT_SECRET": secret, "EVERYSKILL_JWT_ISSUER": ISSUER, "EVERYSKILL_JWT_AUDIENCE": AUDIENCE}
    own |= {"EVERYSKILL_DATABASE_URL": stage.server.service_url}
    commands = [
        ([sys.executable, "-m", "everyskill", "serve", "--port", str(ours)], environment | own),
        ([sys.executable, "-m", "benchmarks.fastapi_service", stage.plain_url, secret, str(theirs)], environment),
    ]
    services = [
        subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        for command, env in commands
    ]
    try:
        for port in (ours, theirs):
            await _until_open(port)
        async with AsyncExitStack() as opened:
            clients = [
                await opened.enter_async_context(
                    contender(
                        name, *python_driver("http_client", f"http://127.0.0.1:{port}{prefix}?secret={secret}", stage)
                    )
                )
                for name, port, prefix in (("everyskill http", ours, "/v1"), ("fastapi", theirs, ""))
            ]
            for number in range(rounds):
                for call in CALLS:
                    for callers in FEW_CALLERS if stage.scale is SMOKE else CALLERS:
                        for who in clients[number % 2 :] + clients[: number % 2]:
                            await measure(stage, results, who, call=call, callers=callers)
    finally:
        for service in services:
            service.terminate()
            service.wait()


async def compare_sizes(stage: Stage, results: Results, who: Contender, millions: list[int]) -> None:
    """The same calls while the table grows by the views of other people."""
    users = stage.scale.small_users_of_a_million
    a_million = stage.scale.small_skills * len(dataset.SMALL)
    for size in millions:
        async with stage.admin() as admin:
            rows = await admin.fetchval("SELECT count(*) FROM user_skill_views")
            more = max(round((size * 1_000_000 - rows) / a_million), 0)
            if more:
                await dataset.grow(admin, stage.scale, users, users + more)
            users += more
            rows = await admin.fetchval("SELECT count(*) FROM user_skill_views")
        for call in CALLS:
            await who.run(call=call, callers=16, seconds=results.seconds)
            for _ in range(3):
                await measure(stage, results, who, call=call, callers=16, about={"table_rows": rows})


async def measure_memory(stage: Stage, results: Results) -> None:
    """What 10,000 waiting calls and 1,000 tenants that do nothing add to a process."""
    command = [sys.executable, "-m", "benchmarks.memory", stage.server.service_url, str(stage.workload)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT.parent), *sys.path])}
    done = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=environment)
    out, _ = await done.communicate()
    results.add(contender="everyskill", call="memory", **json.loads(out))


async def run(options: argparse.Namespace) -> None:
    """The whole run, in a folder that is thrown away at the end or kept for the next."""
    scale = SMOKE if options.smoke else Scale()
    folder = options.data or Path(tempfile.mkdtemp(prefix="everyskill-benchmarks-"))
    folder.mkdir(exist_ok=True, parents=True)
    folder.chmod(0o755)
    results = Results(options.seconds)
    stage = await prepare(folder, scale)
    try:
        async with AsyncExitStack() as opened:

            async def enter(name: str, command: list[str | Path]) -> Contender:
                return await opened.enter_async_context(contender(name, *command))

            ours = await enter("everyskill", python_driver("everyskill_library", stage.server.service_url, stage))
            bare = await enter("bare asyncpg", python_driver("bare_asyncpg", stage.server.service_url, stage))
            alchemy = await enter("sqlalchemy", python_driver("sqlalchemy_orm", stage.plain_url, stage))
            django = await enter("django", python_driver("django_orm", stage.plain_url, stage))
            with_node = [] if options.without_node else [await enter("drizzle", drizzle_driver(stage))]
            await compare(stage, results, [ours, bare, alchemy, django, *with_node], options.rounds)
            await compare_histories(stage, results, [ours, alchemy, *with_node], options.rounds)
            await weigh_records(stage, results, {"everyskill": ours, "plain": [alchemy, *with_node][-1]})
            await compare_services(stage, results, options.rounds)
            await measure_memory(stage, results)
            await compare_sizes(stage, results, ours, options.sizes)
        machine = await describe(stage)
    finally:
        await asyncio.to_thread(stage.server.stop)
        if options.data is None:
            shutil.rmtree(folder, ignore_errors=True)
    sizes = " ".join(map(str, options.sizes))
    command = f"--seconds {options.seconds:g} --rounds {options.rounds} --sizes {sizes}".strip()
    report.write(options.out, {"machine": machine, "command": command, "rows": results.rows})


async def describe(stage: Stage) -> dict[str, str]:
    """What all this ran on."""
    async with stage.admin() as admin:
        server = await admin.fetchval("SHOW server_version")
    node = shutil.which("node")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout if node else "none"  # noqa: ASYNC221
    return {
        "processors": str(psutil.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "postgresql": str(server),
        "node": version.strip(),
        **{name: metadata.version(name) for name in PACKAGES},
        **(json.loads((ROOT / "drizzle" / "package.json").read_text())["dependencies"] if node else {}),
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def _until_open(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                return


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT.parent / "docs" / "performance", help="where the results go")
    parser.add_argument("--data", type=Path, help="keep the databases in this folder, and use what it holds already")
    parser.add_argument("--seconds", type=float, help="how long each measurement takes: 2")
    parser.add_argument("--rounds", type=int, help="how often each is taken, and the middle one counts: 3")
    parser.add_argument("--sizes", type=int, nargs="*", help="table sizes in millions of rows: 1 5 20")
    parser.add_argument("--smoke", action="store_true", help="a tiny data set: that it runs, not how fast")
    parser.add_argument("--without-node", action="store_true", help="leave out the contender that needs Node.js")
    options = parser.parse_args()
    seconds, rounds, sizes = (0.05, 1, []) if options.smoke else (2.0, 3, [1, 5, 20])
    options.seconds = seconds if options.seconds is None else options.seconds
    options.rounds = options.rounds or rounds
    options.sizes = sizes if options.sizes is None else options.sizes
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
