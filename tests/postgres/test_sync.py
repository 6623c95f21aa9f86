"""Bringing a catalog in step with a source: what is published, archived, refused, and what a history shows."""

import asyncio
import hashlib
import io
import json
import os
import random
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from everyskill.errors import (
    AddressRefused,
    InvalidSource,
    NeedsConfirmation,
    SkillFolderError,
    SkillNotFound,
    SourceUnavailable,
)
from everyskill.handles import Tenant
from everyskill.model.skills import SkillStatus
from everyskill.skill_sources import Bounds, SyncReport, parse_source, sync_skills
from everyskill.skill_sources.addresses import Target, _pinned
from everyskill.skill_sources.git_repository import GitRepository
from everyskill.skill_sources.indexes import SCHEMA
from tests.support.git_repositories import Repository
from tests.support.http_files import Answer, HttpFiles, serve_files
from tests.support.skill_folders import BROKEN, REPOSITORIES, WITHOUT_REPOSITORIES, write_skill
from tests.support.skills import is_badged, publish

LOOPBACK = Bounds(schemes=frozenset({"http", "https"}), private_hosts=True)
PUBLIC = sorted(Path(REPOSITORIES).iterdir()) if REPOSITORIES else [Path()]
INDEX = "/.well-known/agent-skills/index.json"


@pytest.fixture
def repository(newest_server: None, tmp_path: Path) -> Repository:
    """A repository with two skills in one commit."""
    made = Repository(tmp_path / "team-skills")
    made.add_skill("pdf")
    made.add_skill("notes")
    made.commit("Begin")
    return made


@pytest.fixture
def files(newest_server: None, tmp_path: Path) -> Iterator[HttpFiles]:
    """A server on loopback."""
    with serve_files(tmp_path) as served:
        yield served


async def sync(
    tenant: Tenant, cache: Path, source: object, *, ref: str | None = None, bounds: Bounds = LOOPBACK, **options: Any
) -> SyncReport:
    """A synchronization as the command makes it."""
    return await sync_skills(tenant, parse_source(str(source), ref), bounds=bounds, cache=cache / "cache", **options)


async def statuses(tenant: Tenant) -> dict[str, SkillStatus]:
    return {item.slug: item.status for item in (await tenant.list_skills(status=None, limit=100)).items}


# A git repository


async def test_a_repository_comes_in_and_the_next_time_nothing_is_done(
    acme: Tenant, tmp_path: Path, repository: Repository
) -> None:
    first = await sync(acme, tmp_path, repository.folder)
    again = await sync(acme, tmp_path, repository.folder)

    assert sorted(first.imported.added) == ["notes", "pdf"]
    assert (first.revision, first.is_current) == (repository.head, False)
    assert (again.revision, again.is_current) == (repository.head, True)
    source = await acme.get_skill_source(str(repository.folder))
    assert source is not None
    assert source.revision == repository.head


async def test_what_is_not_committed_does_not_count(acme: Tenant, tmp_path: Path, repository: Repository) -> None:
    repository.add_skill("draft")
    assert sorted((await sync(acme, tmp_path, repository.folder)).imported.added) == ["notes", "pdf"]


async def test_a_branch_or_a_tag_can_be_named(acme: Tenant, tmp_path: Path, repository: Repository) -> None:
    repository.git("tag", "-a", "v1", "-m", "one")
    repository.add_skill("later")
    repository.commit()
    report = await sync(acme, tmp_path, repository.folder, ref="v1")
    assert sorted(report.imported.added) == ["notes", "pdf"]


async def test_a_repository_is_read_over_http(
    acme: Tenant, tmp_path: Path, repository: Repository, files: HttpFiles
) -> None:
    address = f"{files.url}/git/{repository.folder.name}"
    first = await sync(acme, tmp_path, address)
    repository.add_skill("pdf", body="Other steps.")
    repository.commit()
    second = await sync(acme, tmp_path, address)
    assert (sorted(first.imported.added), second.imported.updated) == (["notes", "pdf"], ["pdf"])


