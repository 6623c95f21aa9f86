"""The command line as people and scripts meet it: real processes, their output and their exit codes."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest
import typer
from msgspec.structs import replace as struct_replace
from typer.core import TyperGroup

from everyskill.cli.app import app
from everyskill.database.revisions import REVISIONS
from everyskill.handles import Tenant
from tests.support.databases import Clone, cloned
from tests.support.git_repositories import Repository
from tests.support.skill_folders import BROKEN, write_skill
from tests.support.skills import folder, is_badged, publish, with_script

HEAVY = {"alembic", "asyncio", "asyncpg", "litestar", "pydantic", "rich", "sqlalchemy", "yaml"}
HELP_OF_ALL = """
import sys
from everyskill.cli import main
for words in sys.argv[1:]:
    sys.argv = ["everyskill", *words.split(), "--help"]
    try:
        main()
    except SystemExit as end:
        assert end.code == 0, words
print(*sys.modules, file=sys.stderr)
"""
RUN_WITHOUT = """
import sys
from everyskill.cli import main
missing, *arguments = sys.argv[1:]
class MissingFinder:
    def find_spec(name, path, target=None):
        if name == missing:
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, MissingFinder)
sys.argv = ["everyskill", *arguments]
main()
"""
UNREACHABLE_URL = "postgresql://nobody@127.0.0.1:1/none"


@dataclass(frozen=True)
class Ran:
    """What a process left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    """Runs `everyskill` in an environment of its own."""

    environment: dict[str, str]

    def with_variables(self, **variables: str) -> "Shell":
        return replace(self, environment=self.environment | variables)

    async def start(self, *arguments: str, stdout: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str) -> Ran:
        return await self._finish(await self.start("-m", "everyskill", *arguments))

    async def run_without(self, module: str, *arguments: str) -> Ran:
        return await self._finish(await self.start("-c", RUN_WITHOUT, module, *arguments))

    async def _finish(self, process: asyncio.subprocess.Process) -> Ran:
        out, err = await process.communicate()
        assert "Traceback" not in err.decode()
        return Ran(process.returncode or 0, out.decode(), err.decode())

    async def succeed(self, *arguments: str) -> Ran:
        ran = await self.run(*arguments)
        assert ran.code == 0, ran.err
        return ran


@pytest.fixture
def bare_shell() -> Shell:
    """A shell that knows of no database."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EVERYSKILL_", "COLUMNS"))}
    return Shell(kept | {"PYTHONPATH": os.pathsep.join(sys.path)})


@pytest.fixture
def shell(newest_server: None, clone: Clone, bare_shell: Shell) -> Shell:
    """A shell at a migrated database, as ann of acme."""
    return bare_shell.with_variables(
        EVERYSKILL_DATABASE_URL=clone.service_url,
        EVERYSKILL_OWNER_URL=clone.owner_url,
        EVERYSKILL_TENANT="acme",
        EVERYSKILL_USER="ann",
    )


@pytest.fixture
def embedded_url() -> Iterator[str]:
    """An embedded database of a test's own. Not in pytest's folder, which shuts out root's server, another user."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"embedded://{folder}/database"


def row_of(slug: str, out: str) -> str:
    """The line of a skill in a list."""
    return next(line for line in out.splitlines() if line.startswith(f"{slug} "))


# The main job


async def test_up_tells_what_was_edited_since_the_last_up_until_it_is_viewed(
    bare_shell: Shell, embedded_url: str, skills_folder: Path
) -> None:
    write_skill(skills_folder, "writing/notes")
    write_skill(skills_folder, "writing/mail")
    here = bare_shell.with_variables(EVERYSKILL_DATABASE_URL=embedded_url)
    up = ("up", str(skills_folder), "--no-serve")

    first = await here.succeed(*up)
    assert row_of("notes", first.out).endswith("New")

    write_skill(skills_folder, "writing/notes", description="Does it better.")
    second = await here.succeed(*up)
    assert "v2" in row_of("notes", second.out)
    assert row_of("notes", second.out).endswith("Updated")
    assert row_of("mail", second.out).endswith("just now")
    feed = second.out.partition("What's New")[2]
    assert "v1 → v2" in feed
    assert "The description was changed" in feed

    viewed = await here.succeed("view", "notes")
    assert "v1 → v2" in viewed.out

    last = await here.succeed(*up)
    assert "Updated" not in last.out


async def test_up_leaves_no_server_behind(bare_shell: Shell, embedded_url: str, skills_folder: Path) -> None:
    write_skill(skills_folder, "notes")
    await bare_shell.succeed("up", str(skills_folder), "--no-serve", "--database-url", embedded_url)
    data = Path(embedded_url.removeprefix("embedded://"))
    assert (data / "PG_VERSION").exists()
    assert not (data / "postmaster.pid").exists()


