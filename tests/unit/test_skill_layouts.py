"""Where skills lie in real repositories: what is found, under which slug, and in which category."""

import json
import os
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from everyskill.model.skills import SkillFolder
from everyskill.skill_folders import FolderWarning, find_skill_folders, read_skill_folders
from everyskill.skill_folders.slugs import assign_slugs
from tests.support.skill_folders import write_skill


def read_all(
    root: Path, *, full_depth: bool = False, known_slugs: dict[str, str] | None = None
) -> tuple[dict[str, SkillFolder], list[FolderWarning]]:
    """Each skill by its path, and the warnings."""
    warnings: list[FolderWarning] = []
    folders = find_skill_folders(root, full_depth=full_depth)
    results = read_skill_folders(folders, root=root, known_slugs=known_slugs or {}, on_warning=warnings.append)
    skills = {folder.relative_to(root).as_posix(): skill for folder, skill in results}
    assert all(isinstance(skill, SkillFolder) for skill in skills.values())
    return {path: skill for path, skill in skills.items() if isinstance(skill, SkillFolder)}, warnings


def write_manifest(root: Path, path: str, manifest: Any) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))


@pytest.mark.parametrize(
    ("path", "category"),
    [
        ("skills/pdf", None),
        ("skills/office/pdf", "office"),
        ("skills/build/pdf", "build"),
        ("plugins/documents/skills/pdf", "documents"),
        ("plugins/documents/skills/office/pdf", "office"),
        (".github/plugins/documents/skills/pdf", "documents"),
        ("pdf", None),
        ("build", None),
        ("office/pdf", "office"),
        ("skills/.curated/pdf", None),
        ("skills/.experimental/pdf", None),
        ("skills/.system/pdf", None),
        (".claude/skills/pdf", None),
        (".agents/skills/pdf", None),
        (".github/skills/pdf", None),
        (".codex/skills/.system/pdf", None),
        ("apps/shop/.claude/skills/pdf", "shop"),
    ],
)
def test_a_skill_is_found_in_each_layout_with_the_category_of_its_plugin_or_scope(
    tmp_path: Path, path: str, category: str | None
) -> None:
    write_skill(tmp_path, path)
    skills, warnings = read_all(tmp_path)
    assert {found: (skill.slug, skill.category) for found, skill in skills.items()} == {
        path: (path.rpartition("/")[2], category)
    }
    assert warnings == []


@pytest.mark.parametrize("path", [".github/workflows/pdf", ".claude/worktrees/a/skills/pdf", ".vscode/skills/pdf"])
def test_of_hidden_folders_only_those_that_hold_skills_are_entered(tmp_path: Path, path: str) -> None:
    write_skill(tmp_path, path)
    assert find_skill_folders(tmp_path) == []


def test_skills_inside_skills_are_found_at_full_depth_alone(tmp_path: Path) -> None:
    for path in ("search", "search/indexing", "search/indexing/vectors", "search/node_modules/other"):
        write_skill(tmp_path, path)
    assert list(read_all(tmp_path)[0]) == ["search"]
    skills, _ = read_all(tmp_path, full_depth=True)
    assert list(skills) == ["search", "search/indexing", "search/indexing/vectors"]
    assert "indexing/vectors/SKILL.md" in [file.path for file in skills["search"].files]


def test_where_two_folders_would_take_one_slug_the_plugin_goes_before_it(tmp_path: Path) -> None:
    slugs = {
        "plugins/chat/skills/access": "access",
        "plugins/Mail & Co/skills/sub/access": "sub-access",
        "plugins/mail/skills/access": "mail-access",
        "plugins/post/skills/access": "post-access-a7fd433b",
        "plugins/post/skills/post-access": "post-access",
        ".claude/skills/access": "claude-access",
    }
    for path in slugs:
        write_skill(tmp_path, path)
    known = {"plugins/chat/skills/access": "access"}
    skills, warnings = read_all(tmp_path, known_slugs=known)
    assert {path: skill.slug for path, skill in skills.items()} == slugs
    assert len(warnings) == 4
    assert warnings[0].reason == "its slug is claude-access: access is another folder's"


def test_slugs_do_not_depend_on_the_order_of_the_folders(tmp_path: Path) -> None:
    folders = [tmp_path / path for path in ("a/x", "b/x", "b/c/x", "x", "a-x")]
    expected = assign_slugs(folders, root=tmp_path)
    assert len(set(expected.values())) == len(folders)
    assert all(assign_slugs(list(order), root=tmp_path) == expected for order in permutations(folders))


def test_a_plugin_that_is_added_renames_no_skill_whose_slug_is_known(tmp_path: Path) -> None:
    write_skill(tmp_path, "plugins/mail/skills/access")
    before = {path: skill.slug for path, skill in read_all(tmp_path)[0].items()}
    write_skill(tmp_path, "plugins/chat/skills/access")
    after = {path: skill.slug for path, skill in read_all(tmp_path, known_slugs=before)[0].items()}
    assert after == {"plugins/chat/skills/access": "chat-access", "plugins/mail/skills/access": "access"}