async def test_a_vanished_folder_archives_its_skill_and_no_other_source_loses_any(
    acme: Tenant, tmp_path: Path, repository: Repository
) -> None:
    await publish(acme, "by-hand")
    other = Repository(tmp_path / "other")
    other.add_skill("mail")
    other.commit()
    await sync(acme, tmp_path, repository.folder)
    await sync(acme, tmp_path, other.folder)
    repository.git("rm", "-r", "-q", "pdf")
    repository.commit()

    report = await sync(acme, tmp_path, repository.folder)

    assert report.imported.archived == ["pdf"]
    hidden = {slug for slug, status in (await statuses(acme)).items() if status is SkillStatus.ARCHIVED}
    assert hidden == {"pdf"}


async def test_a_folder_that_is_back_shows_its_skill_again_unless_somebody_archived_it(
    acme: Tenant, tmp_path: Path, repository: Repository
) -> None:
    repository.add_skill("mail")
    repository.add_skill("talk")
    repository.commit()
    await sync(acme, tmp_path, repository.folder)
    await acme.archive_skill("notes")
    repository.git("rm", "-r", "-q", "pdf")
    repository.commit()
    await sync(acme, tmp_path, repository.folder)
    repository.git("revert", "--no-edit", "HEAD")

    report = await sync(acme, tmp_path, repository.folder)

    assert (report.imported.updated, report.imported.hidden) == (["pdf"], ["notes"])
    found = await statuses(acme)
    assert (found["pdf"], found["notes"]) == (SkillStatus.PUBLISHED, SkillStatus.ARCHIVED)


@pytest.mark.parametrize("with_history", [False, True])
async def test_a_failure_is_told_each_time_until_it_is_mended(
    acme: Tenant, tmp_path: Path, repository: Repository, with_history: bool
) -> None:
    repository.add_skill("notes", body="Other steps.")
    repository.commit()
    (repository.folder / "pdf" / "SKILL.md").write_text(BROKEN)
    repository.commit()
    (repository.folder / "README.md").write_text("No skill.")
    repository.commit()
    for _ in range(3):
        report = await sync(acme, tmp_path, repository.folder, with_history=with_history)
        [failure] = report.imported.failed
        assert (failure.path, failure.line) == ("pdf/SKILL.md", 3)
    assert (await acme.get_skill("notes")).skill.published_version == (2 if with_history else 1)
    repository.add_skill("pdf")
    repository.commit()
    assert not (await sync(acme, tmp_path, repository.folder, with_history=with_history)).imported.failed
    assert (await sync(acme, tmp_path, repository.folder, with_history=with_history)).is_current