async def test_up_without_a_folder_imports_the_examples(shell: Shell, acme: Tenant) -> None:
    document = (await shell.succeed("up", "--no-serve", "--json")).document
    assert len(document["import"]["added"]) >= 8
    assert document["new"] == [skill["slug"] for skill in document["skills"]]
    assert document["whats_new"]["items"] == []


async def test_up_adds_the_tenant_and_the_user_it_is_for(shell: Shell, skills_folder: Path) -> None:
    write_skill(skills_folder, "notes")
    await shell.succeed("up", str(skills_folder), "--no-serve", "--tenant", "initech", "--as", "peter")
    listed = await shell.succeed("skills", "list", "--json", "--tenant", "initech", "--as", "peter")
    assert [skill["slug"] for skill in listed.document] == ["notes"]


async def test_up_takes_no_badge_from_a_skill_viewed_before(shell: Shell, acme: Tenant, skills_folder: Path) -> None:
    skill = await publish(acme, "notes")
    await acme.visit_skill("ann", skill.skill_id)
    write_skill(skills_folder, "notes")

    document = (await shell.succeed("up", str(skills_folder), "--no-serve", "--json")).document

    assert [item["skill_slug"] for item in document["whats_new"]["items"]] == ["notes"]
    assert await is_badged(acme, "ann", skill.skill_id)


# Views


async def test_view_prints_what_changed_and_then_records(shell: Shell, acme: Tenant) -> None:
    skill = await publish(acme, "pdf")
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, "pdf", "two")

    document = (await shell.succeed("view", "pdf", "--json")).document

    assert document["visit"]["changes"][0]["detail"] == "v1 → v2"
    assert not await is_badged(acme, "ann", skill.skill_id)


async def test_a_summary_says_who_published_and_why(shell: Shell, acme: Tenant) -> None:
    skill = await publish(acme, "pdf")
    await acme.visit_skill("ann", skill.skill_id)
    await acme.publish_skill(folder("pdf", "two"), author_id="bob", note="pins the version")
    first, *_ = (await shell.succeed("changes", "pdf")).out.splitlines()
    assert first == "New version published: v1 → v2, by bob: “pins the version”"


async def test_lists_and_summaries_record_nothing(shell: Shell, acme: Tenant) -> None:
    skill = await publish(acme, "pdf")
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, "pdf", "two")
    before = await acme.get_user_view("ann", skill.skill_id)

    listed = await shell.succeed("skills", "list")
    changes = await shell.succeed("changes", "pdf")
    await shell.succeed("skills", "show", "pdf")
    await shell.succeed("whats-new")

    assert row_of("pdf", listed.out).endswith("Updated")
    assert changes.out == "New version published: v1 → v2\nInstructions changed: +1 \N{MINUS SIGN}1\n"
    assert await acme.get_user_view("ann", skill.skill_id) == before


async def test_an_update_that_asks_for_more_says_so(shell: Shell, acme: Tenant, owner: asyncpg.Connection) -> None:
    skill = await publish(acme, "pdf")
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, "pdf", "two")
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(
        "UPDATE skill_versions SET capabilities = CASE version WHEN 1 THEN '{}' ELSE '{3:tool:Bash}' END::text[]"
    )

    listed = await shell.succeed("skills", "list")
    feed = await shell.succeed("whats-new")

    assert row_of("pdf", listed.out).endswith("Updated · asks for more")
    assert "asks for more: tool Bash" in feed.out


async def test_the_feed_is_read_page_by_page(shell: Shell, acme: Tenant) -> None:
    for slug in ("a", "b"):
        skill = await publish(acme, slug)
        await acme.visit_skill("ann", skill.skill_id)
        await publish(acme, slug, "two")

    first = (await shell.succeed("whats-new", "--limit", "1", "--json")).document
    second = (await shell.succeed("whats-new", "--cursor", first["next_cursor"], "--json")).document

    assert [item["skill_slug"] for page in (first, second) for item in page["items"]] == ["b", "a"]
    assert first["items"][0]["changes"][0]["detail"] == "v1 → v2"
    assert second["next_cursor"] is None


async def test_mark_seen_as_of_a_list_keeps_what_came_after_it(shell: Shell, acme: Tenant) -> None:
    early, late = await publish(acme, "early"), await publish(acme, "late")
    for skill in (early, late):
        await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, "early", "two")
    as_of = (await acme.get_whats_new_page("ann")).as_of
    await publish(acme, "late", "two")

    marked = await shell.succeed("mark-seen", "--as-of", as_of.isoformat(), "--json")

    assert marked.document["marked"] == 1
    assert not await is_badged(acme, "ann", early.skill_id)
    assert await is_badged(acme, "ann", late.skill_id)


