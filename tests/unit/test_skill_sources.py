"""What counts as a source, and what hostile archives, manifests and addresses must not do."""

import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from everyskill.errors import AddressRefused, GitTooOld, InvalidSource, SourceUnavailable
from everyskill.skill_sources import Bounds, SourceKind, parse_source
from everyskill.skill_sources.addresses import check_address
from everyskill.skill_sources.archives import unpack
from everyskill.skill_sources.git_program import check_version, git_environment
from everyskill.skill_sources.marketplaces import parse_marketplace

SKILL = b"---\nname: pdf\ndescription: Reads.\n---\n"


# What a source is


@pytest.mark.parametrize(
    ("text", "kind", "address"),
    [
        ("https://host/team/skills.git", SourceKind.GIT, "https://host/team/skills.git"),
        ("https://HOST:8443/team/skills/", SourceKind.GIT, "https://host:8443/team/skills"),
        ("git@host:team/skills.git", SourceKind.GIT, "ssh://git@host/team/skills.git"),
        ("ssh://git@host/team/skills.git", SourceKind.GIT, "ssh://git@host/team/skills.git"),
        ("https://host/skills.zip?token=secret", SourceKind.ARCHIVE, "https://host/skills.zip"),
        ("https://host/skills.tar.gz", SourceKind.ARCHIVE, "https://host/skills.tar.gz"),
        (
            "https://host/.well-known/agent-skills/",
            SourceKind.INDEX,
            "https://host/.well-known/agent-skills/index.json",
        ),
        ("https://host/.well-known/skills/index.json", SourceKind.INDEX, "https://host/.well-known/skills/index.json"),
    ],
)
def test_an_address_says_what_it_is(text: str, kind: SourceKind, address: str) -> None:
    source = parse_source(text)
    assert (source.kind, source.address, source.is_remote) == (kind, address, True)


def test_a_path_says_what_it_is(tmp_path: Path) -> None:
    for path in ("folder/skills", "work/.git", "bare.git/objects", "bare.git/refs", "shop/.claude-plugin"):
        (tmp_path / path).mkdir(parents=True)
    for path in ("skills.zip", "bare.git/HEAD", "shop/.claude-plugin/marketplace.json"):
        (tmp_path / path).write_text("{}")
    kinds = {path: parse_source(str(tmp_path / path)) for path in ("folder", "work", "bare.git", "skills.zip")}
    assert {path: source.kind for path, source in kinds.items()} == {
        "folder": SourceKind.FOLDER,
        "work": SourceKind.GIT,
        "bare.git": SourceKind.GIT,
        "skills.zip": SourceKind.ARCHIVE,
    }
    shop = parse_source(str(tmp_path / "shop" / ".claude-plugin" / "marketplace.json"))
    assert (shop.kind, shop.address) == (SourceKind.FOLDER, str(tmp_path / "shop"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-o/tmp/x",
        "--upload-pack=touch /tmp/x",
        "ext::sh -c touch% /tmp/x",
        "fd::17",
        "file:///etc",
        "git://host/skills",
        "ftp://host/skills.zip",
        "https://user:password@host/skills",
        "https://token@host/skills",
        "https:///skills",
        "https://-oProxyCommand=x/skills",
        "ssh://-oProxyCommand=x/skills",
        "ssh://-x@host/skills",
        "ssh://host/-x",
        "https://host/skills with space",
        "https://host:port/skills",
        "https://host/skills?token=secret",
        "https://[::1/skills",
        "https://host/shop/.claude-plugin/marketplace.json",
        f"https://host/{'x' * 600}",
        "/nowhere/at/all",
        "bad\0path",
    ],
)
def test_what_is_no_source_is_refused_without_naming_a_secret(text: str) -> None:
    with pytest.raises(InvalidSource) as refused:
        parse_source(text)
    assert "secret" not in str(refused.value)
    assert "password@" not in str(refused.value)


@pytest.mark.parametrize(
    "ref", ["", "-x", "--upload-pack=x", "a..b", "a b", "a:b", "x~1", "x^", "x@{1}", "a\\b", "+a:b"]
)
def test_what_is_no_ref_is_refused(ref: str) -> None:
    with pytest.raises(InvalidSource):
        parse_source("https://host/skills", ref)


