"""`python -m benchmarks.publishing`: imports a tree of skills, and publishes beside one row inserted at a time."""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg

import everyskill
from everyskill.handles import Database, Tenant, service_url
from everyskill.model import SkillFolder
from everyskill.skill_folders import import_skill_folders

CALLERS = 16
SCRIPT = "#!/bin/sh\necho hello\n"
# What a program without the package would do: a skill, its version, and which one is published.
ROWS = """
WITH added AS (
    INSERT INTO skills (tenant_id, slug, name, description, category)
    VALUES ('plain', $1, $1, 'What it does.', 'general') RETURNING id
), made AS (
    INSERT INTO skill_versions (tenant_id, skill_id, version, name, description, content, content_hash, files)
    SELECT 'plain', id, 1, $1, 'What it does.', $2, $3, '[]' FROM added
)
SELECT id FROM added
"""


def write_tree(root: Path, count: int) -> None:
    """Skills of a SKILL.md of 2 KB and a script."""
    for number in range(count):
        folder = root / f"skill-{number}"
        (folder / "scripts").mkdir(parents=True)
        body = f"# Skill {number}\n\n" + "Read the file, and say what is in it.\n" * 50
        (folder / "SKILL.md").write_text(f"---\nname: skill-{number}\ndescription: Does {number}.\n---\n{body}")
        (folder / "scripts" / "run.sh").write_text(f"{SCRIPT}echo {number}\n")


async def seconds_of(work: Awaitable[object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def by_callers(numbers: Iterator[int], work: Callable[[int], Awaitable[object]], seconds: float) -> float:
    """Calls a second, of so many callers."""
    until, done = time.perf_counter() + seconds, 0

    async def call() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await work(next(numbers))
            done += 1

    await asyncio.gather(*(call() for _ in range(CALLERS)))
    return done / seconds


def skill_of(number: int) -> SkillFolder:
    """A skill of its SKILL.md alone."""
    return SkillFolder.from_content(f"one-{number}", name=f"One {number}", description="What it does.", content="Text.")


async def measure(database: Database, url: str, root: Path, count: int, *, seconds: float) -> dict[str, float]:
    """Everything, on one server."""
    tenant = database.tenant("acme")
    await tenant.create("Acme")
    await database.tenant("plain").create("Plain")
    await asyncio.to_thread(write_tree, root, count)
    first = await seconds_of(import_skill_folders(tenant, root))
    again = await seconds_of(import_skill_folders(tenant, root))
    numbers = iter(range(sys.maxsize))
    published = await by_callers(numbers, lambda number: tenant.publish_skill(skill_of(number)), seconds)
    together = await by_callers(numbers, lambda number: publish_many(tenant, number), seconds) * 100
    inserted = await insert_rows(url, numbers, seconds)
    return {
        f"import of {count:,} skills, s": first,
        "the same again, unchanged, s": again,
        "peak memory, MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        f"published one at a time by {CALLERS} callers, a second": published,
        f"published 100 at a time by {CALLERS} callers, skills a second": together,
        f"rows inserted one at a time by {CALLERS} callers, a second": inserted,
    }


async def publish_many(tenant: Tenant, number: int) -> None:
    """A hundred new skills in one transaction."""
    await tenant.publish_skills([skill_of(number * 1_000 + place + 10**9) for place in range(100)])


async def insert_rows(url: str, numbers: Iterator[int], seconds: float) -> float:
    """The rows alone, each committed, by the same login and number of connections."""
    pool = await asyncpg.create_pool(url, min_size=CALLERS, max_size=CALLERS)

    async def insert(number: int) -> None:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT set_config('app.current_tenant_id', 'plain', true)")
            await connection.fetchval(ROWS, f"row-{number}", "Text.", "x")

    rate = await by_callers(numbers, insert, seconds)
    await pool.close()
    return rate


async def main() -> None:
    """Prints one JSON object."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--skills", type=int, default=5_000)
    arguments.add_argument("--seconds", type=float, default=3)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        async with service_url(f"embedded://{root / 'server'}") as url, everyskill.connect(url) as database:
            found = await measure(database, url, root / "skills", given.skills, seconds=given.seconds)
    print(json.dumps({name: round(value, 2) for name, value in found.items()}, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
