"""What a skill may do, by the rules of docs/capabilities.md, and what an update newly asks for."""

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everyskill.model import Severity, SkillFile, SkillFolder
from everyskill.model.capabilities import (
    MAX_OF_A_KIND,
    MAX_TEXT,
    compare_capabilities,
    find_capabilities,
    highest_severity,
)

BY_THE_MODEL = "2:invocation:by the model"


def folder(
    front_matter: dict[str, Any] | None = None,
    files: dict[str, bytes] | None = None,
    *,
    body: str = "Steps.\n",
    executable: tuple[str, ...] = (),
) -> SkillFolder:
    """A skill with this front matter, and these files beside its SKILL.md."""
    content = f"---\nname: a\n---\n{body}"
    listed, contents = [SkillFile("SKILL.md", len(content), sha256(content.encode()).hexdigest())], {}
    for path, data in (files or {}).items():
        file = SkillFile(path, len(data), sha256(data).hexdigest(), path in executable)
        listed.append(file)
        contents[file.hash] = data
    return SkillFolder(
        slug="a",
        name="a",
        description="Does.",
        category=None,
        content=content,
        files=tuple(listed),
        contents=contents,
        front_matter={"name": "a"} if front_matter is None else front_matter,
    )


def kinds(skill: SkillFolder) -> set[str]:
    """What the skill may do beside being invoked by the model, without hashes."""
    return {text.partition("#")[0] for text in find_capabilities(skill)} - {BY_THE_MODEL}


def severity(old: SkillFolder, new: SkillFolder) -> Severity | None:
    """The highest severity of what the new one asks beyond the old one."""
    return highest_severity(compare_capabilities(find_capabilities(old), find_capabilities(new)))


def rank(of: Severity | None) -> int:
    """The severity as a number; 0 where nothing is asked."""
    return 0 if of is None else of.rank


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ("Read Grep Bash(git:*)", {"1:tool:Read", "1:tool:Grep", "3:tool:Bash(git:*)"}),
        (
            "Read, Bash(git diff *), Bash( npm   run x)",
            {"1:tool:Read", "3:tool:Bash(git diff *)", "3:tool:Bash( npm run x)"},
        ),
        (
            ["Write", "Bash(python -c (1))", "mcp__github__create"],
            {"2:tool:Write", "3:tool:Bash(python -c (1))", "2:tool:mcp__github__create"},
        ),
        ([{"Bash(git": "*)"}, None, 7], {"3:tool:Bash(git: *)", "2:tool:7"}),
        ("*", {"3:tool:*"}),
        ("", set()),
        (None, set()),
        ("Bash(never closed", {"3:tool:Bash", "2:tool:never", "2:tool:closed"}),
        ("Te\0st\ud800", {"2:tool:Test?"}),
    ],
)
def test_each_allowed_tool_is_a_capability(allowed: object, expected: set[str]) -> None:
    assert kinds(folder({"allowed-tools": allowed})) == expected


@pytest.mark.parametrize("key", ["allowed-tools", "allowed_tools", "allowedTools", "Allowed-Tools"])
def test_a_grant_counts_in_every_spelling(key: str) -> None:
    assert kinds(folder({key: "Bash"})) == {"3:tool:Bash"}


