"""Files of skills are read, packed and compared as they were published, and what no version has is removed."""

import asyncio
import io
import zipfile
from hashlib import sha256

import asyncpg
import pytest
from msgspec.structs import replace

from everyskill.errors import FileNotKept, SkillFileNotFound, SkillFolderError, SkillNotFound, VersionNotFound
from everyskill.handles import Database, Tenant
from everyskill.model import FileDiff, SkillFile, SkillFolder
from everyskill.model.kept_files import FileLimits
from everyskill.model.skills import BOM
from tests.support.databases import Clone, open_database
from tests.support.locks import until_somebody_waits
from tests.support.skills import folder

SCRIPT = b"#!/bin/sh\necho one\n"
LOGO = b"\x89PNG\0\xff"


def with_files(files: dict[str, bytes], slug: str = "pdf", content: str = "one") -> SkillFolder:
    """A skill with other files, those that end in .sh executable."""
    skill = folder(slug, content)
    listed = [SkillFile.of(path, data, is_executable=path.endswith(".sh")) for path, data in files.items()]
    contents = {file.hash: data for file, data in zip(listed, files.values(), strict=True)}
    return replace(skill, files=(*skill.files, *listed), contents=contents)


async def archive_of(tenant: Tenant, version: int | None = None) -> bytes:
    archive = await tenant.get_archive("pdf", version)
    return b"".join([piece async for piece in archive.pieces])


async def test_each_file_of_each_version_is_read_as_it_was(acme: Tenant) -> None:
    await acme.publish_skill(with_files({"run.sh": SCRIPT, "logo.png": LOGO, "empty": b""}))
    await acme.publish_skill(with_files({"run.sh": b"echo two\n"}, content="two"))
    listed = [(file.path, file.size, file.is_text, file.is_executable) for file in await acme.list_files("pdf", 1)]
    assert listed == [
        ("SKILL.md", 3, True, False),
        ("empty", 0, True, False),
        ("logo.png", 6, False, False),
        ("run.sh", 19, True, True),
    ]
    for version, path, content in (
        (1, "SKILL.md", b"one"),
        (1, "run.sh", SCRIPT),
        (1, "logo.png", LOGO),
        (1, "empty", b""),
        (2, "SKILL.md", b"two"),
        (None, "run.sh", b"echo two\n"),
    ):
        file = await acme.read_file("pdf", path, version)
        assert (file.content, file.hash, file.size) == (content, sha256(content).hexdigest(), len(content))


async def test_a_byte_order_mark_of_skill_md_is_kept(acme: Tenant) -> None:
    data = (BOM + "one").encode()
    await acme.publish_skill(replace(folder(content="one"), files=(SkillFile.of("SKILL.md", data),)))
    assert (await acme.read_file("pdf", "SKILL.md")).content == data


async def test_what_is_not_there_is_told_from_what_is_not_kept(acme: Tenant) -> None:
    skill = with_files({"run.sh": SCRIPT})
    await acme.publish_skill(replace(skill, contents={}))
    assert [file.is_text for file in await acme.list_files("pdf")] == [True, None]
    with pytest.raises(FileNotKept):
        await acme.read_file("pdf", "run.sh")
    with pytest.raises(FileNotKept):
        await acme.get_archive("pdf")
    with pytest.raises(SkillFileNotFound):
        await acme.read_file("pdf", "run")
    with pytest.raises(VersionNotFound):
        await acme.read_file("pdf", "run.sh", 2)
    await acme.publish_skill(skill)
    assert (await acme.read_file("pdf", "run.sh")).content == SCRIPT


async def test_a_hidden_skill_shows_its_files_only_where_that_is_asked_for(acme: Tenant) -> None:
    await acme.publish_skill(with_files({"run.sh": SCRIPT}))
    await acme.archive_skill("pdf")
    for ask in (acme.list_files("pdf"), acme.read_file("pdf", "run.sh"), acme.get_archive("pdf")):
        with pytest.raises(SkillNotFound):
            await ask
    assert (await acme.read_file("pdf", "run.sh", include_hidden=True)).content == SCRIPT
    assert len(await acme.list_files("pdf", include_hidden=True)) == 2


async def test_what_is_beyond_the_limits_is_listed_and_not_kept(acme: Tenant, clone: Clone) -> None:
    limits = FileLimits(file_bytes=10, skill_files=3, skill_bytes=20)
    async with open_database(clone.service_url, file_limits=limits) as database:
        tenant = database.tenant("acme")
        await tenant.publish_skill(with_files({"a": b"0123456789", "b": b"longer than ten", "c": b"c", "d": b"d"}))
        kept = {file.path: file.is_text for file in await tenant.list_files("pdf")}
    assert kept == {"SKILL.md": True, "a": True, "b": None, "c": True, "d": None}


