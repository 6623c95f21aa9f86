"""Importing a tree: what is published, what is left alone, and what a broken skill or a wrong path must not do."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from msgspec.structs import replace

from everyskill.errors import DatabaseUnreachable, SkillFolderError, SkillNotFound, TenantNotFound, UserNotFound
from everyskill.handles import Database, Tenant
from everyskill.skill_folders import ImportReport, Move, import_skill_folders
from everyskill.skill_folders.bulk import FolderRead, ImportedAs, publish_folders
from tests.support.databases import Clone
from tests.support.skill_folders import BROKEN, MAX_PATH, dig, write_skill
from tests.support.skills import folder, is_badged, publish


async def test_new_changed_and_unchanged_folders_are_told_apart(acme: Tenant, skills_folder: Path) -> None:
    write_skill(skills_folder, "pdf")
    changing = write_skill(skills_folder, "writing/notes")
    first = await import_skill_folders(acme, skills_folder)
    changing.write_text(changing.read_text() + "More.\n")
    write_skill(skills_folder, "writing/mail")

    second = await import_skill_folders(acme, skills_folder)

    assert first == ImportReport(added=["pdf", "notes"])
    assert second == ImportReport(added=["mail"], updated=["notes"], unchanged=["pdf"])


async def test_the_root_may_be_a_str(acme: Tenant, skills_folder: Path) -> None:
    write_skill(skills_folder, "writing/notes")
    assert await import_skill_folders(acme, str(skills_folder)) == ImportReport(added=["notes"])


async def test_a_changed_file_beside_skill_md_publishes_a_version(acme: Tenant, skills_folder: Path) -> None:
    write_skill(skills_folder, "pdf")
    await import_skill_folders(acme, skills_folder)
    (skills_folder / "pdf" / "tool.py").write_text("print()")

    await import_skill_folders(acme, skills_folder)

    assert (await acme.get_skill("pdf")).skill.published_version == 2


async def test_the_folder_above_is_the_category(acme: Tenant, skills_folder: Path) -> None:
    write_skill(skills_folder, "writing/notes")
    await import_skill_folders(acme, skills_folder)
    assert (await acme.get_skill("notes")).skill.category == "writing"


async def test_importing_one_category_alone_moves_no_skill_and_badges_nobody(acme: Tenant, skills_folder: Path) -> None:
    write_skill(skills_folder, "writing/notes")
    await import_skill_folders(acme, skills_folder)
    assert await import_skill_folders(acme, skills_folder / "writing") == ImportReport(unchanged=["notes"])
    assert (await acme.get_skill("notes")).skill.category == "writing"


async def test_a_skill_at_the_top_of_a_tree_is_in_the_general_category(acme: Tenant, skills_folder: Path) -> None:
    write_skill(skills_folder, "notes")
    await import_skill_folders(acme, skills_folder)
    assert (await acme.get_skill("notes")).skill.category == "general"


async def test_a_broken_skill_is_reported_and_the_rest_goes_in(acme: Tenant, skills_folder: Path) -> None:
    write_skill(skills_folder, "a-good")
    broken = write_skill(skills_folder, "b-broken")
    write_skill(skills_folder, "c-good")
    broken.write_text(BROKEN)

    report = await import_skill_folders(acme, skills_folder)

    assert report.added == ["a-good", "c-good"]
    [failure] = report.failed
    assert (failure.path, failure.line) == (str(broken), 3)


async def test_an_author_is_not_badged_for_the_import(acme: Tenant, skills_folder: Path) -> None:
    skill = await publish(acme, "pdf")
    for user_id in ("ann", "bob"):
        await acme.visit_skill(user_id, skill.skill_id)
    write_skill(skills_folder, "pdf")

    await import_skill_folders(acme, skills_folder, author_id="ann")

    assert not await is_badged(acme, "ann", skill.skill_id)
    assert await is_badged(acme, "bob", skill.skill_id)


async def test_an_unknown_author_stops_the_import_before_it_begins(acme: Tenant, skills_folder: Path) -> None:
    write_skill(skills_folder, "pdf")
    with pytest.raises(UserNotFound):
        await import_skill_folders(acme, skills_folder, author_id="nobody")
    assert (await acme.list_skills()).items == []


async def test_a_folder_that_disappeared_stays_unless_asked(acme: Tenant, skills_folder: Path) -> None:
    await publish(acme, "gone")
    write_skill(skills_folder, "pdf")

    kept = await import_skill_folders(acme, skills_folder)
    archived = await import_skill_folders(acme, skills_folder, archive_missing=True)

    assert kept.archived == []
    assert archived.archived == ["gone"]
    with pytest.raises(SkillNotFound):
        await acme.get_skill("gone")


async def test_archiving_finds_what_is_missing_beyond_one_page(acme: Tenant, skills_folder: Path) -> None:
    await asyncio.gather(*(publish(acme, f"skill-{number}") for number in range(101)))
    write_skill(skills_folder, "skill-0")
    report = await import_skill_folders(acme, skills_folder, archive_missing=True)
    assert len(report.archived) == 100


async def test_a_broken_folder_is_not_a_missing_one(acme: Tenant, skills_folder: Path) -> None:
    file = write_skill(skills_folder, "pdf")
    await import_skill_folders(acme, skills_folder)
    file.write_text(BROKEN)

    report = await import_skill_folders(acme, skills_folder, archive_missing=True)

    assert report.archived == []
    assert (await acme.get_skill("pdf")).skill.published_version == 1


async def test_what_lies_in_a_folder_that_cannot_be_listed_is_not_missing(acme: Tenant, skills_folder: Path) -> None:
    write_skill(skills_folder, "open/pdf")
    await publish(acme, "notes")
    (skills_folder / "closed").mkdir()
    # The innermost folder is there, and no path is long enough to list it, for root neither.
    dig(skills_folder / "closed", MAX_PATH)

    report = await import_skill_folders(acme, skills_folder, archive_missing=True)

    assert (report.added, report.archived) == (["pdf"], [])
    assert [failure.reason for failure in report.failed] == [
        "cannot be read: File name too long",
        "cannot be listed, so nothing was archived",
    ]
    assert (await acme.get_skill("notes")).skill.published_version == 1


@pytest.mark.parametrize("case", ["a folder", "a pipe", "a link to nowhere", "broken"])
async def test_what_lies_below_a_broken_skill_file_is_not_missing(acme: Tenant, skills_folder: Path, case: str) -> None:
    write_skill(skills_folder, "writing/notes")
    write_skill(skills_folder, "pdf")
    await import_skill_folders(acme, skills_folder)
    await publish(acme, "gone")
    stray = skills_folder / "writing" / "SKILL.md"
    make: dict[str, Callable[[], object]] = {
        "a folder": stray.mkdir,
        "a pipe": lambda: os.mkfifo(stray),
        "a link to nowhere": lambda: stray.symlink_to("nowhere"),
        "broken": lambda: stray.write_text(BROKEN),
    }
    make[case]()

    report = await import_skill_folders(acme, skills_folder, archive_missing=True)

    assert (report.unchanged, report.archived) == (["pdf"], ["gone"])
    assert len(report.failed) == 1
    assert (await acme.get_skill("notes")).skill.published_version == 1


async def test_what_lies_below_a_broken_root_is_not_missing_though_a_link_leads_there(
    acme: Tenant, skills_folder: Path, tmp_path: Path
) -> None:
    write_skill(skills_folder, "notes")
    await import_skill_folders(acme, skills_folder)
    (skills_folder / "SKILL.md").write_text(BROKEN)
    (tmp_path / "link").symlink_to(skills_folder)
    assert (await import_skill_folders(acme, tmp_path / "link", archive_missing=True)).archived == []


async def test_what_lies_behind_a_link_out_of_the_tree_is_missing(
    acme: Tenant, skills_folder: Path, tmp_path: Path
) -> None:
    write_skill(skills_folder, "pdf")
    write_skill(tmp_path, "elsewhere/notes")
    write_skill(tmp_path, "elsewhere")
    (skills_folder / "linked").symlink_to(tmp_path / "elsewhere")
    await publish(acme, "notes")
    assert (await import_skill_folders(acme, skills_folder, archive_missing=True)).archived == ["notes"]


@pytest.mark.parametrize("is_relative", [False, True])
async def test_a_path_beyond_all_limits_is_reported_and_the_rest_goes_in(
    acme: Tenant, skills_folder: Path, monkeypatch: pytest.MonkeyPatch, is_relative: bool
) -> None:
    write_skill(skills_folder, "a")
    write_skill(skills_folder, "z")
    (skills_folder / "m").mkdir()
    dig(skills_folder / "m", MAX_PATH - 5, "SKILL.md")
    (skills_folder / "n").mkdir()
    dig(skills_folder / "n", 2 * MAX_PATH, "SKILL.md")
    monkeypatch.chdir(skills_folder.parent)
    root = Path(skills_folder.name) if is_relative else skills_folder

    report = await import_skill_folders(acme, root)

    assert {"a", "z"} <= set(report.added)
    assert {failure.reason for failure in report.failed} == {"cannot be read: File name too long"}


@pytest.mark.parametrize("archive_missing", [False, True])
async def test_a_tree_without_a_skill_is_a_wrong_path(acme: Tenant, skills_folder: Path, archive_missing: bool) -> None:
    await publish(acme, "pdf")
    with pytest.raises(SkillFolderError, match=r"holds no SKILL\.md"):
        await import_skill_folders(acme, skills_folder, archive_missing=archive_missing)
    assert (await acme.get_skill("pdf")).skill.published_version == 1


@pytest.mark.parametrize("more", ["", "More.\n"])
async def test_an_archived_skill_stays_hidden_and_is_said_to(acme: Tenant, skills_folder: Path, more: str) -> None:
    file = write_skill(skills_folder, "pdf")
    await import_skill_folders(acme, skills_folder)
    await acme.archive_skill("pdf")
    file.write_text(file.read_text() + more)

    report = await import_skill_folders(acme, skills_folder)

    assert report == ImportReport(hidden=["pdf"])


async def test_progress_is_told_after_each_folder(acme: Tenant, skills_folder: Path) -> None:
    write_skill(skills_folder, "notes")
    write_skill(skills_folder, "pdf")
    told: list[tuple[int, int, str]] = []

    await import_skill_folders(
        acme, skills_folder, on_progress=lambda done, total, folder: told.append((done, total, folder.name))
    )

    assert told == [(1, 2, "notes"), (2, 2, "pdf")]


async def test_an_unknown_tenant_stops_the_import(database: Database, skills_folder: Path) -> None:
    write_skill(skills_folder, "pdf")
    with pytest.raises(TenantNotFound):
        await import_skill_folders(database.tenant("nowhere"), skills_folder)


async def test_a_database_that_goes_away_stops_the_import(acme: Tenant, clone: Clone, skills_folder: Path) -> None:
    for name in ("a", "b", "c"):
        write_skill(skills_folder, name)
    admin = await asyncpg.connect(clone.server.superuser_url)
    await admin.execute(f"DROP DATABASE {clone.name} WITH (FORCE)")
    await admin.close()

    with pytest.raises(DatabaseUnreachable):
        await import_skill_folders(acme, skills_folder)


async def test_many_folders_are_published_together(acme: Tenant, skills_folder: Path, queries: list[str]) -> None:
    for number in range(60):
        write_skill(skills_folder, f"skill-{number}")
    await import_skill_folders(acme, skills_folder)
    for changed in (False, True):
        for number in range(60 if changed else 0):
            write_skill(skills_folder, f"skill-{number}", body="Another.")
        queries.clear()
        report = await import_skill_folders(acme, skills_folder, note="All of them")
        assert len(report.updated if changed else report.unchanged) == 60
        assert len(queries) <= 20
    assert (await acme.list_versions("skill-3"))[0].note == "All of them"


async def test_a_folder_that_cannot_be_published_stops_no_other_of_its_batch(acme: Tenant) -> None:
    read: list[FolderRead] = [(Path(slug), folder(slug)) for slug in ("a", "b", "c")]
    read[1:1] = [(Path("bad"), folder("bad", name=" ")), (Path("worse"), SkillFolderError("worse", 3, "is broken"))]
    published = [outcome async for outcome in publish_folders(acme, iter(read), Path(), ImportedAs())]
    assert [path.name for path, _ in published] == ["a", "bad", "worse", "b", "c"]
    assert [str(outcome) for _, outcome in published if isinstance(outcome, SkillFolderError)] == [
        "bad: name must not be empty",
        "worse:3: is broken",
    ]
    assert await acme.list_slugs() == {"a", "b", "c"}


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    acme: Tenant, tmp_path: Path, owner: asyncpg.Connection
) -> None:
    for name in ("same", "changed", "gone", "old-name"):
        write_skill(tmp_path, name, body=f"Steps of {name}.")
    await import_skill_folders(acme, tmp_path)
    shutil.rmtree(tmp_path / "gone")
    write_skill(tmp_path, "changed", body="Another.")
    write_skill(tmp_path, "new", body="Of its own.")
    (tmp_path / "old-name").rename(tmp_path / "other-name")
    planned = await import_skill_folders(acme, tmp_path, archive_missing=True, dry_run=True)
    assert await owner.fetchval("SELECT count(*) FROM skill_versions") == 4
    assert planned == await import_skill_folders(acme, tmp_path, archive_missing=True)
    assert (planned.added, planned.updated, planned.archived) == (["new"], ["changed"], ["gone"])
    assert planned.moved == [Move("old-name", "other-name")]


async def test_with_a_source_only_skills_of_that_source_are_archived(acme: Tenant, tmp_path: Path) -> None:
    for tree in ("ours", "theirs"):
        write_skill(tmp_path / tree, f"{tree}-one")
        write_skill(tmp_path / tree, f"{tree}-two")
        await import_skill_folders(acme, tmp_path / tree, source=tree)
    shutil.rmtree(tmp_path / "ours" / "ours-two")
    report = await import_skill_folders(acme, tmp_path / "ours", source="ours", archive_missing=True)
    assert report.archived == ["ours-two"]
    assert await acme.list_slugs() == {"ours-one", "theirs-one", "theirs-two"}
    assert await acme.list_slugs(source="theirs") == {"theirs-one", "theirs-two"}


async def viewed_import(tenant: Tenant, root: Path, *slugs: str) -> None:
    """Imports a tree, of whose skills ann views some."""
    await import_skill_folders(tenant, root)
    for slug in slugs:
        await tenant.visit_skill("ann", slug)


async def test_a_moved_folder_is_the_skill_that_it_was(acme: Tenant, skills_folder: Path) -> None:
    for path in ("one", "two"):
        write_skill(skills_folder, path, body=f"Steps of {path}.")
        (skills_folder / path / "tool.py").write_text(path)
    await viewed_import(acme, skills_folder, "one", "two")
    ids = [(await acme.get_skill(slug)).skill.id for slug in ("one", "two")]
    # As it is, and with the name that hosts ask of the folder.
    (skills_folder / "one").rename(skills_folder / "eins")
    (skills_folder / "two").rename(skills_folder / "zwei")
    write_skill(skills_folder, "zwei", body="Steps of two.")

    report = await import_skill_folders(acme, skills_folder, archive_missing=True)

    moved = [Move("one", "eins"), Move("two", "zwei")]
    # Of the name that no longer is the folder's.
    assert [warning.path.split("/")[-2] for warning in report.warnings] == ["eins"]
    assert replace(report, warnings=[]) == ImportReport(moved=moved, unchanged=["eins"], updated=["zwei"])
    assert [(await acme.get_skill(slug)).skill.id for slug in ("eins", "zwei")] == ids
    assert [(await acme.get_skill(slug)).skill.id for slug in ("one", "two")] == ids
    assert await acme.get_updated_skill_ids("ann", ids) == {ids[1]}


@pytest.mark.parametrize("archive_missing", [True, False])
async def test_copies_of_a_folder_that_is_gone_are_new_skills(
    acme: Tenant, skills_folder: Path, archive_missing: bool
) -> None:
    gone = write_skill(skills_folder, "gone")
    write_skill(skills_folder, "stays", body="Others.")
    await viewed_import(acme, skills_folder)
    gone.unlink()
    gone.parent.rmdir()
    # Which of the two was it?
    write_skill(skills_folder, "first")
    write_skill(skills_folder, "second")
    report = await import_skill_folders(acme, skills_folder, archive_missing=archive_missing)
    archived = ["gone"] if archive_missing else []
    assert report == ImportReport(added=["first", "second"], unchanged=["stays"], archived=archived)


async def test_what_lies_below_a_broken_folder_was_not_moved(acme: Tenant, skills_folder: Path) -> None:
    write_skill(skills_folder, "kit/pdf")
    await viewed_import(acme, skills_folder)
    (skills_folder / "kit" / "SKILL.md").write_text(BROKEN)
    write_skill(skills_folder, "copy")
    report = await import_skill_folders(acme, skills_folder, archive_missing=True)
    assert (report.moved, report.added, report.archived) == ([], ["copy"], [])


async def test_a_skill_that_is_archived_or_another_tenants_is_not_what_moved(
    acme: Tenant, globex: Tenant, skills_folder: Path
) -> None:
    write_skill(skills_folder, "pdf")
    for tenant in (acme, globex):
        await viewed_import(tenant, skills_folder)
    await acme.archive_skill("pdf")
    (skills_folder / "pdf").rename(skills_folder / "new")
    report = await import_skill_folders(acme, skills_folder, archive_missing=True)
    assert (report.added, report.moved, report.archived) == (["new"], [], [])
    assert (await globex.get_skill("pdf")).skill.slug == "pdf"