async def test_every_file_is_that_of_git_whatever_its_attributes_say(
    acme: Tenant, tmp_path: Path, repository: Repository
) -> None:
    contents = {
        "script.sh": b"#!/bin/sh\r\necho $Id$\n",
        "latin.txt": "größe".encode("latin-1"),
        "data.bin": bytes(range(256)),
        "ignored.txt": b"export-ignore\n",
    }
    (repository.folder / ".gitattributes").write_text(
        "*.sh text eol=crlf ident\n*.txt working-tree-encoding=latin-1 export-ignore\n*.bin filter=lfs\n"
    )
    for name, content in contents.items():
        object_id = repository.git("hash-object", "-w", "--stdin", "--no-filters", stdin=content)
        repository.git("update-index", "--add", "--cacheinfo", f"100644,{object_id},pdf/{name}")
    repository.git("commit", "-q", "-m", "Files as they are")

    await sync(acme, tmp_path, repository.folder)

    published = (await acme.get_skill("pdf")).published
    assert published is not None
    hashes = {file.path: file.hash for file in published.files if file.path != "SKILL.md"}
    assert hashes == {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


async def test_a_dry_run_says_what_would_change_and_changes_nothing(
    acme: Tenant, tmp_path: Path, repository: Repository, owner: asyncpg.Connection
) -> None:
    await sync(acme, tmp_path, repository.folder)
    repository.add_skill("pdf", description="Does more.")
    (repository.folder / "pdf" / "tool.py").write_text("print()")
    # Sorts before the one that has the slug.
    repository.add_skill("added/pdf", body="Another skill.")
    repository.git("rm", "-r", "-q", "notes")
    repository.add_skill("mail", body="Others.")
    repository.commit()
    counts = (
        "SELECT (SELECT count(*) FROM skill_versions), (SELECT count(*) FROM skills), max(revision) FROM skill_sources"
    )
    before = await owner.fetchrow(counts)

    report = await sync(acme, tmp_path, repository.folder, dry_run=True)

    plan = report.imported
    assert (plan.added, plan.updated, plan.archived) == (["added-pdf", "mail"], ["pdf"], ["notes"])
    [update] = report.updates
    assert update.slug == "pdf"
    assert [(it.type, it.detail) for it in update.changes] == [
        ("description_updated", "Does more."),
        ("files_changed", "tool.py added"),
        ("capabilities_added", "script tool.py"),
    ]
    assert await owner.fetchrow(counts) == before


async def test_losing_most_of_a_catalog_must_be_confirmed(acme: Tenant, tmp_path: Path, repository: Repository) -> None:
    repository.add_skill("mail")
    repository.commit()
    await sync(acme, tmp_path, repository.folder)
    repository.git("rm", "-r", "-q", "pdf", "notes")
    repository.commit()

    with pytest.raises(NeedsConfirmation) as refused:
        await sync(acme, tmp_path, repository.folder)
    assert (refused.value.archived, refused.value.overwritten) == (2, 0)
    assert set((await statuses(acme)).values()) == {SkillStatus.PUBLISHED}
    assert sorted((await sync(acme, tmp_path, repository.folder, confirmed=True)).imported.archived) == ["notes", "pdf"]


async def test_overwriting_most_of_a_catalog_must_be_confirmed(
    acme: Tenant, tmp_path: Path, repository: Repository
) -> None:
    await publish(acme, "pdf")
    with pytest.raises(NeedsConfirmation) as refused:
        await sync(acme, tmp_path, repository.folder)
    assert (refused.value.archived, refused.value.overwritten) == (0, 1)


# History


async def test_a_history_is_replayed_with_author_note_and_date(
    acme: Tenant, tmp_path: Path, repository: Repository, owner: asyncpg.Connection
) -> None:
    (repository.folder / "README.md").write_text("No skill is touched.")
    repository.commit("Write a readme")
    repository.add_skill("pdf", body="Other steps.")
    repository.commit(
        "Pin the version\n\nAnd more.", GIT_AUTHOR_NAME="Zoë", GIT_AUTHOR_DATE="2026-03-04T05:06:07+01:00"
    )

    report = await sync(acme, tmp_path, repository.folder, with_history=True)

    assert report.replayed == 2
    rows = await owner.fetch(
        "SELECT v.version, v.author_name, v.note, v.authored_at, s.updated_at FROM skill_versions AS v"
        " JOIN skills AS s ON s.tenant_id = v.tenant_id AND s.id = v.skill_id WHERE s.slug = 'pdf' ORDER BY v.version"
    )
    told = [(row["version"], row["author_name"], row["note"], row["authored_at"].isoformat()) for row in rows]
    assert told == [
        (1, "Ann Author", "Begin", "2026-01-02T01:04:05+00:00"),
        (2, "Zoë", "Pin the version", "2026-03-04T04:06:07+00:00"),
    ]
    # S5: it became visible when it came in, whatever its author's clock said.
    assert rows[-1]["updated_at"] > rows[-1]["authored_at"]


async def test_a_history_goes_on_from_the_last_commit(acme: Tenant, tmp_path: Path, repository: Repository) -> None:
    await sync(acme, tmp_path, repository.folder)
    for number in range(3):
        repository.add_skill("pdf", body=f"Steps {number}.")
        repository.commit()
    first = await sync(acme, tmp_path, repository.folder, with_history=True)
    again = await sync(acme, tmp_path, repository.folder, with_history=True)
    assert (first.replayed, first.imported.updated, again.is_current) == (3, ["pdf"], True)
    assert (await acme.get_skill("pdf")).skill.published_version == 4


async def test_a_repository_that_was_cut_off_has_the_history_that_it_has(
    acme: Tenant, tmp_path: Path, repository: Repository
) -> None:
    for number in range(3):
        repository.add_skill("pdf", body=f"Steps {number}.")
        repository.commit()
    cut = Repository(tmp_path / "cut")
    cut.git("fetch", "-q", "--depth=2", f"file://{repository.folder}", "main:refs/heads/cut")
    report = await sync(acme, tmp_path, cut.folder, ref="cut", with_history=True)
    assert (report.replayed, sorted(report.imported.added)) == (2, ["notes", "pdf"])


async def test_a_rewritten_history_is_imported_as_its_newest_commit(
    acme: Tenant, tmp_path: Path, repository: Repository
) -> None:
    await sync(acme, tmp_path, repository.folder, with_history=True)
    repository.add_skill("pdf", body="Rewritten.")
    repository.git("add", "--all")
    repository.git("commit", "-q", "--amend", "-m", "Begin again")
    report = await sync(acme, tmp_path, repository.folder, with_history=True)
    assert (report.imported.updated, report.replayed) == (["pdf"], 0)
    assert "rewritten" in report.notes[0]


async def test_history_badges_are_the_folders_that_git_diff_names(
    acme: Tenant, tmp_path: Path, newest_server: None
) -> None:
    repository = Repository(tmp_path / "generated")
    generate_history(repository, random.Random(7))
    main = repository.git("rev-list", "--first-parent", "--reverse", "HEAD").split()
    assert len(main) >= 30
    badges = [await step_and_compare(acme, tmp_path, repository, *pair) for pair in pairwise([None, *main])]
    assert sum(badges) >= 15


@pytest.mark.skipif(not REPOSITORIES, reason=WITHOUT_REPOSITORIES)
@pytest.mark.parametrize("folder", PUBLIC, ids=lambda folder: folder.name)
async def test_a_public_repository_is_replayed_as_git_has_it(
    acme: Tenant, tmp_path: Path, newest_server: None, folder: Path
) -> None:
    repository = Repository(tmp_path / folder.name)
    repository.git("fetch", "--quiet", str(folder), "+HEAD:refs/heads/public")
    words = ("log", "--first-parent", "--reverse", "--format=%H", "public", "--", "*/SKILL.md")
    badges, empty, before = 0, 0, None
    for commit in repository.git(*words).split():
        try:
            badges += await step_and_compare(acme, tmp_path, repository, before, commit)
            before = commit
        except SkillFolderError:
            # No skill is left: the catalog stays as it was, and the next commit is compared with that.
            assert not any(path.endswith("SKILL.md") for path in repository.files(commit))
            empty += 1
    skills = [skill for skill in await acme.list_sourced_skills() if skill.source == str(repository.folder)]
    print(f"{folder.name}: {badges} badges, {len(skills)} skills, {empty} commits without a skill")  # noqa: T201


async def step_and_compare(
    tenant: Tenant, tmp_path: Path, repository: Repository, before: str | None, commit: str | None
) -> int:
    """Ann, who had seen everything, has badges where `git diff` names a file of the skill. Returns how many."""
    assert commit is not None
    address = str(repository.folder)
    shown = {item.slug: item for item in (await tenant.list_skills(limit=100)).items}
    old = {skill.slug: skill.source_path for skill in await tenant.list_sourced_skills() if skill.source == address}
    for item in shown.values():
        await tenant.record_skill_view("ann", item.id, item.published_version)
    repository.git("branch", "-f", "step", commit)

    report = await sync(tenant, tmp_path, repository.folder, ref="step", with_history=True, confirmed=True)

    found = {skill.slug: skill for skill in await tenant.list_sourced_skills() if skill.source == address}
    here = {slug: skill.source_path for slug, skill in found.items() if skill.status is SkillStatus.PUBLISHED}
    changed = repository.changed_paths(before, commit) if before else set()
    # A folder that hosts refuse stays as it was until it is mended, and one that moved may be another's.
    broken = [failure.path for failure in report.imported.failed]
    same = {slug for slug, path in here.items() if old.get(slug) == path and not is_below(broken, path)}
    # What a package manager installs may be left out, and need not be.
    known = same & shown.keys()
    allowed = {slug for slug in known if is_below(changed, here[slug])}
    expected = {slug for slug in known if is_below((path for path in changed if not is_installed(path)), here[slug])}
    badges = {slug for slug in known if await is_badged(tenant, "ann", shown[slug].id)}
    assert expected <= badges <= allowed, commit
    await expect_files_of_git(tenant, repository, commit, {slug: str(here[slug]) for slug in same})
    return len(badges)


def is_installed(path: str) -> bool:
    return "node_modules" in path.split("/")


def is_below(paths: Iterable[str], *folders: str | None) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for path in paths for folder in folders)