def test_only_a_repository_has_refs(tmp_path: Path) -> None:
    with pytest.raises(InvalidSource, match="no git repository"):
        parse_source(str(tmp_path), "main")


# What an address may reach


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0.0.0.0",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fd00::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
async def test_hosts_of_private_networks_are_refused(host: str) -> None:
    with pytest.raises(AddressRefused, match="private network"):
        await check_address(f"https://{host}/skills.zip", Bounds())


async def test_a_public_address_is_reached_at_what_was_checked() -> None:
    target = await check_address("https://93.184.215.14:8443/x", Bounds())
    assert (target.host, target.port, target.ip) == ("93.184.215.14", 8443, "93.184.215.14")


@pytest.mark.parametrize("scheme", ["http", "ssh"])
async def test_other_schemes_must_be_allowed(scheme: str) -> None:
    with pytest.raises(AddressRefused, match=f"--allow-scheme {scheme}"):
        await check_address(f"{scheme}://93.184.215.14/x", Bounds())


# Archives


Write = Callable[[zipfile.ZipFile], object]


def zipped(*writes: Write) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for write in writes:
            write(archive)
    return file


def entry(path: str, content: bytes = SKILL, mode: int = 0) -> Write:
    info = zipfile.ZipInfo(path)
    info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
    return lambda archive: archive.writestr(info, content)


def tarred(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file


def member(path: str, kind: bytes = tarfile.REGTYPE, leads_to: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.linkname = kind, leads_to
    return info


def encrypted() -> io.BytesIO:
    data = bytearray(zipped(entry("SKILL.md")).getvalue())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(signature) + offset] |= 1
    return io.BytesIO(data)


def lying() -> io.BytesIO:
    """A zip that says that a megabyte is a byte."""
    data = bytearray(zipped(entry("SKILL.md", bytes(1_000_000))).getvalue())
    for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<L", data, data.index(signature) + offset, 1)
    return io.BytesIO(data)


def with_long_list() -> io.BytesIO:
    data = bytearray(zipped(entry("SKILL.md")).getvalue())
    struct.pack_into("<L", data, data.rindex(b"PK\5\6") + 12, 5_000_000)
    return io.BytesIO(data)


def many() -> io.BytesIO:
    return zipped(*(entry(f"pdf/{number}") for number in range(60)))


LINK, DEVICE = stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o666
HOSTILE: dict[str, Callable[[], io.BytesIO]] = {
    "climbs out": lambda: zipped(entry("SKILL.md"), entry("../evil")),
    "climbs out of it": lambda: zipped(entry("a/../../evil")),
    "or is no path": lambda: zipped(entry("/tmp/everyskill-evil")),
    "is there twice": lambda: zipped(entry("a"), lambda archive: _again(archive, "a")),
    "too": lambda: zipped(entry("Readme"), entry("README")),
    "below a file": lambda: zipped(entry("a"), entry("A/b")),
    "is a link out of it": lambda: zipped(entry("a", b"../../etc/passwd", LINK)),
    "link out": lambda: zipped(entry("a", b"/etc/passwd", LINK)),
    "is a device": lambda: zipped(entry("a", b"", DEVICE)),
    "is encrypted": encrypted,
    "200 times": lambda: zipped(entry("a", bytes(5_000_000))),
    "unpacks to more than": lambda: zipped(*(entry(f"{number}", bytes(range(256)) * 4_000) for number in range(12))),
    "no whole archive": lying,
    "neither a zip": lambda: io.BytesIO(b"something else"),
    "holds too many files": with_long_list,
    "holds more than 50 files": many,
    "'../evil' climbs": lambda: tarred((member("../evil"), SKILL)),
    "'/evil' climbs": lambda: tarred((member("/evil"), SKILL)),
    "holds more than 50 files.": lambda: tarred(
        *((member(f"{number}", tarfile.DIRTYPE), b"") for number in range(101))
    ),
    "'a' is a link out": lambda: tarred((member("a", tarfile.SYMTYPE, "../../etc/passwd"), b"")),
    "is a hard link": lambda: tarred((member("a", tarfile.LNKTYPE, "/etc/passwd"), b"")),
    "a device or the like": lambda: tarred((member("a", tarfile.CHRTYPE), b"")),
    "unpacks to more than 10,000,000": lambda: tarred((member("a"), bytes(25_000_000))),
    "is no whole": lambda: io.BytesIO(tarred((member("a"), SKILL)).getvalue()[:-20]),
}


def _again(archive: zipfile.ZipFile, path: str) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(path, SKILL)


@pytest.mark.parametrize("reason", HOSTILE)
def test_a_hostile_archive_is_refused_and_writes_nothing_outside(reason: str, tmp_path: Path) -> None:
    to = tmp_path / "inside" / "deeper"
    to.mkdir(parents=True)
    with pytest.raises(InvalidSource, match=reason.replace("'/evil'", "'evil'|'/evil'")):
        unpack("the archive", HOSTILE[reason](), to, Bounds(max_bytes=10_000_000, max_entries=50))
    assert [path.name for path in tmp_path.rglob("*") if not path.is_relative_to(to)] == ["inside"]


def test_a_link_within_an_archive_and_the_executable_bit_are_kept(tmp_path: Path) -> None:
    archive = zipped(
        entry("pdf/SKILL.md"), entry("pdf/run.sh", b"echo", stat.S_IFREG | 0o755), entry("pdf/go", b"run.sh", LINK)
    )
    left = unpack("the archive", archive, tmp_path, Bounds(max_bytes=1_000, max_entries=5))
    assert (tmp_path / "pdf" / "go").read_bytes() == b"echo"
    assert (tmp_path / "pdf" / "run.sh").stat().st_mode & 0o111
    assert not (tmp_path / "pdf" / "SKILL.md").stat().st_mode & 0o111
    assert (left.max_bytes, left.max_entries) == (1_000 - len(SKILL) - 4, 2)


# Manifests


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"plugins": {}}',
        b'{"plugins": [{"name": "x", "source": "../.."}]}',
        b'{"plugins": [{"name": "x", "source": "/etc"}]}',
        b'{"plugins": [{"name": "x", "source": "./a", "skills": ["../../b"]}]}',
        b'{"metadata": {"pluginRoot": "../.."}, "plugins": [{"name": "x", "source": "a"}]}',
        b"[" * 100_000,
        b'{"plugins": []}' + b" " * 2_000_000,
        b"\xff\xfe",
    ],
)
def test_a_hostile_marketplace_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidSource, match=r"marketplace\.json"):
        parse_marketplace("the source", data)