async def test_mark_seen_takes_all_badges(shell: Shell, acme: Tenant) -> None:
    skill = await publish(acme, "pdf")
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, "pdf", "two")
    assert (await shell.succeed("mark-seen")).out == "1 skill marked as seen.\n"
    assert not await is_badged(acme, "ann", skill.skill_id)


# The catalog, its users and its tenants


async def test_an_import_with_a_broken_skill_says_where_and_exits_with_1(
    shell: Shell, acme: Tenant, skills_folder: Path
) -> None:
    write_skill(skills_folder, "good")
    broken = write_skill(skills_folder, "broken")
    broken.write_text(BROKEN)

    people = await shell.run("skills", "import", str(skills_folder))
    programs = await shell.run("skills", "import", str(skills_folder), "--json")

    assert (people.code, programs.code) == (1, 1)
    assert f"{broken}:3: " in people.out
    assert programs.document["unchanged"] == ["good"]
    assert programs.document["failed"][0]["line"] == 3


async def test_a_check_without_a_database_names_file_and_line_and_fails_for_errors_alone(
    bare_shell: Shell, skills_folder: Path
) -> None:
    file = write_skill(skills_folder, "a")
    fine = await bare_shell.run("skills", "check", str(skills_folder), "--strict")
    file.write_text(file.read_text().replace("name: a", "name: A"))
    warned = await bare_shell.run("skills", "check", str(skills_folder), "--json")
    strict = await bare_shell.run("skills", "check", str(skills_folder), "--strict")
    file.write_text(BROKEN)
    failed = await bare_shell.run("skills", "check", str(skills_folder))

    assert (fine.code, fine.out) == (0, f"Checked {skills_folder}: 1 skill, 0 errors, 0 warnings.\n")
    assert (warned.code, strict.code, failed.code) == (0, 1, 1)
    assert [(found["path"], found["line"]) for found in warned.document["warnings"]] == [(str(file), 2)] * 2
    assert f"{file}:2: name must be in lower case" in strict.out
    assert f"✗ {file}:3: bad YAML" in failed.out


async def test_an_import_tells_what_other_hosts_refuse_and_finds_nested_skills_where_asked(
    shell: Shell, acme: Tenant, skills_folder: Path
) -> None:
    file = write_skill(skills_folder, "outer")
    file.write_text(file.read_text().replace("name: outer", "name: 7"))
    write_skill(skills_folder, "outer/inner")
    ran = await shell.run("skills", "import", str(skills_folder), "--full-depth")
    assert (ran.code, ran.out.splitlines()[0]) == (0, f"Imported {skills_folder}: 2 added.")
    assert f"! {file}:2: name must be text, in quotes" in ran.out


async def test_the_content_of_a_skill_can_be_had_back(shell: Shell, acme: Tenant) -> None:
    content = "---\r\nname: x\r\n---\n\n\tmake all   \n日本\u200f\n"
    await publish(acme, "pdf", content)
    assert (await shell.succeed("skills", "show", "pdf", "--content")).out == content


async def test_a_skill_is_shown_with_all_its_versions(shell: Shell, acme: Tenant) -> None:
    for number in range(101):
        await publish(acme, content=f"{number}")
    ran = await shell.succeed("skills", "show", "pdf", "--json")
    assert [version["version"] for version in ran.document["versions"]] == [*range(101, 0, -1)]


@pytest.mark.parametrize("arguments", [("skills", "list"), ("skills", "show", "pdf"), ("view", "pdf")])
async def test_no_control_character_of_the_catalog_is_left_in_json(
    shell: Shell, acme: Tenant, arguments: tuple[str, ...]
) -> None:
    description = "a\x9b2Jb\u202ec\u2028d 日本é"
    await publish(acme, "pdf", description=description)
    ran = await shell.succeed(*arguments, "--json")
    assert r"a\u009b2Jb\u202ec\u2028d 日本é" in ran.out
    assert description not in ran.out
    [skill] = ran.document if arguments == ("skills", "list") else [ran.document["skill"]]
    assert skill["description"] == description


async def test_no_control_character_of_an_argument_is_left_in_an_error(shell: Shell, acme: Tenant) -> None:
    ran = await shell.run("skills", "show", "a\x9bb\u202e", "--json")
    assert ran.code == 1
    assert r"a\u009bb\u202e" in ran.err
    assert json.loads(ran.err)["error"]["skill"] == "a\x9bb\u202e"


async def test_an_archived_skill_is_listed_with_all_and_comes_back(shell: Shell, acme: Tenant) -> None:
    await publish(acme, "pdf")
    await shell.succeed("skills", "archive", "pdf")
    assert row_of("pdf", (await shell.succeed("skills", "list", "--all")).out).endswith("archived")
    assert (await shell.succeed("skills", "restore", "pdf", "--json")).document["status"] == "published"


