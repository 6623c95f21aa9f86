"""A version is written as the folder that it was, and nothing is written outside of it."""

import stat
from pathlib import Path

import pytest

from everyskill.errors import SkillFolderError
from everyskill.handles import Tenant
from everyskill.model import SkillVersion
from everyskill.skill_folders.exporter import export_version
from tests.support.skills import with_script

CLIMBING = ["../climbs", "/absolute", "a/../../b", "C:\\x", "a\\..\\b", "./a", ""]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def published(tenant: Tenant, path: str = "bin/run.sh") -> SkillVersion:
    await tenant.publish_skill(with_script("echo one\n", path))
    return await tenant.get_version("pdf", 1)


async def test_the_folder_is_written_with_its_programs_executable(acme: Tenant, tmp_path: Path) -> None:
    report = await export_version(acme, await published(acme), tmp_path / "new" / "pdf")
    assert (report.written, report.not_kept) == (["SKILL.md", "bin/run.sh"], [])
    assert (tmp_path / "new/pdf/SKILL.md").read_bytes() == b"one"
    assert (tmp_path / "new/pdf/bin/run.sh").read_bytes() == b"echo one\n"
    modes = [(tmp_path / "new/pdf" / path).stat().st_mode & stat.S_IXUSR for path in report.written]
    assert [bool(mode) for mode in modes] == [False, True]


async def test_a_folder_that_is_not_empty_is_written_only_by_force(acme: Tenant, tmp_path: Path) -> None:
    version = await published(acme)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SkillFolderError, match="is not empty"):
        await export_version(acme, version, tmp_path)
    assert names_in(tmp_path) == ["mine.txt"]
    await export_version(acme, version, tmp_path, force=True)
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("path", [path for path in CLIMBING if path])
async def test_a_path_that_leads_out_of_the_folder_is_refused_before_anything_is_written(
    acme: Tenant, tmp_path: Path, path: str
) -> None:
    with pytest.raises(SkillFolderError, match="leads out of the folder"):
        await export_version(acme, await published(acme, path), tmp_path / "out")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("kind", ["folder", "file"])
async def test_a_link_that_lies_there_leads_nowhere(acme: Tenant, tmp_path: Path, kind: str) -> None:
    outside, target = tmp_path / "outside", tmp_path / "out"
    for folder in (outside, target):
        folder.mkdir()
    (outside / "run.sh").write_text("theirs")
    if kind == "folder":
        (target / "bin").symlink_to(outside)
        with pytest.raises(SkillFolderError, match="behind a link"):
            await export_version(acme, await published(acme, "bin/deep/run.sh"), target, force=True)
        assert names_in(outside) == ["run.sh"]
    else:
        (target / "bin").mkdir()
        (target / "bin" / "run.sh").symlink_to(outside / "run.sh")
        await export_version(acme, await published(acme), target, force=True)
        assert not (target / "bin" / "run.sh").is_symlink()
    assert (outside / "run.sh").read_text() == "theirs"


async def test_what_cannot_be_written_is_told_with_its_path(acme: Tenant, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SkillFolderError, match="cannot be written"):
        await export_version(acme, await published(acme), tmp_path / "file")
