"""Restores a dump into an empty database, in one transaction that ends with the counts of rows."""

import asyncio
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, cast

import asyncpg
from msgspec import Struct

from everyskill.backup.contents import Contents, Role, find_anything, quoted
from everyskill.backup.dump_file import open_dump_file
from everyskill.backup.programs import CHUNK_BYTES, Programs, find_programs, first_error, login_of
from everyskill.database.connections import check_version, close_quietly, connect_once, translate_driver_errors
from everyskill.database.inspection import Finding, inspect_as_member
from everyskill.database.policies import APP_ROLE, OPERATOR_ROLE
from everyskill.errors import DatabaseNotEmpty, EverySkillError, MissingPrivilege, RestoreFailed

# pg_restore begins with settings, one of which servers before 17 do not know.
HEAD_LINES = 40
TIMEOUT_SINCE = 17
TRANSACTION_TIMEOUT = b"SET transaction_timeout = 0;\n"
# What pg_restore says to the file of a newer pg_dump, and what helps.
OTHER_FORMAT = "unsupported version"
NEWER_PROGRAMS = "; a newer pg_dump wrote it. A newer pg_restore comes with: pip install 'everyskill[embedded]'"
_LOGIN = """
SELECT current_user::regrole::text AS name, rolsuper AS is_superuser, quote_ident(current_database()) AS database,
       (SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()) AS owner
  FROM pg_roles WHERE rolname = current_user
"""
_COMPARE = """
DO $compare$ DECLARE found bigint; BEGIN
    SELECT count(*) INTO found FROM {table};
    IF found <> {count} THEN RAISE EXCEPTION '% of {count} rows of % were restored', found, '{name}'; END IF;
END $compare$;
"""


class Restored(Struct, frozen=True):
    """What a restore did. `counts` is None where the dump had none, as that of a bare pg_dump."""

    counts: dict[str, int] | None
    roles: list[str]
    findings: list[Finding]


async def restore(url: str, path: Path, *, own_programs: Path | None) -> Restored:
    """Makes the roles that are missing, restores all rows, compares their counts, and inspects the database.

    `url` must log in as a superuser, to an empty database. Where its owner is another role, that role owns what is
    restored; a database of the superuser's own is given to the owner in the dump. Raises InvalidDump, DatabaseNotEmpty,
    MissingPrivilege, PostgresProgramsMissing or RestoreFailed, and after any of them nothing is changed.
    """
    with open_dump_file(path) as (dumped, contents):
        connection = await connect_once(url, answer_seconds=None)
        try:
            with translate_driver_errors():
                login = await _check(connection)
            version = connection.get_server_version().major
            programs = find_programs(max(version, contents.server if contents else version), own_programs)
            async with _missing_roles(connection, contents) as made:
                await _run(programs, url, dumped, _Script(login, contents), drop_timeout=version < TIMEOUT_SINCE)
        finally:
            await close_quietly(connection)
    return Restored(contents.counts if contents else None, made, await _inspect(url))


async def _inspect(url: str) -> list[Finding]:
    """An error is a finding: everything is restored by now."""
    try:
        return await inspect_as_member(url)
    except (EverySkillError, asyncpg.PostgresError) as error:
        return [Finding("inspection", False, str(error))]


async def _check(connection: asyncpg.Connection) -> asyncpg.Record:
    check_version(connection)
    [login] = await connection.fetch(_LOGIN)
    if not login["is_superuser"]:
        raise MissingPrivilege(login["name"], "to be a superuser")
    if found := await find_anything(connection):
        raise DatabaseNotEmpty(found)
    return login


@asynccontextmanager
async def _missing_roles(connection: asyncpg.Connection, contents: Contents | None) -> AsyncIterator[list[str]]:
    """Makes the roles of a dump that the server lacks; drops them where the block fails."""
    with translate_driver_errors():
        made = await _make_roles(connection, contents)
    try:
        yield made
    except BaseException:
        if made:
            # Committed already, where they own something.
            with suppress(asyncpg.DependentObjectsStillExistError), translate_driver_errors():
                await connection.execute(f"DROP ROLE {', '.join(map(quoted, made))}")
        raise