async def expect_files_of_git(tenant: Tenant, repository: Repository, commit: str, folders: dict[str, str]) -> None:
    in_git, links = repository.files(commit), repository.links(commit)
    for slug, folder in folders.items():
        files = {f"{folder}/{file.path}": file.hash for file in await files_published(tenant, slug)}
        # A link is kept as what it leads to.
        plain = {path: known for path, known in files.items() if not is_below([path], *links)}
        wanted = {path for path in in_git if path.startswith(f"{folder}/") and not is_installed(path)}
        assert wanted <= plain.keys() <= in_git.keys(), (commit, slug)
        for path, known in plain.items():
            assert known == repository.hash_of(in_git[path]), (commit, path)


def generate_history(repository: Repository, chance: random.Random) -> None:
    """36 steps on main: edits, new and removed skills and files, renames, modes, binaries, empty commits and merges."""
    for name in ("alpha", "beta", "gamma", "delta"):
        repository.add_skill(name)
    repository.commit("Begin")
    for step in range(36):
        names = sorted(path.name for path in repository.folder.iterdir() if (path / "SKILL.md").exists())
        name = chance.choice(names)
        if step % 9 == 8:
            repository.git("checkout", "-q", "-b", f"side-{step}")
            for number in range(2):
                repository.add_skill(name, body=f"On the side {step}, {number}.")
                repository.commit(f"Side {step}.{number}")
            repository.git("checkout", "-q", "main")
            repository.git("merge", "-q", "--no-ff", "-m", f"Merge {step}", f"side-{step}")
            continue
        change(repository, name, step, chance)
        repository.commit(f"Step {step}")