async def test_a_zip_is_the_same_each_time_and_holds_what_was_published(acme: Tenant) -> None:
    await acme.publish_skill(with_files({"z/run.sh": SCRIPT, "logo.png": LOGO}))
    packed = await archive_of(acme)
    assert packed == await archive_of(acme, 1)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert {info.filename: archive.read(info) for info in archive.infolist()} == {
            "pdf/SKILL.md": b"one",
            "pdf/logo.png": LOGO,
            "pdf/z/run.sh": SCRIPT,
        }
        assert {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()} == {
            "pdf/SKILL.md": 0o644,
            "pdf/logo.png": 0o644,
            "pdf/z/run.sh": 0o755,
        }


@pytest.mark.parametrize("path", ["../climbs", "/absolute", "a/../../climbs", "C:/drive", "back\\slash", "a//b", "."])
async def test_a_path_that_leads_out_of_the_folder_is_packed_by_nobody(acme: Tenant, path: str) -> None:
    await acme.publish_skill(with_files({path: SCRIPT}))
    with pytest.raises(SkillFolderError, match="leads out of the folder"):
        await acme.get_archive("pdf")


async def test_versions_are_compared_line_by_line_in_every_text_that_is_kept(acme: Tenant) -> None:
    await acme.publish_skill(with_files({"run.sh": b"a\nb\n", "gone.txt": b"bye\n", "logo.png": LOGO, "same": b"x"}))
    await acme.publish_skill(with_files({"run.sh": b"a\nc\n", "new.txt": b"hi", "logo.png": b"\0", "same": b"x"}))
    diffs = await acme.compare_versions("pdf", 1, 2)
    assert diffs == [
        FileDiff("gone.txt", "removed", [("hunk", "@@ -1,1 +1,0 @@"), ("removed", "bye")]),
        FileDiff("logo.png", "changed"),
        FileDiff("new.txt", "added", [("hunk", "@@ -1,0 +1,1 @@"), ("added", "hi")]),
        FileDiff(
            "run.sh",
            "changed",
            [("hunk", "@@ -1,3 +1,3 @@"), ("context", "a"), ("removed", "b"), ("added", "c"), ("context", "")],
        ),
    ]
    assert await acme.compare_versions("pdf", 1, 2, path="run.sh") == diffs[3:]
    assert await acme.compare_versions("pdf", 1, 2, path="same") == []
    with pytest.raises(SkillFileNotFound):
        await acme.compare_versions("pdf", 1, 2, path="nowhere")


async def test_prune_removes_what_no_version_has_and_nothing_else(
    acme: Tenant, globex: Tenant, owner: asyncpg.Connection
) -> None:
    for tenant in (acme, globex):
        await tenant.publish_skill(with_files({"run.sh": SCRIPT, "gone.txt": b"gone"}))
        await tenant.publish_skill(with_files({"run.sh": SCRIPT}, slug="other"))
    assert (await acme.prune_files()).files == 0
    await owner.execute("DELETE FROM skills WHERE slug = 'pdf'")
    would_go = await acme.prune_files(dry_run=True)
    assert (would_go.files, would_go.bytes, len(await acme.list_files("other"))) == (1, 4, 2)
    pruned = await acme.prune_files()
    assert (pruned.files, pruned.bytes) == (1, 4)
    rows = await owner.fetch("SELECT tenant_id, content FROM skill_file_contents ORDER BY 1, 2")
    assert list(map(tuple, rows)) == [
        ("acme", SCRIPT),
        ("globex", SCRIPT),
        ("globex", b"gone"),
    ]
    assert (await acme.prune_files()).files == 0


async def test_what_is_published_while_prune_waits_is_not_removed(
    acme: Tenant, owner: asyncpg.Connection, clone: Clone
) -> None:
    await acme.publish_skill(with_files({"run.sh": SCRIPT}))
    await owner.execute("DELETE FROM skills")
    async with owner.transaction():
        # Holds the publisher up behind its contents, before its version is there.
        await owner.execute("LOCK TABLE skill_versions IN SHARE MODE")
        publishing = asyncio.create_task(acme.publish_skill(with_files({"run.sh": SCRIPT})))
        await until_somebody_waits(clone)
        pruning = asyncio.create_task(acme.prune_files())
        await asyncio.sleep(0.3)
        assert not pruning.done()
    await publishing
    assert (await pruning).files == 0
    assert (await acme.read_file("pdf", "run.sh")).content == SCRIPT


async def test_a_neighbours_content_is_read_by_nobody_else(acme: Tenant, globex: Tenant) -> None:
    await acme.publish_skill(with_files({"run.sh": SCRIPT}))
    await globex.publish_skill(replace(with_files({"run.sh": SCRIPT}), contents={}))
    with pytest.raises(FileNotKept):
        await globex.read_file("pdf", "run.sh")


async def test_a_database_of_another_limit_is_opened_with_it(database: Database) -> None:
    assert database.tenant("acme").file_limits == FileLimits()