@pytest.mark.parametrize(
    "words",
    ["skills show", "view", "changes", "feedback add --sentiment positive", "feedback list", "skills archive"],
)
async def test_a_command_takes_an_old_slug_and_says_the_new_one(shell: Shell, acme: Tenant, words: str) -> None:
    skill_id = (await publish(acme, "old")).skill_id
    renamed = await shell.succeed("skills", "rename", "old", "new")
    assert renamed.out == "old is called new now.\n"
    by_old = await shell.succeed(*words.split(), "old")
    assert by_old.err.startswith("old is called new now.\n")
    assert "old" not in by_old.out.replace("What old does.", "")
    if words != "skills archive":
        for name in ("new", skill_id):
            assert "called" not in (await shell.succeed(*words.split(), name)).err
    document = await shell.succeed(*words.split(), "old", "--json") if words != "view" else renamed
    assert document.err == ""


async def test_a_slug_that_is_taken_is_refused(shell: Shell, acme: Tenant) -> None:
    await publish(acme, "one")
    await publish(acme, "two")
    ran = await shell.run("skills", "rename", "one", "two", "--json")
    assert (ran.code, json.loads(ran.err)["error"]["code"]) == (1, "slug_taken")


async def test_who_viewed_an_archived_skill_reads_what_to_use_instead(shell: Shell, acme: Tenant) -> None:
    await publish(acme, "pdf")
    await publish(acme, "csv")
    await shell.succeed("view", "pdf")
    await shell.succeed("skills", "archive", "pdf", "--successor", "csv")
    ran = await shell.run("view", "pdf")
    assert (ran.code, ran.err) == (1, "Error: The skill 'Pdf' is archived. Use 'csv' instead.\n")
    assert "There is no skill 'pdf'" in (await shell.run("view", "pdf", "--as", "bob")).err


async def test_feedback_is_listed_with_names_and_lines(shell: Shell, acme: Tenant) -> None:
    await publish(acme, "pdf")
    assert (await shell.succeed("feedback", "list", "pdf")).out == "No feedback yet.\n"
    await acme.add_user("carl", name="Carl")
    await acme.add_feedback("pdf", user_id="carl", comment="Good.\nFast.")
    assert (await shell.succeed("feedback", "list", "pdf")).out.splitlines()[1:] == ["    Good.", "    Fast."]
    await acme.add_feedback("pdf", user_id="carl", comment="Again.")
    first = await shell.succeed("feedback", "list", "pdf", "--limit", "1")
    assert first.out.startswith("Carl")
    assert "There is more: everyskill feedback list pdf --limit 1 --cursor" in first.err
    document = (await shell.succeed("feedback", "list", "pdf", "--json")).document
    assert [item["user_name"] for item in document["items"]] == ["Carl", "Carl"]


async def test_tenants_and_users_can_be_added_and_give_feedback(shell: Shell, acme: Tenant) -> None:
    await publish(acme, "pdf")
    await shell.succeed("tenants", "add", "initech", "--name", "Initech")
    user = await shell.succeed("users", "add", "eve", "--role", "admin", "--json")
    feedback = await shell.succeed(
        "feedback", "add", "pdf", "--as", "eve", "--comment", "Good", "--sentiment", "positive", "--json"
    )
    tenants = await shell.succeed("tenants", "list", "--json")

    assert [tenant["name"] for tenant in tenants.document] == ["Acme", "Initech"]
    assert user.document["role"] == "admin"
    assert (feedback.document["user_id"], feedback.document["sentiment"]) == ("eve", "positive")


# Errors


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("skills", "list", "--tenant", "acmee"), "tenant_not_found"),
        (("skills", "list", "--as", "anne"), "user_not_found"),
        (("view", "nothing"), "skill_not_found"),
        (("skills", "import", "/nowhere"), "broken_skill_folder"),
    ],
)
async def test_a_typo_is_an_error_with_a_code_on_stderr_and_exit_code_1(
    shell: Shell, acme: Tenant, arguments: tuple[str, ...], code: str
) -> None:
    ran = await shell.run(*arguments, "--json")
    assert (ran.code, ran.out) == (1, "")
    assert json.loads(ran.err)["error"]["code"] == code


async def test_an_error_is_a_sentence_for_people(shell: Shell, acme: Tenant) -> None:
    ran = await shell.run("skills", "list", "--tenant", "acmee")
    assert ran.err == "Error: There is no tenant 'acmee'. Add one with: everyskill tenants add\n"


@pytest.mark.parametrize(
    "arguments", [("view",), ("up", "--nonsense"), ("mark-seen", "--as-of", "2026-01-31T12:00:00")]
)
async def test_wrong_usage_exits_with_2(bare_shell: Shell, arguments: tuple[str, ...]) -> None:
    ran = await bare_shell.run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "Usage: everyskill" in ran.err


