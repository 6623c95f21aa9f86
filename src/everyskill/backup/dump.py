"""Dumps a database into a file, and counts its rows in the same snapshot."""

import tempfile
from asyncio import StreamReader
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import cast
from zipfile import ZipFile

import asyncpg
import msgspec

from everyskill.backup.contents import Contents, read_contents
from everyskill.backup.dump_file import CONTENTS, DATABASE, new_dump_file
from everyskill.backup.programs import CHUNK_BYTES, Programs, find_programs, first_error, login_of
from everyskill.database.connections import close_quietly, connect_once, read_revision, translate_driver_errors
from everyskill.database.revisions import HEAD
from everyskill.errors import DatabaseNotMigrated, DumpFailed, MissingPrivilege

# Behind a migration, say: a dump that waits for ever is one that nobody misses until it is needed.
LOCK_WAIT = "60s"
_ROLE = "SELECT rolname, rolsuper OR rolbypassrls AS sees_all_rows FROM pg_roles WHERE rolname = current_user"
# Until the connection ends. With row_security off it is an error where a policy would leave rows out.
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL row_security = off; SET LOCAL lock_timeout = '{}'"


async def dump(url: str, path: Path, *, own_programs: Path | None, lock_wait: str = LOCK_WAIT) -> Contents:
    """Dumps the database, of whatever revision, and returns what went into the file.

    `url` must log in as a superuser or with BYPASSRLS; MissingPrivilege for others, whose dump would be partial. Raises
    DumpFailed, LockTimeout, PostgresProgramsMissing, DatabaseNotMigrated for a database without our tables, or OSError.
    After any of them a file of that name is as it was before.
    """
    connection = await connect_once(url, answer_seconds=None)
    try:
        with translate_driver_errors():
            await connection.execute(_BEGIN.format(lock_wait))
            await _check(connection)
            programs = find_programs(connection.get_server_version().major, own_programs)
            snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
            contents = await read_contents(connection)
        with new_dump_file(path) as archive:
            await _run_pg_dump(programs, url, archive, f"--snapshot={snapshot}", f"--lock-wait-timeout={lock_wait}")
            archive.writestr(CONTENTS, msgspec.json.encode(contents))
    finally:
        await close_quietly(connection)
    return contents


async def _check(connection: asyncpg.Connection) -> None:
    [role] = await connection.fetch(_ROLE)
    if not role["sees_all_rows"]:
        needed = "BYPASSRLS, or to be a superuser: row-level security would leave rows out of the dump"
        raise MissingPrivilege(role["rolname"], needed)
    if await read_revision(connection) is None:
        raise DatabaseNotMigrated(None, HEAD)


async def _run_pg_dump(programs: Programs, url: str, archive: ZipFile, *options: str) -> None:
    login = login_of(url)
    with tempfile.TemporaryFile() as stderr, archive.open(DATABASE, "w", force_zip64=True) as output:
        async with programs.start(
            "pg_dump",
            "--format=custom",
            "--no-password",
            *options,
            "-d",
            login.url,
            login=login,
            stderr=stderr,
            stdout=PIPE,
        ) as pg_dump:
            printed = cast(StreamReader, pg_dump.stdout)
            while chunk := await printed.read(CHUNK_BYTES):
                output.write(chunk)
            if await pg_dump.wait():
                raise DumpFailed(first_error(stderr))