def change(repository: Repository, name: str, step: int, chance: random.Random) -> None:
    folder = repository.folder / name
    kind = step % 9
    if kind == 0:
        repository.add_skill(name, body=f"Step {step}.")
    elif kind == 1:
        repository.add_skill(f"new-{step}")
    elif kind == 2:
        (folder / "data.bin").write_bytes(chance.randbytes(3_000))
    elif kind == 3:
        (folder / "scripts").mkdir(exist_ok=True)
        (folder / "scripts" / f"run-{step}.sh").write_text(f"echo {step}\n")
    elif kind == 4:
        for file in folder.rglob("*.sh"):
            file.chmod(0o755)
        (folder / "SKILL.md").chmod(0o755 if step % 2 else 0o644)
    elif kind == 5:
        repository.add_skill(name, description=f"Does {step}.")
        (folder / "moved").mkdir(exist_ok=True)
        for file in list(folder.glob("*.bin")):
            file.rename(folder / "moved" / file.name)
    elif kind == 6:
        repository.git("rm", "-r", "-q", "--ignore-unmatch", f"new-{step - 5}")
    else:
        (repository.folder / "README.md").write_text(f"Step {step}.")


# Archives and indexes


async def test_a_zip_of_a_repository_comes_in(acme: Tenant, tmp_path: Path, newest_server: None) -> None:
    archive = tmp_path / "skills.zip"
    with zipfile.ZipFile(archive, "w") as written:
        for path in ("skills-main/pdf/SKILL.md", "skills-main/notes/SKILL.md"):
            written.writestr(path, f"---\nname: {path.split('/')[1]}\ndescription: Does it.\n---\n")
    report = await sync(acme, tmp_path, archive)
    assert sorted(report.imported.added) == ["notes", "pdf"]
    assert (await sync(acme, tmp_path, archive)).is_current