def test_hooks_and_mcp_servers_are_capabilities_by_name() -> None:
    hooks = {"PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "./check.sh"}]}], "Stop": "x"}
    found = kinds(folder({"hooks": hooks, "mcp-servers": {"github": {"command": "npx"}}}))
    assert found == {"3:hook:PreToolUse", "3:hook:Stop", "3:mcp:github"}


def test_a_hook_that_says_something_else_is_changed() -> None:
    old, new = (folder({"hooks": {"Stop": [{"command": command}]}}) for command in ("a", "b"))
    [change] = compare_capabilities(find_capabilities(old), find_capabilities(new))
    assert (change.kind, change.value, change.change, change.severity) == ("hook", "Stop", "changed", Severity.HIGH)


@pytest.mark.parametrize(
    "path", ["scripts/data.bin", "a/scripts/b", "run.sh", "RUN.PY", "deep/x.ps1", "shebang", "mode"]
)
def test_scripts_are_files_to_be_run(path: str) -> None:
    data = b"#!/bin/sh\n" if path == "shebang" else b"x"
    assert f"3:script:{path}" in kinds(folder(files={path: data}, executable=("mode",)))


@pytest.mark.parametrize("path", ["notes.md", "assets/logo.png", "references/py", "sh"])
def test_other_files_are_no_scripts(path: str) -> None:
    assert not any("script" in text for text in kinds(folder(files={path: b"x"})))


def test_a_changed_script_is_named_as_changed_and_a_new_one_as_added() -> None:
    old = folder(files={"a.sh": b"1", "a#1.sh": b"1"})
    new = folder(files={"a.sh": b"2", "a#1.sh": b"2", "b.sh": b"1"})
    changes = compare_capabilities(find_capabilities(old), find_capabilities(new))
    assert [(change.value, change.change) for change in changes] == [
        ("a#1.sh", "changed"),
        ("a.sh", "changed"),
        ("b.sh", "added"),
    ]


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("See https://API.Acme.io/v1?x=https://b.co.", {"api.acme.io", "b.co"}),
        ("postgres://me:secret@db.acme.de:5432/x", {"db.acme.de"}),
        ("http://good.com@evil.ru/ https://[::2]/ https://bücher.de", {"evil.ru", "[::2]", "bücher.de"}),
        ("curl -s api.acme.io/x | nc 10.0.0.7 99", {"api.acme.io", "10.0.0.7"}),
        ('connect("api.acme.io", 443)', {"api.acme.io"}),
        ("git clone git@github.com:a/b.git", {"github.com"}),
        ("`acme.ai` and 'setup.py' and \"package.json\" and self.net and logger.com", {"acme.ai"}),
        ("https://localhost:80 https://api.example.com https://{host}/ https://$HOST file:///etc", set()),
        ("Talk to acme.com about it.", set()),
    ],
)
def test_hosts_are_found_where_they_are_reached(text: str, hosts: set[str]) -> None:
    assert kinds(folder(body=text)) == {f"2:host:{host}" for host in hosts}
    for path in ("run.sh", "references/api.json", "notes.txt"):
        named = kinds(folder(files={path: text.encode()})) - {"3:script:run.sh"}
        assert named == {f"2:host:{host}" for host in hosts}
    assert kinds(folder(files={"assets/data.json": text.encode()})) == set()


def test_commands_that_a_host_runs_before_the_model_reads_are_capabilities() -> None:
    found = kinds(folder(body="!`git status`\n![image](x)\n\n```!\nnpm test\nls\n```\n\n```sh\nls\n```\n"))
    assert found == {"3:command:git status", "3:command:npm test ls"}


def test_only_what_a_user_must_start_is_not_invoked_by_the_model() -> None:
    explicit = folder({"disable-model-invocation": True})
    hidden = folder({"user-invocable": False})
    assert find_capabilities(explicit) == []
    assert find_capabilities(hidden) == [BY_THE_MODEL, "2:invocation:by the model alone"]
    assert severity(explicit, folder()) is Severity.MEDIUM
    assert severity(folder(), explicit) is None


def test_a_restricted_tool_is_nothing_new_where_all_of_it_was_allowed() -> None:
    every, some = folder({"allowed-tools": "Bash"}), folder({"allowed-tools": "Bash(git:*)"})
    assert severity(every, some) is None
    assert severity(some, every) is Severity.HIGH


def test_what_is_too_much_to_read_is_a_capability_of_its_own() -> None:
    filler = b"x" * MAX_TEXT
    old = folder(files={"a.md": filler, "b.md": b"Harmless."})
    new = folder(files={"a.md": filler, "b.md": b"https://evil.ru"})
    assert severity(old, new) is Severity.MEDIUM
    assert severity(folder(), folder(files={"a.md": b"a"})) is None


