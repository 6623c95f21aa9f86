"""`python -m faults --minutes N`: rounds of one fault each, until the time is over. Exits with 1 after a loss."""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import everyskill
from everyskill.errors import EverySkillError
from faults.accounts import Accounts, find_losses, live_once
from faults.acts import ActLog
from faults.injections import FAULTS, Fault, fill_disk, is_possible, move_clock
from faults.stage import Stage, staged

WRITERS = 3
WARM_SECONDS = 1.0
# A call gives up after half a minute; service that is not back by then is lost.
BACK_SECONDS = 60.0


async def until_back(stage: Stage, accounts: Accounts, since: float) -> float:
    """In how many seconds every writer had something acknowledged that it tried after the fault."""
    acknowledged: dict[Path, float] = {}
    tried: dict[tuple[Path, int], float] = {}
    while len(acknowledged) < len(stage.writers):
        if time.monotonic() - since > BACK_SECONDS:
            return float("inf")
        await asyncio.sleep(0.01)
        for writer in stage.writers:
            for line in accounts.read(writer.log):
                if line.outcome == "tried":
                    tried[writer.log, line.number] = line.at
                elif line.outcome == "done" and tried.get((writer.log, line.number), 0.0) > since:
                    acknowledged.setdefault(writer.log, line.at - since)
    return max(acknowledged.values())


async def run_round(
    stage: Stage, database: everyskill.Database, accounts: Accounts, fault: Fault, chance: random.Random
) -> tuple[float, list[str]]:
    """One fault: seconds until everybody was served again, and what was lost."""
    stage.start_writers(WRITERS)
    await asyncio.sleep(WARM_SECONDS + chance.random())
    await fault(stage, chance)
    ended = time.monotonic()
    stage.start_writers(WRITERS)
    back = await until_back(stage, accounts, ended)
    await stage.stop_writers()
    for writer in stage.writers:
        accounts.read(writer.log)
        accounts.close(writer.log)
    admin = await stage.connect()
    try:
        lost = await find_losses(accounts, admin, database)
    finally:
        await admin.close()
    log = ActLog(stage.folder / "life.log")
    lost += [line async for line in live_once(database, log)]
    accounts.read(stage.folder / "life.log")
    log.close()
    return back, lost


async def run(minutes: float, rounds: int | None, only: list[str], seed: int, folder: Path) -> int:
    """All rounds. Returns the number of losses."""
    chance = random.Random(seed)
    until = time.monotonic() + 60 * minutes
    seconds: dict[str, list[float]] = defaultdict(list)
    accounts, losses, number = Accounts(), 0, 0
    wanted = [FAULTS[name] for name in only or FAULTS]
    async with staged(folder, seed, wants_disk=fill_disk in wanted, wants_clock=move_clock in wanted) as (
        stage,
        database,
    ):
        faults = [fault for fault in wanted if is_possible(fault, stage)]
        print(f"seed {seed}; faults: {', '.join(fault.__name__ for fault in faults)}", flush=True)
        waiting: list[Fault] = []
        while time.monotonic() < until and number != rounds:
            number += 1
            waiting = waiting or chance.sample(faults, len(faults))
            fault = waiting.pop()
            try:
                back, lost = await run_round(stage, database, accounts, fault, chance)
            except EverySkillError as error:
                back, lost = float("inf"), [f"no service: {error!r}"]
            seconds[fault.__name__].append(back)
            losses += len(lost) + (back == float("inf"))
            print(f"{number:4} {fault.__name__:16} back in {back:6.2f} s, {len(lost)} losses", flush=True)
            for line in lost[:20]:
                print(f"     {line}", flush=True)
    report(seconds, accounts)
    return losses + len(accounts.untyped)


def report(seconds: dict[str, list[float]], accounts: Accounts) -> None:
    """Prints what all rounds came to."""
    print("\n| fault | rounds | back: median s | worst s |\n|---|---|---|---|")
    for name, all_seconds in sorted(seconds.items()):
        print(f"| {name} | {len(all_seconds)} | {median(all_seconds):.2f} | {max(all_seconds):.2f} |")
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(accounts.outcomes.items()))
    print(f"\nacts: {outcomes}")
    for line in sorted(set(accounts.untyped)):
        print(f"an error without a type: {line}")


def main() -> int:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, help="stop after so many")
    parser.add_argument("--fault", action="append", default=[], choices=FAULTS, help="this one only; may be repeated")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="everyskill-faults-") as folder:
        told = (arguments.minutes, arguments.rounds, arguments.fault, arguments.seed)
        return 1 if asyncio.run(run(*told, Path(folder))) else 0


if __name__ == "__main__":
    sys.exit(main())