async def test_an_index_comes_in_with_its_archives(acme: Tenant, tmp_path: Path, files: HttpFiles) -> None:
    text = b"---\nname: pdf\ndescription: Reads.\n---\n"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in (("SKILL.md", text.replace(b"pdf", b"notes")), ("scripts/run.sh", b"echo\n")):
            member = tarfile.TarInfo(f"./{name}")
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    files.answers["/.well-known/agent-skills/pdf/SKILL.md"] = Answer(text)
    files.answers["/elsewhere/notes.tar.gz"] = Answer(status=302, headers={"Location": "/notes.tar.gz"})
    files.answers["/notes.tar.gz"] = Answer(packed.getvalue())
    entries = [
        {"name": "pdf", "type": "skill-md", "url": "pdf/SKILL.md", "digest": digest(text)},
        {"name": "notes", "type": "archive", "url": "/elsewhere/notes.tar.gz", "digest": digest(packed.getvalue())},
    ]
    files.answers[INDEX] = Answer(json.dumps({"$schema": SCHEMA, "skills": entries, "more": 1}).encode())

    report = await sync(acme, tmp_path, files.url + INDEX)

    assert sorted(report.imported.added) == ["notes", "pdf"]
    published = (await acme.get_skill("notes")).published
    assert published is not None
    assert [file.path for file in published.files] == ["SKILL.md", "scripts/run.sh"]
    assert (await sync(acme, tmp_path, files.url + INDEX)).is_current


async def test_what_is_not_as_its_digest_says_is_left_out_and_archives_nothing(
    acme: Tenant, tmp_path: Path, files: HttpFiles
) -> None:
    text = b"---\nname: pdf\ndescription: Reads.\n---\n"
    entry = {"name": "pdf", "type": "skill-md", "url": "/pdf.md", "digest": digest(text)}
    good = entry | {"name": "good", "url": "/good.md"}
    files.answers |= {"/pdf.md": Answer(text), "/good.md": Answer(text)}
    files.answers[INDEX] = Answer(json.dumps({"$schema": SCHEMA, "skills": [entry, good]}).encode())
    await sync(acme, tmp_path, files.url + INDEX)
    files.answers["/pdf.md"] = Answer(b"something else")
    files.answers[INDEX].body += b"\n"

    report = await sync(acme, tmp_path, files.url + INDEX)

    [failure] = report.imported.failed
    assert "pdf was left out: pdf: is not what its digest says" in failure.reason
    assert set((await statuses(acme)).values()) == {SkillStatus.PUBLISHED}


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


# Marketplaces


async def test_a_marketplace_names_which_folders_are_skills(
    acme: Tenant, tmp_path: Path, repository: Repository
) -> None:
    plugins = [
        {"name": "documents", "source": "./", "skills": ["./pdf"]},
        {"name": "far", "source": {"source": "github", "repo": "someone/else"}},
    ]
    manifest = repository.folder / ".claude-plugin" / "marketplace.json"
    manifest.parent.mkdir()
    manifest.write_text(json.dumps({"name": "m", "owner": {"name": "o"}, "plugins": plugins}))
    repository.commit()

    of_git = await sync(acme, tmp_path, repository.folder)
    (repository.folder / ".git").rename(tmp_path / "elsewhere")
    of_folder = await sync(acme, tmp_path, manifest, dry_run=True)

    assert of_git.imported.added == ["pdf"]
    assert of_folder.imported.unchanged == ["pdf"]
    assert of_git.notes == of_folder.notes == ["the plugin far is elsewhere and was not followed: someone/else"]


@pytest.mark.parametrize("place", [".github/plugin/marketplace.json", "tools/mail/.claude-plugin/plugin.json"])
async def test_the_manifests_of_plugins_say_the_category_in_a_repository_and_in_a_folder(
    acme: Tenant, globex: Tenant, tmp_path: Path, repository: Repository, place: str
) -> None:
    repository.add_skill("tools/mail/skills/send")
    plugin = {"name": "mail", "source": "./tools/mail", "skills": ["./skills/send"]}
    talk = plugin | {"category": "talk"}
    manifests: dict[str, object] = {place: {"plugins": [talk]} if "market" in place else talk}
    if "market" not in place:
        manifests[".claude-plugin/marketplace.json"] = {"plugins": [plugin]}
    for path, manifest in manifests.items():
        file = repository.folder / path
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(manifest))
    repository.commit()
    await sync(acme, tmp_path, repository.folder)
    (repository.folder / ".git").rename(tmp_path / "elsewhere")
    await sync(globex, tmp_path, repository.folder)
    assert [(await tenant.get_skill("send")).skill.category for tenant in (acme, globex)] == ["talk", "talk"]


# What is refused