async def test_a_database_out_of_reach_exits_with_3(bare_shell: Shell) -> None:
    ran = await bare_shell.run("skills", "list", "--database-url", UNREACHABLE_URL, "--json")
    assert (ran.code, ran.out) == (3, "")
    assert json.loads(ran.err)["error"]["code"] == "database_unreachable"


@pytest.fixture(params=[signal.SIG_DFL, signal.SIG_IGN], ids=["from a terminal", "under nohup"])
def hangup(request: pytest.FixtureRequest) -> Iterator[signal.Handlers]:
    """What programs under test inherit for SIGHUP, whatever these tests run under."""
    before = signal.signal(signal.SIGHUP, request.param)
    yield request.param
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_it_quietly_with_its_own_code(
    bare_shell: Shell, hangup: signal.Handlers, number: signal.Signals
) -> None:
    called = asyncio.Event()
    is_ignored = number is signal.SIGHUP and hangup is signal.SIG_IGN

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        url = f"postgresql://nobody@127.0.0.1:{port}/none?sslmode=disable"
        process = await bare_shell.start("-m", "everyskill", "skills", "list", "--database-url", url)
        await called.wait()
        ended = asyncio.create_task(process.communicate())
        while not ended.done():
            # Again, as people do: Python notices late what arrives in the instant before it waits for the network.
            process.send_signal(number)
            if is_ignored:
                await asyncio.wait({ended}, timeout=0.5)
                process.send_signal(signal.SIGTERM)
            await asyncio.wait({ended}, timeout=2)
        assert await ended == (b"", b"")
    assert process.returncode == 128 + (signal.SIGTERM if is_ignored else number)


# Extras


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("typer", ("--help",), "cli"),
        ("yaml", ("up", "--no-serve", "--database-url", UNREACHABLE_URL), "cli"),
        ("litestar", ("serve", "--demo", "--database-url", UNREACHABLE_URL), "server"),
        ("litestar", ("up", "--database-url", UNREACHABLE_URL), "server"),
        ("fasteners", ("skills", "list", "--database-url", "embedded:///nowhere"), "embedded"),
    ],
)
async def test_a_missing_library_is_named_with_the_extra_that_installs_it(
    bare_shell: Shell, module: str, arguments: tuple[str, ...], extra: str
) -> None:
    ran = await bare_shell.run_without(module, *arguments)
    sentence = f"Error: {module} is not installed. It comes with: pip install 'everyskill[{extra}]'\n"
    assert ran == Ran(1, "", sentence)


async def test_a_missing_library_is_an_error_with_a_code_for_programs(bare_shell: Shell) -> None:
    ran = await bare_shell.run_without("yaml", "up", "--json", "--database-url", UNREACHABLE_URL)
    error = json.loads(ran.err)["error"]
    assert (ran.code, ran.out) == (1, "")
    assert (error["code"], error["extra"], error["module"]) == ("missing_extra", "cli", "yaml")


async def test_up_needs_no_library_of_the_server_where_nothing_is_served(
    shell: Shell, acme: Tenant, skills_folder: Path
) -> None:
    write_skill(skills_folder, "notes")
    ran = await shell.run_without("litestar", "up", str(skills_folder), "--no-serve")
    assert ran.code == 0, ran.err


# Synchronizing


async def test_sync_brings_a_repository_in_and_tells_what_it_would_do(
    shell: Shell, acme: Tenant, tmp_path: Path
) -> None:
    here = shell.with_variables(EVERYSKILL_SOURCE_CACHE=str(tmp_path / "cache"))
    repository = Repository(tmp_path / "team")
    for name in ("notes", "pdf", "mail"):
        repository.add_skill(name)
    repository.commit()
    source = str(repository.folder)

    would = await here.succeed("skills", "sync", source, "--dry-run")
    assert f"Would import {source} at {repository.head[:12]}: 3 added." in would.out
    assert (await here.succeed("skills", "sync", source, "--json")).document["imported"]["added"] == [
        "mail",
        "notes",
        "pdf",
    ]
    assert "nothing to do" in (await here.succeed("skills", "sync", source)).out

    repository.add_skill("pdf", description="Does more.")
    repository.git("rm", "-r", "-q", "notes")
    repository.commit("Do more")
    would = await here.succeed("skills", "sync", source, "--dry-run")
    assert "    pdf: Description updated: Does more." in would.out
    assert "    archived: notes" in would.out
    assert "Replayed 1 commit with" in (await here.succeed("skills", "sync", source, "--history")).out