async def _make_roles(connection: asyncpg.Connection, contents: Contents | None) -> list[str]:
    known = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
    roles = contents.roles if contents else [Role(APP_ROLE), Role(OPERATOR_ROLE)]
    missing = [role for role in roles if role.name not in known]
    made = [role.name for role in missing]
    async with connection.transaction():
        for role in missing:
            await connection.execute(role.ddl())
        for group, member in contents.memberships if contents else ():
            # Those between roles that were there are the operator's.
            if group in made or member in made:
                await connection.execute(f"GRANT {quoted(group)} TO {quoted(member)}")
    return made


class _Script:
    """What goes before and after the statements of pg_restore, in the same transaction."""

    def __init__(self, login: asyncpg.Record, contents: Contents | None) -> None:
        self._login = login
        self._contents = contents
        # Who owns what is restored, in the place of the dump's owner.
        owners = (contents.owner if contents else login["owner"], login["name"])
        self.new_owner: str | None = None if login["owner"] in owners else login["owner"]

    def before(self) -> str:
        return f"BEGIN; {f'SET ROLE {self.new_owner};' if self.new_owner else ''}\n"

    def after(self) -> str:
        """Never sent where pg_restore failed: without COMMIT nothing is kept."""
        lines = ["\nRESET ROLE; ANALYZE;"]
        if self._contents:
            if not self.new_owner:
                lines.append(f"ALTER DATABASE {self._login['database']} OWNER TO {self._contents.owner};")
            for table, count in self._contents.counts.items():
                lines.append(_COMPARE.format(table=table, count=count, name=table.replace("'", "''")))
        return "\n".join([*lines, "COMMIT;\n"])


async def _run(programs: Programs, url: str, dumped: IO[bytes], script: _Script, *, drop_timeout: bool) -> None:
    """Has pg_restore make a script of the dump, and psql run it: pg_restore alone could not end with our statements."""
    login = login_of(url)
    to_sql = ("--no-owner", "-f", "-") if script.new_owner else ("-f", "-")
    quietly = ("--no-psqlrc", "--no-password", "--quiet", "--output=/dev/null")
    run_sql = (*quietly, "--set=ON_ERROR_STOP=1", "-d", login.url)
    with tempfile.TemporaryFile() as complaints, tempfile.TemporaryFile() as errors:
        async with (
            programs.start(
                "pg_restore", *to_sql, login=login, stderr=complaints, stdin=PIPE, stdout=PIPE
            ) as pg_restore,
            programs.start("psql", *run_sql, login=login, stderr=errors, stdin=PIPE) as psql,
        ):
            await asyncio.gather(
                _feed(dumped, pg_restore), _pass_on(pg_restore, psql, script, drop_timeout=drop_timeout)
            )
            if await psql.wait():
                raise RestoreFailed(first_error(errors))
            if await pg_restore.wait():
                reason = first_error(complaints)
                raise RestoreFailed(f"{reason}{NEWER_PROGRAMS if reason.startswith(OTHER_FORMAT) else ''}")


async def _feed(dumped: IO[bytes], pg_restore: Process) -> None:
    async with _input_of(pg_restore) as stdin:
        while chunk := dumped.read(CHUNK_BYTES):
            stdin.write(chunk)
            await stdin.drain()


async def _pass_on(pg_restore: Process, psql: Process, script: _Script, *, drop_timeout: bool) -> None:
    script_lines = cast(asyncio.StreamReader, pg_restore.stdout)
    async with _input_of(psql) as stdin:
        stdin.write(script.before().encode())
        for _ in range(HEAD_LINES):
            line = await script_lines.readline()
            if not (drop_timeout and line == TRANSACTION_TIMEOUT):
                stdin.write(line)
        while chunk := await script_lines.read(CHUNK_BYTES):
            stdin.write(chunk)
            await stdin.drain()
        if await pg_restore.wait() == 0:
            stdin.write(script.after().encode())
            await stdin.drain()
    # Where psql ended early: nobody reads the rest of the script.
    with suppress(ProcessLookupError):
        pg_restore.kill()


@asynccontextmanager
async def _input_of(process: Process) -> AsyncIterator[asyncio.StreamWriter]:
    """Closes it at the end. A program that ended before it read all says itself why."""
    stdin = cast(asyncio.StreamWriter, process.stdin)
    try:
        with suppress(ConnectionError):
            yield stdin
    finally:
        stdin.close()