@pytest.mark.parametrize("dry_run", [False, True])
async def test_an_address_in_a_private_network_is_not_reached(
    acme: Tenant, tmp_path: Path, files: HttpFiles, dry_run: bool
) -> None:
    bounds = Bounds(schemes=frozenset({"http"}))
    for address in (f"{files.url}/git/team-skills", files.url + INDEX, f"{files.url}/skills.zip"):
        with pytest.raises(AddressRefused, match="private network"):
            await sync(acme, tmp_path, address, bounds=bounds, dry_run=dry_run)
    assert files.asked == []


async def test_a_plain_address_needs_to_be_allowed(acme: Tenant, tmp_path: Path, files: HttpFiles) -> None:
    with pytest.raises(AddressRefused, match="--allow-scheme http"):
        await sync(acme, tmp_path, f"{files.url}/skills.zip", bounds=Bounds(private_hosts=True))
    assert files.asked == []


async def test_what_answers_too_slowly_or_with_too_much_is_given_up(
    acme: Tenant, tmp_path: Path, files: HttpFiles
) -> None:
    small = Bounds(max_bytes=1_000, max_seconds=0.5, schemes=frozenset({"http"}), private_hosts=True)
    files.answers["/slow.zip"] = Answer(b"PK", hangs=True)
    files.answers["/large.zip"] = Answer(b"x" * 2_000)
    with pytest.raises(SourceUnavailable, match=r"more than 0\.5 seconds"):
        await sync(acme, tmp_path, f"{files.url}/slow.zip", bounds=small)
    with pytest.raises(SourceUnavailable, match="more than 1,000 bytes"):
        await sync(acme, tmp_path, f"{files.url}/large.zip", bounds=small)


async def test_a_circle_of_redirects_ends(acme: Tenant, tmp_path: Path, files: HttpFiles) -> None:
    files.answers["/round.zip"] = Answer(status=302, headers={"Location": "/round.zip"})
    with pytest.raises(AddressRefused, match="more than 5 times"):
        await sync(acme, tmp_path, f"{files.url}/round.zip")
    assert len(files.asked) == 6


@pytest.mark.parametrize(
    "leads_to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "https://127.0.0.1:port/x", "ssh://x/y"]
)
async def test_each_redirect_is_checked_again(acme: Tenant, tmp_path: Path, files: HttpFiles, leads_to: str) -> None:
    files.answers["/skills.zip"] = Answer(status=302, headers={"Location": leads_to})
    with pytest.raises((AddressRefused, SourceUnavailable)):
        await sync(
            acme, tmp_path, f"{files.url}/skills.zip", bounds=Bounds(schemes=frozenset({"http"}), private_hosts=True)
        )


async def test_git_connects_to_the_address_that_was_checked_and_follows_no_redirect(
    tmp_path: Path, repository: Repository, files: HttpFiles
) -> None:
    port = int(files.url.rpartition(":")[2])
    address = f"http://checked.invalid:{port}/git/{repository.folder.name}"
    copy = GitRepository(parse_source(address), LOOPBACK, tmp_path / "cache", with_history=False)
    assert await asyncio.to_thread(copy.fetch, Target(address, "checked.invalid", port, "127.0.0.1")) == repository.head

    files.answers["/moved/info/refs?service=git-upload-pack"] = Answer(
        status=302, headers={"Location": f"{files.url}/git/{repository.folder.name}/info/refs?service=git-upload-pack"}
    )
    moved = f"http://checked.invalid:{port}/moved"
    copy = GitRepository(parse_source(moved), LOOPBACK, tmp_path / "cache", with_history=False)
    with pytest.raises(SourceUnavailable, match="git says"):
        await asyncio.to_thread(copy.fetch, Target(moved, "checked.invalid", port, "127.0.0.1"))


async def test_a_download_connects_to_the_address_that_was_checked(files: HttpFiles) -> None:
    port = int(files.url.rpartition(":")[2])
    url, headers, extensions = _pinned(Target(f"http://checked.invalid:{port}/x", "checked.invalid", port, "127.0.0.1"))
    async with httpx.AsyncClient() as client:
        await client.get(url, headers=headers, extensions=extensions)
    assert (files.asked, files.hosts) == (["/x"], [f"checked.invalid:{port}"])