@pytest.mark.parametrize(("name", "slug"), [("mine", "mine"), ("inner", "tree")])
def test_a_root_named_as_a_skill_below_it_does_not_take_its_slug(tmp_path: Path, name: str, slug: str) -> None:
    file = write_skill(tmp_path, "tree")
    file.write_text(file.read_text().replace("name: tree", f"name: {name}"))
    write_skill(tmp_path, "tree/inner")
    skills, _ = read_all(tmp_path / "tree", full_depth=True)
    assert [skill.slug for skill in skills.values()] == [slug, "inner"]


@pytest.mark.parametrize("place", [".claude-plugin", ".github/plugin"])
def test_the_category_comes_from_the_marketplace(tmp_path: Path, place: str) -> None:
    plugins = [
        {"name": "office", "source": "./", "skills": ["./skills/pdf", 7]},
        {"name": "mail", "source": "./plugins/mail", "category": "productivity"},
        {"name": "chat", "source": "chat", "category": "talk"},
        {"name": "remote", "source": {"source": "github", "repo": "o/r"}, "category": "elsewhere"},
        {"name": "no source", "source": "../..", "category": "outside"},
        "no plugin",
    ]
    write_manifest(tmp_path, f"{place}/marketplace.json", {"metadata": {"pluginRoot": "./plugins"}, "plugins": plugins})
    for path in ("skills/pdf", "skills/csv", "plugins/mail/skills/send", "plugins/chat/skills/say", "skills/x/deep"):
        write_skill(tmp_path, path)
    skills, warnings = read_all(tmp_path)
    assert {path: skill.category for path, skill in skills.items()} == {
        "skills/pdf": "office",
        "skills/csv": None,
        "skills/x/deep": "x",
        "plugins/mail/skills/send": "productivity",
        "plugins/chat/skills/say": "talk",
    }
    assert warnings == []


def test_the_category_comes_from_the_manifest_of_the_plugin(tmp_path: Path) -> None:
    write_manifest(tmp_path, "tools/mail/.claude-plugin/plugin.json", {"name": "mail", "category": "productivity"})
    write_skill(tmp_path, "tools/mail/skills/send")
    write_skill(tmp_path, "tools/mail/skills/own").write_text(
        "---\nname: own\ndescription: Has its own.\nmetadata: {category: Mine}\n---\n"
    )
    skills, _ = read_all(tmp_path)
    assert [skill.category for skill in skills.values()] == ["Mine", "productivity"]


@pytest.mark.parametrize("place", [".claude-plugin/plugin.json", ".claude-plugin/marketplace.json"])
def test_a_plugin_at_the_root_holds_all_skills_of_the_tree(tmp_path: Path, place: str) -> None:
    plugin = {"name": "mail", "source": "./", "category": "productivity"}
    write_manifest(tmp_path, place, {"plugins": [plugin]} if "market" in place else plugin)
    write_skill(tmp_path, "skills/send")
    skills, _ = read_all(tmp_path)
    assert skills["skills/send"].category == "productivity"


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        ("[]", "is no JSON object"),
        ("{", "is no JSON: "),
        ("[" * 200_000, "is no JSON: "),
        ('{"plugins": 7, "metadata": 7}', None),
        ('{"plugins": [{"name": "\\u0000", "category": " ", "source": "./"}]}', None),
        (" " * (4 * 1024 * 1024 + 1), "is larger than 4 MiB"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_manifest_that_cannot_be_used_stops_no_skill(tmp_path: Path, manifest: str, reason: str | None) -> None:
    write_manifest(tmp_path, ".claude-plugin/marketplace.json", manifest)
    write_skill(tmp_path, "skills/pdf")
    skills, warnings = read_all(tmp_path)
    assert [skill.category for skill in skills.values()] == [None]
    assert [warning.reason.startswith(str(reason)) for warning in warnings] == ([True] if reason else [])


@pytest.mark.parametrize("case", ["a pipe", "a folder", "a link out of the tree", "a link to nothing"])
def test_a_manifest_that_is_no_file_is_not_read(tmp_path: Path, case: str) -> None:
    root, outside = tmp_path / "tree", tmp_path / "outside.json"
    outside.write_text('{"plugins": [{"source": "./", "category": "secret"}]}')
    file = root / ".claude-plugin" / "marketplace.json"
    file.parent.mkdir(parents=True)
    if case == "a pipe":
        os.mkfifo(file)
    elif case == "a folder":
        file.mkdir()
    else:
        file.symlink_to(outside if case == "a link out of the tree" else "nowhere")
    write_skill(root, "skills/pdf")
    skills, warnings = read_all(root)
    assert [skill.category for skill in skills.values()] == [None]
    assert [warning.path for warning in warnings] == [str(file)]
