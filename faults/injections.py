"""The faults: each does its harm, and returns when the harm has ended and only healing is left."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import asyncpg
import psutil

from faults.stage import Stage

Fault = Callable[[Stage, Random], Awaitable[None]]
HOLD_SECONDS = 2.0
HOUR = 3600


async def kill_writer(stage: Stage, chance: Random) -> None:
    """kill -9 of one writer."""
    process = chance.choice(stage.writers).process
    process.kill()
    process.wait()


async def kill_server(stage: Stage, chance: Random) -> None:
    """kill -9 of the server process; its sessions go on for a moment."""
    os.kill(stage.server_pid(), signal.SIGKILL)


async def kill_session(stage: Stage, chance: Random) -> None:
    """kill -9 of one session: PostgreSQL ends all of them and recovers."""
    sessions = [each.pid for each in psutil.Process(stage.server_pid()).children() if _is_session(each)]
    if sessions:
        os.kill(chance.choice(sessions), signal.SIGKILL)


async def kill_both(stage: Stage, chance: Random) -> None:
    """kill -9 of the server and of all writers."""
    os.kill(stage.server_pid(), signal.SIGKILL)
    stage.kill_writers()


async def cut_connections(stage: Stage, chance: Random) -> None:
    """Ends every session of the application, three times within a second."""
    for _ in range(3):
        await _as_superuser(
            stage, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'everyskill_service'"
        )
        await asyncio.sleep(0.3)


async def hold_locks(stage: Stage, chance: Random) -> None:
    """An open transaction holds rows of one tenant, and then the whole table of views."""
    held = ("SELECT FROM user_skill_views WHERE tenant_id = 'acme' FOR UPDATE", "LOCK user_skill_views, skills")
    for statement in held:
        connection = await stage.connect()
        try:
            # It takes two tables, as careless programs do, and may be the one that a deadlock ends.
            with suppress(asyncpg.DeadlockDetectedError):
                async with connection.transaction():
                    await connection.execute(statement)
                    await asyncio.sleep(HOLD_SECONDS)
        finally:
            await connection.close()


async def fill_disk(stage: Stage, chance: Random) -> None:
    """The disk is full to the last byte, and then no longer."""
    ballast = stage.folder / "disk" / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(1024 * 1024)):
                pass
        # Segments that wait to be used again would hold what is written meanwhile.
        until = time.monotonic() + HOLD_SECONDS
        with suppress(asyncpg.PostgresError, OSError):
            while time.monotonic() < until:
                await _as_superuser(stage, "SELECT pg_switch_wal()")
    finally:
        ballast.unlink(missing_ok=True)


async def move_clock(stage: Stage, chance: Random) -> None:
    """The clock jumps by up to an hour, to and fro; it stays where it is until the next time."""
    for _ in range(2):
        stage.move_clock(chance.randint(-HOUR, HOUR))
        await asyncio.sleep(HOLD_SECONDS)


_FAULTS = (
    kill_writer,
    kill_server,
    kill_session,
    kill_both,
    cut_connections,
    hold_locks,
    fill_disk,
    move_clock,
)
FAULTS: dict[str, Fault] = {fault.__name__: fault for fault in _FAULTS}


def is_possible(fault: Fault, stage: Stage) -> bool:
    """Whether this machine allows it."""
    return (fault is not fill_disk or stage.has_own_disk) and (fault is not move_clock or stage.has_own_clock)


async def _as_superuser(stage: Stage, statement: str) -> None:
    connection = await stage.connect()
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _is_session(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any("everyskill_service" in word for word in process.cmdline())
    return False