async def test_a_repository_larger_than_allowed_is_refused(
    acme: Tenant, tmp_path: Path, repository: Repository
) -> None:
    (repository.folder / "pdf" / "large.bin").write_bytes(os.urandom(3_000_000))
    repository.commit()
    with pytest.raises((SourceUnavailable, InvalidSource), match=r"larger than is allowed|more than 1,000,000 bytes"):
        await sync(acme, tmp_path, repository.folder, bounds=Bounds(max_bytes=1_000_000))
    assert (await acme.list_skills()).items == []
    assert not list((tmp_path / "cache").rglob("tmp_pack_*"))


async def test_a_tree_that_contains_itself_over_and_over_is_refused(
    acme: Tenant, tmp_path: Path, repository: Repository
) -> None:
    entry = f"100644 blob {repository.git('hash-object', '-w', '--stdin')}\tSKILL.md"
    for _ in range(12):
        tree = repository.git("mktree", stdin=f"{entry}\n".encode())
        entry = "\n".join(f"040000 tree {tree}\t{number:02}" for number in range(12))
    tree = repository.git("mktree", stdin=f"{entry}\n".encode())
    repository.git("update-ref", "refs/heads/bomb", repository.git("commit-tree", tree, "-m", "Bomb"))
    with pytest.raises(SourceUnavailable, match=r"larger than is allowed|seconds"):
        await sync(acme, tmp_path, repository.folder, ref="bomb", bounds=Bounds(max_seconds=10))


async def test_a_tree_whose_paths_climb_is_refused_and_writes_nothing_outside(
    acme: Tenant, tmp_path: Path, repository: Repository
) -> None:
    blob = repository.git("rev-parse", "HEAD:pdf/SKILL.md")
    inner = repository.git("rev-parse", "HEAD:pdf")
    raw = b"".join(
        mode + b" " + name + b"\0" + bytes.fromhex(object_id)
        for mode, name, object_id in ((b"100644", b"SKILL.md", blob), (b"40000", b"..", inner))
    )
    tree = repository.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", stdin=raw)
    repository.git("update-ref", "refs/heads/climbing", repository.git("commit-tree", tree, "-m", "Climb"))
    with pytest.raises((InvalidSource, SourceUnavailable)):
        await sync(acme, tmp_path, repository.folder, ref="climbing")


async def test_a_link_out_of_the_tree_is_not_read(acme: Tenant, tmp_path: Path, repository: Repository) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (repository.folder / "pdf" / "leak.txt").symlink_to(tmp_path / "secret.txt")
    repository.commit()
    report = await sync(acme, tmp_path, repository.folder)
    hashes = {file.hash for slug in ("notes", "pdf") for file in await files_published(acme, slug)}
    assert hashlib.sha256(b"secret").hexdigest() not in hashes
    assert report.imported.failed or report.imported.warnings


async def files_published(tenant: Tenant, slug: str) -> tuple[Any, ...]:
    try:
        published = (await tenant.get_skill(slug)).published
    except SkillNotFound:
        return ()
    return published.files if published else ()


async def test_hooks_and_helpers_of_a_repository_never_run(
    acme: Tenant, tmp_path: Path, repository: Repository
) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    for name in ("core.fsmonitor", "filter.lfs.smudge", "uploadpack.packObjectsHook", "core.sshCommand"):
        repository.git("config", name, str(program))
    hooks = repository.folder / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "reference-transaction", "pre-auto-gc"):
        (hooks / name).write_bytes(program.read_bytes())
        (hooks / name).chmod(0o755)
    (repository.folder / ".gitattributes").write_text("* filter=lfs\n")
    repository.git("-c", "filter.lfs.smudge=cat", "-c", "core.hooksPath=/dev/null", "add", "--all")
    repository.git("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "commit", "-q", "-m", "Attributes")
    ran.unlink(missing_ok=True)
    await sync(acme, tmp_path, repository.folder)
    assert not ran.exists()


async def test_a_source_without_a_skill_changes_nothing(acme: Tenant, tmp_path: Path, newest_server: None) -> None:
    write_skill(tmp_path / "skills", "pdf")
    await sync(acme, tmp_path, tmp_path / "skills")
    (tmp_path / "skills" / "pdf" / "SKILL.md").unlink()
    with pytest.raises(Exception, match=r"SKILL\.md"):
        await sync(acme, tmp_path, tmp_path / "skills", confirmed=True)
    assert set((await statuses(acme)).values()) == {SkillStatus.PUBLISHED}