def test_a_marketplace_takes_the_folders_of_its_plugins() -> None:
    plugins = b"""[
        {"name": "a", "source": "./plugins/a"},
        {"name": "b", "source": "./", "skills": ["./skills/one", "skills/two"]},
        {"name": "c", "source": "c"},
        {"name": "d", "source": {"source": "url", "url": "https://host/d.git"}}
    ]"""
    read = parse_marketplace("it", b'{"metadata": {"pluginRoot": "./more"}, "plugins": ' + plugins + b"}")
    taken = ("plugins/a/skills/x", "plugins/a", "skills/one", "skills/two", "more/c/skills/y")
    assert all(read.takes(path) for path in taken)
    assert not any(read.takes(path) for path in ("", "skills/three", "plugins/ab", "template", "skills"))
    assert read.notes == ("the plugin d is elsewhere and was not followed: https://host/d.git",)


# Git


def test_a_git_that_is_missing_or_too_old_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitTooOld, match=r"git 2\.30 or newer is needed, and there is none"):
        check_version(wanted=(2, 30), purpose="a git repository")
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.29.1\n")
    (tmp_path / "git").chmod(0o755)
    with pytest.raises(GitTooOld, match=r"this one is 2\.29"):
        check_version(wanted=(2, 30), purpose="a git repository")


def test_a_hook_of_another_repository_may_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "ext")
    environment = git_environment(["https"])
    assert "GIT_DIR" not in environment
    assert (environment["GIT_ALLOW_PROTOCOL"], environment["GIT_TERMINAL_PROMPT"]) == ("https", "0")


async def test_an_unknown_host_is_told_apart_from_a_private_one() -> None:
    with pytest.raises(SourceUnavailable, match="is not known"):
        await check_address(f"https://{'x' * 70}.invalid/x", Bounds())