async def test_sync_archives_most_of_a_catalog_only_where_that_is_confirmed(
    shell: Shell, acme: Tenant, tmp_path: Path, skills_folder: Path
) -> None:
    for name in ("notes", "pdf", "mail"):
        write_skill(skills_folder, name)
    await shell.succeed("skills", "sync", str(skills_folder))
    for name in ("notes", "pdf"):
        (skills_folder / name / "SKILL.md").unlink()
    refused = await shell.run("skills", "sync", str(skills_folder), "--json")
    error = json.loads(refused.err)["error"]
    assert (refused.code, error["code"], error["archived"]) == (1, "needs_confirmation", 2)
    done = await shell.succeed("skills", "sync", str(skills_folder), "--yes", "--json")
    assert done.document["imported"]["archived"] == ["notes", "pdf"]


async def test_the_first_twenty_failures_are_listed_and_all_are_counted(
    shell: Shell, acme: Tenant, skills_folder: Path
) -> None:
    for number in range(30):
        write_skill(skills_folder, f"skill-{number}").write_text(BROKEN)
    write_skill(skills_folder, "good")
    ran = await shell.run("skills", "sync", str(skills_folder))
    assert (ran.code, ran.out.count("✗")) == (1, 20)
    assert "1 added, 30 failed" in ran.out
    assert "and 10 more failures; --json has them all" in ran.out
    assert len((await shell.run("skills", "sync", str(skills_folder), "--json")).document["imported"]["failed"]) == 30


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["/nowhere"], "invalid_source"),
        (["ext::sh -c id"], "invalid_source"),
        (["https://127.0.0.1/skills.git"], "address_refused"),
        (["http://example.com/skills.git"], "address_refused"),
        (["https://example.com/skills.git", "--allow-scheme", "file"], "invalid_choice"),
    ],
)
async def test_what_sync_refuses_is_an_error_with_a_code(
    shell: Shell, acme: Tenant, arguments: list[str], code: str
) -> None:
    ran = await shell.run("skills", "sync", *arguments, "--json")
    assert (ran.code, json.loads(ran.err)["error"]["code"]) == (1, code)


# The terminal


async def test_no_control_character_of_the_catalog_reaches_the_terminal(shell: Shell, acme: Tenant) -> None:
    await publish(acme, "evil", name="\x1b]0;owned\x07\x9b31m", description="[red]not markup[/red]\r\x1b[2J")
    ran = await shell.succeed("view", "evil")
    assert not {"\x1b", "\x07", "\x9b", "\r"} & set(ran.out)
    assert "[red]not markup[/red]" in ran.out


async def test_piped_output_has_no_colour_and_cuts_nothing(shell: Shell, acme: Tenant) -> None:
    slug = "a" + "-very-long-name" * 6
    description = "word " * 100 + "end"
    await publish(acme, slug, description=description)
    ran = await shell.with_variables(COLUMNS="40").succeed("view", slug)
    assert slug in ran.out
    assert description in ran.out


async def test_a_terminal_gets_colour_unless_no_color_is_set(shell: Shell, acme: Tenant) -> None:
    skill = await publish(acme, "pdf")
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, "pdf", "two")
    terminal = shell.with_variables(TERM="xterm")
    assert "\x1b[1;33mUpdated" in await on_a_terminal(terminal, "skills", "list")
    assert "\x1b[1;33m" not in await on_a_terminal(terminal.with_variables(NO_COLOR="1"), "skills", "list")


async def on_a_terminal(shell: Shell, *arguments: str) -> str:
    ours, theirs = os.openpty()
    try:
        process = await shell.start("-m", "everyskill", *arguments, stdout=theirs)
        await process.communicate()
        return os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("arguments", [("db", "sql"), ("skills", "list"), ("skills", "list", "--json")])