def test_a_file_whose_bytes_are_not_known_is_not_read_and_says_so() -> None:
    skill = folder()
    hidden = SkillFile("references/a.md", 9, "0" * 64)
    unknown = SkillFolder(
        slug="a",
        name="a",
        description="",
        category=None,
        content=skill.content,
        files=(*skill.files, hidden),
        front_matter={},
    )
    assert kinds(unknown) == {"2:unread:1 files"}


def test_front_matter_that_nobody_read_says_so_where_it_matters() -> None:
    def published(text: str) -> SkillFolder:
        return SkillFolder.from_content("a", name="a", description="", content=f"---\n{text}\n---\n")

    assert kinds(published("name: a")) == set()
    assert severity(published("name: a"), published("name: a\nallowed-tools: Bash")) is Severity.MEDIUM


def test_of_each_kind_the_first_are_told_apart_and_the_rest_is_one() -> None:
    many = {f"{number:04}.sh": b"x" for number in range(MAX_OF_A_KIND + 5)}
    scripts = [text for text in find_capabilities(folder(files=many)) if ":script:" in text]
    assert len(scripts) == MAX_OF_A_KIND + 1
    assert severity(folder(files=many), folder(files={**many, "0204.sh": b"other"})) is Severity.HIGH


@pytest.mark.parametrize("text", ["```!\n", "://", "://a", "a.", "!`", "a@", "curl ", "1.2.", '"a.', "((", "a("])
def test_a_hostile_text_takes_linear_time(text: str) -> None:
    long = text * (MAX_TEXT // 2 // len(text))
    find_capabilities(folder({"allowed-tools": long[: 64 * 1024]}, {"a.sh": long.encode()}, body=long))


tools = st.lists(st.sampled_from(["Read", "Bash", "Bash(git:*)", "Write", "Grep", "mcp__x"]), max_size=3)
events = st.dictionaries(
    st.sampled_from(["Stop", "PreToolUse"]),
    st.lists(st.dictionaries(st.sampled_from("ab"), st.integers(0, 2)), max_size=2),
)
paths = st.sampled_from(["a.sh", "scripts/x", "notes.md", "references/r", "logo.png"])
texts = st.sampled_from([b"", b"#!/bin/sh", b"https://a.io", b"curl b.de", b"https://a.io https://c.fr"])
files = st.dictionaries(paths, texts)
folders = st.builds(
    lambda tools, hooks, files, body: folder({"allowed-tools": tools, "hooks": hooks}, files, body=body.decode()),
    tools,
    events,
    files,
    texts,
)


@given(tools, events, files, st.randoms())
def test_the_order_of_files_and_keys_does_not_matter(
    tools: list[str], hooks: dict[str, list[dict[str, int]]], files: dict[str, bytes], random: Any
) -> None:
    def shuffled(mapping: dict[str, Any]) -> dict[str, Any]:
        return dict(random.sample(list(mapping.items()), len(mapping)))

    entries = {event: [shuffled(entry) for entry in entries] for event, entries in hooks.items()}
    one = folder({"allowed-tools": tools, "hooks": hooks}, files)
    other = folder(
        shuffled({"hooks": shuffled(entries), "allowed-tools": " ".join(random.sample(tools, len(tools)))}),
        shuffled(files),
    )
    assert find_capabilities(one) == find_capabilities(other)


@given(folders)
def test_equal_folders_ask_for_nothing_new(skill: SkillFolder) -> None:
    assert severity(skill, skill) is None


parts = st.tuples(tools, events, files)


@given(folders, parts, parts)
def test_adding_anything_never_lowers_the_severity(
    old: SkillFolder,
    some: tuple[list[str], dict[str, Any], dict[str, bytes]],
    more: tuple[list[str], dict[str, Any], dict[str, bytes]],
) -> None:
    less = folder({"allowed-tools": some[0], "hooks": some[1]}, some[2])
    both = folder({"allowed-tools": some[0] + more[0], "hooks": more[1] | some[1]}, more[2] | some[2])
    assert rank(severity(old, less)) <= rank(severity(old, both))
