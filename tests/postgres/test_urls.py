"""What libpq takes in the URL of a database is taken here too, or refused by its name."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs

import pytest

import everyskill
from everyskill import errors
from everyskill.database.connections import connect_once
from everyskill.database.opening import CONNECT_SECONDS
from tests.support.databases import Clone, add_tenant


@asynccontextmanager
async def over_tcp(clone: Clone) -> AsyncIterator[str]:
    """The URL of a relay to the server's Unix socket."""
    path = parse_qs(clone.direct_url.partition("?")[2])

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
        target.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside = await asyncio.open_unix_connection(f"{path['host'][0]}/.s.PGSQL.{path['port'][0]}")
        await asyncio.gather(copy(reader, inside[1]), copy(inside[0], writer))

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"postgresql://everyskill_service@127.0.0.1:{port}/{clone.name}"


async def test_keepalives_in_a_url_are_those_of_the_connection(newest_server: None, clone: Clone) -> None:
    async with over_tcp(clone) as url:
        connection = await connect_once(f"{url}?keepalives_idle=7&keepalives_interval=3&keepalives_count=2")
        options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
        options += [(socket.IPPROTO_TCP, getattr(socket, f"TCP_KEEP{name}")) for name in ("IDLE", "INTVL", "CNT")]
        kept = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
        assert [kept.getsockopt(*option) for option in options] == [1, 7, 3, 2]
        await connection.close()
        # For libpq a zero is what the system has anyway.
        connection = await connect_once(f"{url}?keepalives_idle=0&keepalives_interval=0&keepalives_count=0")
        await connection.close()
        connection = await connect_once(f"{url}?keepalives_idle=7&keepalives=0")
        kept = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
        assert kept.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        await connection.close()
        for refused in ("keepalives_idle=99999999", "keepalives_idle=9999999999", "keepalives_count=often"):
            with pytest.raises(errors.InvalidSetting, match=refused.partition("=")[0]):
                await connect_once(f"{url}?{refused}")


@pytest.mark.parametrize("character", "/?#[")
async def test_what_may_be_a_part_of_a_password_is_not_told(character: str) -> None:
    with pytest.raises(errors.InvalidSetting, match="%2F") as caught:
        await connect_once(f"postgresql://ann:hush{character}hush@127.0.0.1/x")
    assert caught.value.__suppress_context__
    assert "hush" not in str(caught.value)


async def test_connect_timeout_in_a_url_ends_the_wait_for_a_silent_server() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        url = f"postgresql://ann@127.0.0.1:{silent.sockets[0].getsockname()[1]}/x?sslmode=disable"
        with pytest.raises(errors.DatabaseUnreachable, match="in time"):
            await asyncio.wait_for(connect_once(f"{url}&connect_timeout=1"), CONNECT_SECONDS - 2)


async def test_a_service_is_found_and_an_unknown_one_is_named(
    newest_server: None, clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = tmp_path / "services"
    parts = {name: found[0] for name, found in parse_qs(clone.direct_url.partition("?")[2]).items()}
    parts |= {"user": "everyskill_service", "dbname": clone.name}
    services.write_text("[ours]\n" + "".join(f"{name}={value}\n" for name, value in parts.items()))
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    async with everyskill.connect("postgresql://?service=ours&connect_timeout=9"):
        pass
    with pytest.raises(errors.InvalidSetting, match="'theirs'"):
        await everyskill.connect("postgresql://?service=theirs").__aenter__()
    services.write_text("no section")
    with pytest.raises(errors.InvalidSetting, match=r"no section"):
        await everyskill.connect("postgresql://?service=ours").__aenter__()


async def test_a_passfile_that_is_not_there_is_named() -> None:
    with pytest.raises(errors.InvalidSetting, match="/no/such/passfile"):
        await everyskill.connect("postgresql://ann@127.0.0.1:1/x?passfile=/no/such/passfile").__aenter__()


async def test_the_host_that_takes_writes_is_found_among_several(newest_server: None, clone: Clone) -> None:
    url = clone.direct_url.replace("host=", "host=/no/such/folder,").replace("port=", "port=1,")
    async with everyskill.connect(f"{url}&target_session_attrs=read-write&keepalives_idle=9") as database:
        assert (await add_tenant(database, "acme")).tenant_id == "acme"