async def test_a_closed_pipe_is_quiet(shell: Shell, acme: Tenant, arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = await shell.start("-m", "everyskill", *arguments, stdout=writing)
    os.close(writing)
    _, err = await process.communicate()
    assert err == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the full disk is Linux's /dev/full")
async def test_a_full_disk_is_an_error_in_one_line(bare_shell: Shell) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    process = await bare_shell.start("-m", "everyskill", "db", "sql", stdout=full)
    os.close(full)
    _, err = await process.communicate()
    assert (process.returncode, err) == (1, b"Error: [Errno 28] No space left on device\n")


async def test_advice_names_the_program_as_it_was_called(shell: Shell, acme: Tenant, tmp_path: Path) -> None:
    await publish(acme, "pdf")
    program = tmp_path / "everyskill"
    program.write_text("from everyskill.cli import main; main()")
    process = await shell.start(str(program), "skills", "archive", "pdf")
    out, _ = await process.communicate()
    assert out.decode().endswith(f"{program} skills restore pdf\n")


async def test_advice_names_the_same_tenant_and_database_and_no_password(
    shell: Shell, acme: Tenant, clone: Clone
) -> None:
    await publish(acme, "pdf")
    url = clone.service_url.replace("everyskill_service@", "everyskill_service:secret@")
    elsewhere = shell.with_variables(EVERYSKILL_TENANT="elsewhere")
    ran = await elsewhere.succeed("skills", "archive", "pdf", "--tenant", "acme", "--database-url", url)
    assert ran.out.endswith(" skills restore pdf --tenant acme --database-url URL\n")
    assert "secret" not in ran.out + ran.err


async def test_advice_names_the_user_where_the_environment_names_another(shell: Shell, acme: Tenant) -> None:
    for slug in ("a", "b"):
        skill = await publish(acme, slug)
        for user_id in ("ann", "bob"):
            await acme.visit_skill(user_id, skill.skill_id)
        await publish(acme, slug, "two")
    anns = await shell.succeed("whats-new", "--limit", "1")
    bobs = await shell.succeed("whats-new", "--limit", "1", "--as", "bob")
    yours = await shell.with_variables(EVERYSKILL_USER="bob").succeed("whats-new", "--limit", "1", "--as", "ann")
    assert "--as" not in anns.err
    assert bobs.err.endswith(" --as bob\n")
    assert yours.err.endswith(" --as ann\n")


async def test_help_imports_nothing_that_takes_long(bare_shell: Shell) -> None:
    root = cast("TyperGroup", typer.main.get_command(app))
    process = await bare_shell.start("-c", HELP_OF_ALL, *commands_of(root))
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert out.decode().count("Usage: everyskill") == len(list(commands_of(root)))
    assert not HEAVY & set(err.decode().split())


def commands_of(group: TyperGroup, words: str = "") -> Iterator[str]:
    """Every command and every group, as it is typed."""
    yield words
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands_of(command, f"{words} {name}")
        else:
            yield f"{words} {name}"


# The database


async def test_db_upgrade_migrates_once(shell: Shell, clone: Clone) -> None:
    async with cloned(clone.server, template="template0") as empty:
        url = ("--database-url", empty.owner_url)
        first = await shell.succeed("db", "upgrade", *url, "--json")
        second = await shell.succeed("db", "upgrade", *url, "--json")
    assert first.document["applied"] == list(REVISIONS)
    assert second.document["applied"] == []


async def test_a_database_that_was_not_migrated_exits_with_3(shell: Shell, clone: Clone) -> None:
    async with cloned(clone.server, template="template0") as empty:
        ran = await shell.run("skills", "list", "--database-url", empty.service_url)
    assert ran.code == 3
    assert "everyskill db upgrade" in ran.err


async def test_db_sql_prints_the_migrations(bare_shell: Shell) -> None:
    printed = (await bare_shell.succeed("db", "sql")).out
    assert "CREATE TABLE user_skill_views" in printed
    assert (await bare_shell.succeed("db", "sql", "--json")).document == {"sql": printed}


async def test_db_check_finds_a_fresh_database_in_order(shell: Shell) -> None:
    ran = await shell.succeed("db", "check")
    assert {line[0] for line in ran.out.splitlines()} == {"✓"}


async def test_db_check_names_a_policy_that_is_gone_and_exits_with_3(shell: Shell, owner: asyncpg.Connection) -> None:
    await owner.execute("DROP POLICY tenant_isolation ON skills")
    people, programs = await shell.run("db", "check"), await shell.run("db", "check", "--json")
    assert (people.code, programs.code) == (3, 3)
    assert "tenant_isolation on skills" in people.out
    assert any(not finding["ok"] for finding in programs.document)


async def test_db_dump_and_restore_move_a_catalog_into_an_embedded_server(
    shell: Shell, acme: Tenant, clone: Clone, embedded_url: str, tmp_path: Path
) -> None:
    await publish(acme, "deploy")
    file = str(tmp_path / "everyskill.dump")
    dumped = await shell.succeed("db", "dump", file, "--database-url", clone.superuser_url, "--json")
    restored = await shell.succeed("db", "restore", file, "--database-url", embedded_url)
    assert dumped.document["counts"]["public.skills"] == 1
    assert "as many as were dumped" in restored.out
    assert "✗" not in restored.out
    assert row_of("deploy", (await shell.succeed("skills", "list", "--database-url", embedded_url)).out)
    again = await shell.run("db", "restore", file, "--database-url", embedded_url, "--json")
    assert (again.code, json.loads(again.err)["error"]["code"]) == (1, "database_not_empty")


async def test_a_restored_database_that_is_not_safe_to_serve_exits_with_3(
    shell: Shell, clone: Clone, owner: asyncpg.Connection, embedded_url: str, tmp_path: Path
) -> None:
    await owner.execute("DROP POLICY tenant_isolation ON users")
    file = str(tmp_path / "everyskill.dump")
    await shell.succeed("db", "dump", file, "--database-url", clone.superuser_url)
    ran = await shell.run("db", "restore", file, "--database-url", embedded_url)
    assert ran.code == 3
    assert "as many as were dumped" in ran.out
    assert "✗ policies missing, changed or unknown: tenant_isolation on users" in ran.out


async def test_a_dump_that_would_be_partial_exits_with_3(shell: Shell, tmp_path: Path) -> None:
    ran = await shell.run("db", "dump", str(tmp_path / "everyskill.dump"))
    assert ran.code == 3
    assert "row-level security" in ran.err


async def test_a_folder_that_needs_no_upgrade_exits_with_1(bare_shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("18\n")
    ran = await bare_shell.run("db", "upgrade-server", str(tmp_path), str(tmp_path / "new"))
    assert ran.code == 1
    assert "it holds PostgreSQL 18 already" in ran.err


async def test_a_version_is_exported_compared_and_shown(shell: Shell, acme: Tenant, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    await acme.publish_skill(with_script("echo one\n"), note="First")
    await acme.publish_skill(with_script("echo two\n"), quiet=True)
    assert "Wrote 2 files of pdf v1" in (await shell.succeed("skills", "export", "pdf", "--version", "1", out)).out
    compared = await shell.succeed("skills", "diff", "pdf")
    assert compared.out.splitlines()[:4] == ["changed run.sh", "@@ -1,2 +1,2 @@", "-echo one", "+echo two"]
    assert "No file differs" in (await shell.succeed("skills", "diff", "pdf", "1", "1")).out
    shown = (await shell.succeed("skills", "show", "pdf", "--version", "1")).out
    assert "The files of v1, which is not the published version" in shown
    assert "(quiet)" in shown
    assert "First" in shown
    assert (await shell.run("skills", "export", "pdf", "--version", "3", out)).code == 1


async def test_an_export_that_is_not_whole_says_what_is_missing_and_fails(
    shell: Shell, acme: Tenant, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    await acme.publish_skill(struct_replace(with_script("echo one\n"), contents={}))
    exported = await shell.run("skills", "export", "pdf", out)
    assert exported.code == 1
    assert "Not kept, so not written: run.sh" in exported.err
    again = await shell.run("skills", "export", "pdf", out)
    assert "is not empty" in again.err


async def test_contents_that_nothing_refers_to_are_pruned(
    shell: Shell, acme: Tenant, owner: asyncpg.Connection
) -> None:
    await acme.publish_skill(with_script("echo one\n"))
    await owner.execute("DELETE FROM skills")
    assert (await shell.succeed("db", "prune", "--dry-run")).out == "Would remove 1 file, 9 bytes.\n"
    assert (await shell.succeed("db", "prune", "--json")).document == {"files": 1, "bytes": 9}
    assert (await shell.succeed("db", "prune")).out == "Removed 0 files, 0 bytes.\n"


async def test_an_import_takes_a_note_and_is_quiet_where_asked(shell: Shell, acme: Tenant, skills_folder: Path) -> None:
    write_skill(skills_folder, "pdf")
    await shell.succeed("skills", "import", str(skills_folder))
    write_skill(skills_folder, "pdf", body="Corrected.")
    await shell.succeed("skills", "import", str(skills_folder), "--quiet", "--note", "A typo")
    newest = (await acme.list_versions("pdf"))[0]
    assert (newest.is_quiet, newest.note) == (True, "A typo")


async def test_a_dry_run_of_an_import_says_what_would_be_done(shell: Shell, acme: Tenant, skills_folder: Path) -> None:
    write_skill(skills_folder, "pdf")
    await publish(acme, "old")
    arguments = ("skills", "import", str(skills_folder), "--archive-missing")
    planned = await shell.succeed(*arguments, "--dry-run", "--json")
    said = await shell.succeed(*arguments, "--dry-run")
    assert said.out.startswith(f"Would import {skills_folder}: 1 added, 1 archived.")
    assert [item.slug for item in (await acme.list_skills()).items] == ["old"]
    assert (await shell.succeed(*arguments, "--yes", "--json")).document == planned.document


async def test_an_import_that_would_archive_most_of_a_catalog_must_be_confirmed(
    shell: Shell, acme: Tenant, tmp_path: Path
) -> None:
    for name in ("one", "two", "three"):
        write_skill(tmp_path / "all", name, body=name)
    await shell.run("skills", "import", str(tmp_path / "all"))
    write_skill(tmp_path / "few", "one", body="one")
    arguments = ("skills", "import", str(tmp_path / "few"), "--archive-missing")
    refused = await shell.run(*arguments)
    assert refused.code == 1
    assert await acme.list_slugs() == {"one", "two", "three"}
    assert (await shell.run(*arguments, "--yes")).code == 0
    assert await acme.list_slugs() == {"one"}
