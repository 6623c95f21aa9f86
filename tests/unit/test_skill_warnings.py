"""What hosts read leniently comes in with a warning, and what the reference validator refuses is told."""

from pathlib import Path

import pytest

from everyskill.model.inputs import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH
from everyskill.model.kept_files import FileLimits
from everyskill.model.skills import SkillFolder
from everyskill.skill_folders import (
    FolderWarning,
    check_skill_folders,
    find_skill_folders,
    read_skill_folder,
    read_skill_folders,
)

NAME, DESCRIPTION = "name: skill", "description: Does it."


def skill_md(*lines: str, body: str = "\n# Title\n\nThe first paragraph,\nin two lines.\n\nThe second.\n") -> str:
    return "\n".join(["---", *lines, "---", body])


def read(folder: Path, content: str | bytes, name: str = "SKILL.md") -> tuple[SkillFolder, list[FolderWarning]]:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    warnings: list[FolderWarning] = []
    skill = read_skill_folder(folder, root=folder.parent, on_warning=warnings.append)
    assert skill.checked() == skill
    return skill, warnings


def expect_warning(warnings: list[FolderWarning], path: Path, line: int | None, reason: str) -> None:
    assert [(warning.path, warning.line) for warning in warnings if reason in warning.reason] == [(str(path), line)]


# Values


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("Use when: always, say: 'now'", "Use when: always, say: 'now'"),
        ("Use when: the page\n  is long: very\n  long", "Use when: the page is long: very long"),
        ("Ends in a colon:", "Ends in a colon:"),
        ("@mention", "@mention"),
        ("`code` first", "`code` first"),
        ("[draft] not a list", "[draft] not a list"),
        ("%percent", "%percent"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_value_that_lacks_quotes_is_read(tmp_path: Path, line: str, written: str, line_end: str) -> None:
    content = skill_md(NAME, f"description: {line}", "license: MIT").replace("\n", line_end)
    skill, warnings = read(tmp_path / "skill", content)
    assert skill.description == written
    assert skill.front_matter == {"name": "skill", "description": written, "license": "MIT"}
    expect_warning(warnings, tmp_path / "skill" / "SKILL.md", 3, "is no YAML until the value is in quotes")
    assert len(warnings) == 1


def test_a_value_inside_metadata_that_lacks_quotes_is_read(tmp_path: Path) -> None:
    skill, warnings = read(
        tmp_path / "skill", skill_md(NAME, DESCRIPTION, "metadata:", "  about: this: that", "  b: c")
    )
    assert skill.front_matter is not None
    assert skill.front_matter["metadata"] == {"about": "this: that", "b": "c"}
    assert [warning.line for warning in warnings] == [5]


@pytest.mark.parametrize(
    "name", ["name: 123", "name: yes", "name: 2024-01-01", "name: ~", "name:", "name: [a]", "x: y"]
)
def test_a_name_that_is_missing_or_no_text_is_that_of_the_folder(tmp_path: Path, name: str) -> None:
    skill, warnings = read(tmp_path / "skill", skill_md(name, DESCRIPTION))
    assert (skill.slug, skill.name) == ("skill", "skill")
    expect_warning(warnings, tmp_path / "skill" / "SKILL.md", 1 if name == "x: y" else 2, "that of the folder is taken")


@pytest.mark.parametrize("description", ["description:", "description: '  '", "about: it"])
def test_a_description_that_is_missing_is_the_first_paragraph(tmp_path: Path, description: str) -> None:
    skill, warnings = read(tmp_path / "skill", skill_md(NAME, description))
    assert skill.description == "The first paragraph, in two lines."
    expect_warning(
        warnings, tmp_path / "skill" / "SKILL.md", 1 if "about" in description else 3, "first paragraph is taken"
    )


@pytest.mark.parametrize(
    ("lines", "line", "reason"),
    [
        ((f"name: {'n' * (MAX_NAME_LENGTH + 1)}", DESCRIPTION), 2, "name is longer than 200"),
        ((NAME, f"description: {'d' * (MAX_DESCRIPTION_LENGTH + 1)}"), 3, "description is longer than 4,000"),
        ((NAME, DESCRIPTION, "metadata:", f"  category: {'c' * 201}"), 5, "category is longer than 200"),
    ],
)
def test_what_is_too_long_is_taken_up_to_the_bound(
    tmp_path: Path, lines: tuple[str, ...], line: int, reason: str
) -> None:
    skill, warnings = read(tmp_path / "skill", skill_md(*lines))
    assert max(len(skill.name), len(skill.description), len(skill.category or "")) in {200, 4000}
    expect_warning(warnings, tmp_path / "skill" / "SKILL.md", line, reason)


@pytest.mark.parametrize("category", ["7", "[a, b]", "{a: b}"])
def test_a_category_that_is_no_text_is_left_out(tmp_path: Path, category: str) -> None:
    skill, warnings = read(tmp_path / "skill", skill_md(NAME, DESCRIPTION, f"metadata: {{category: {category}}}"))
    assert skill.category is None
    expect_warning(warnings, tmp_path / "skill" / "SKILL.md", 4, "category must be text")


def test_front_matter_is_kept_as_it_was_written_and_in_its_order(tmp_path: Path) -> None:
    lines = ("version: 1.10", DESCRIPTION, NAME, "metadata:", "  tags: [b, a]", "  n: [1, 1.5, 007, 1:30, 0x1F, 1.0]")
    more = ("  flags: [true, No, ~, 'true']", "  date: 2024-01-01", "  big: 123456789012345678901", 'nul: "a\\0b"')
    skill, _ = read(tmp_path / "skill", skill_md(*lines, *more))
    assert skill.front_matter is not None
    assert list(skill.front_matter) == ["version", "description", "name", "metadata", "nul"]
    assert skill.front_matter["version"] == "1.10"
    assert skill.front_matter["nul"] == "a\N{REPLACEMENT CHARACTER}b"
    assert skill.front_matter["metadata"] == {
        "tags": ["b", "a"],
        "n": [1, 1.5, "007", "1:30", "0x1F", 1.0],
        "flags": [True, "No", None, "true"],
        "date": "2024-01-01",
        "big": "123456789012345678901",
    }


def test_aliases_are_followed_in_front_matter(tmp_path: Path) -> None:
    skill, _ = read(tmp_path / "skill", skill_md(NAME, DESCRIPTION, "a: &it {b: [1]}", "c: *it", "d: &self [*self]"))
    assert skill.front_matter is not None
    assert (skill.front_matter["c"], skill.front_matter["d"]) == ({"b": [1]}, [None])


# The file


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("\ufeff", "begins with a byte order mark"),
        ("\n \n", "must begin in the first line"),
        ("\ufeff\n", "byte order mark"),
    ],
)
def test_what_stands_before_the_front_matter_is_told(tmp_path: Path, before: str, reason: str) -> None:
    content = before + skill_md(NAME, DESCRIPTION)
    skill, warnings = read(tmp_path / "skill", content)
    assert skill.content == content.removeprefix("\ufeff")
    expect_warning(warnings, tmp_path / "skill" / "SKILL.md", 1, reason)


@pytest.mark.parametrize("name", ["skill.md", "Skill.md", "SKILL.MD"])
def test_skill_md_is_read_in_other_letters(tmp_path: Path, name: str) -> None:
    skill, warnings = read(tmp_path / "skill", skill_md(NAME, DESCRIPTION), name)
    assert find_skill_folders(tmp_path) == [tmp_path / "skill"]
    assert [file.path for file in skill.files] == ["SKILL.md"]
    expect_warning(warnings, tmp_path / "skill" / name, None, "is kept as SKILL.md")


def test_a_page_of_that_name_is_no_skill(tmp_path: Path) -> None:
    for content in ("# How to write a skill\n", "---\ntitle: Skills\n---\n"):
        (tmp_path / "skill.md").write_text(content)
        assert find_skill_folders(tmp_path) == []


def test_beside_skill_md_a_file_in_other_letters_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "skill").mkdir()
    (tmp_path / "skill" / "skill.md").write_text("Notes.")
    skill, warnings = read(tmp_path / "skill", skill_md(NAME, DESCRIPTION))
    assert [file.path for file in skill.files] == ["SKILL.md", "skill.md"]
    assert warnings == []


@pytest.mark.parametrize("target", ["nowhere", "/nowhere/at/all", "../../nowhere"])
def test_a_link_to_nothing_is_left_out(tmp_path: Path, target: str) -> None:
    (tmp_path / "skill").mkdir()
    (tmp_path / "skill" / "link").symlink_to(target)
    skill, warnings = read(tmp_path / "skill", skill_md(NAME, DESCRIPTION))
    assert [file.path for file in skill.files] == ["SKILL.md"]
    expect_warning(warnings, tmp_path / "skill" / "link", None, "is a link to nothing")


@pytest.mark.parametrize("name", ["node_modules", ".venv", ".mypy_cache", "env"])
def test_what_tools_installed_in_a_skill_is_left_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "skill" / name / "lib").mkdir(parents=True)
    (tmp_path / "skill" / name / "pyvenv.cfg").touch()
    (tmp_path / "skill" / "dist").mkdir()
    (tmp_path / "skill" / "dist" / "bundle.js").touch()
    skill, warnings = read(tmp_path / "skill", skill_md(NAME, DESCRIPTION))
    assert [file.path for file in skill.files] == ["SKILL.md", "dist/bundle.js"]
    expect_warning(warnings, tmp_path / "skill" / name, None, "is installed by a tool")


def test_contents_are_kept_up_to_the_limits_and_all_files_are_listed(tmp_path: Path) -> None:
    folder = tmp_path / "skill"
    folder.mkdir()
    (folder / "SKILL.md").write_text(skill_md(NAME, DESCRIPTION))
    for name, size in (("a", 10), ("b", 11), ("c", 10), ("d", 0)):
        (folder / name).write_bytes(name.encode() * size)
    (folder / "a").chmod(0o755)
    warnings: list[FolderWarning] = []
    limits = FileLimits(file_bytes=10, skill_files=3, skill_bytes=1000)
    [(_, skill)] = read_skill_folders([folder], root=tmp_path, file_limits=limits, on_warning=warnings.append)
    assert isinstance(skill, SkillFolder)
    files = {file.path: file for file in skill.files}
    assert {path for path, file in files.items() if file.hash in skill.contents} == {"a", "c"}
    assert set(skill.contents.values()) == {b"a" * 10, b"c" * 10}
    assert [(path, file.size, file.is_executable) for path, file in files.items()][1:] == [
        ("a", 10, True),
        ("b", 11, False),
        ("c", 10, False),
        ("d", 0, False),
    ]
    assert [Path(warning.path).name for warning in warnings] == ["b", "d"]


def test_what_an_installer_writes_into_skill_md_is_no_change(tmp_path: Path) -> None:
    authored, _ = read(tmp_path / "skill", skill_md(NAME, DESCRIPTION))
    for ref in ("main", "v2"):
        lines = (NAME, DESCRIPTION, "metadata:", f"  github-ref: {ref}", "  local-path: /home/me")
        installed, _ = read(tmp_path / "skill", skill_md(*lines))
        assert installed.content_hash == authored.content_hash
        assert installed.files != authored.files


# The rules of the reference validator


def rules(tmp_path: Path, *lines: str, folder: str = "skill") -> list[tuple[int | None, str]]:
    _, warnings = read(tmp_path / folder, skill_md(*lines))
    return [(warning.line, warning.reason) for warning in warnings]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("skill", "skill"),
        ("a" * 64, "a" * 64),
        ("日本", "日本"),
        ("über", "u\N{COMBINING DIAERESIS}ber"),
        ("a-1", "a-1"),
    ],
)
def test_a_name_that_the_specification_takes_is_no_finding(tmp_path: Path, name: str, folder: str) -> None:
    assert rules(tmp_path, f"name: {name}", DESCRIPTION, folder=folder) == []


@pytest.mark.parametrize(
    ("lines", "findings"),
    [
        (
            ("name: Skill", DESCRIPTION),
            [(2, "name must be in lower case"), (2, "name must be that of its folder, skill")],
        ),
        (("name: other", DESCRIPTION), [(2, "name must be that of its folder, skill")]),
        (("name: -skill", DESCRIPTION), [(2, "begin or end with a hyphen"), (2, "that of its folder")]),
        (("name: skill-", DESCRIPTION), [(2, "begin or end with a hyphen"), (2, "that of its folder")]),
        (("name: a--b", DESCRIPTION), [(2, "two hyphens"), (2, "that of its folder")]),
        (("name: a_b", DESCRIPTION), [(2, "letters, digits and hyphens"), (2, "that of its folder")]),
        ((f"name: {'a' * 65}", DESCRIPTION), [(2, "longer than the 64"), (2, "that of its folder")]),
        ((NAME, f"description: {'d' * 1_024}"), []),
        ((NAME, f"description: {'d' * 1_025}"), [(3, "longer than the 1,024")]),
        ((NAME, DESCRIPTION, f"compatibility: {'c' * 500}"), []),
        ((NAME, DESCRIPTION, f"compatibility: {'c' * 501}"), [(4, "longer than the 500")]),
        ((NAME, DESCRIPTION, "compatibility:", "  - a"), [(4, "compatibility must be text")]),
        ((NAME, DESCRIPTION, "license: MIT", "allowed-tools: Read", "metadata:", "  any: thing"), []),
        ((NAME, DESCRIPTION, "model: x", "version: 1"), [(4, "the specification knows no model, version")]),
        ((NAME, DESCRIPTION, "allowed-tools: [Read]"), [(4, "no brackets")]),
        ((NAME, DESCRIPTION, "metadata:", "  a: &b c"), [(5, "no brackets, braces, anchors or tags")]),
    ],
)
def test_what_the_reference_validator_refuses_is_told_with_its_line(
    tmp_path: Path, lines: tuple[str, ...], findings: list[tuple[int, str]]
) -> None:
    found = rules(tmp_path, *lines)
    assert [line for line, _ in found] == [line for line, _ in findings]
    for (_, reason), (_, words) in zip(found, findings, strict=True):
        assert words in reason


def test_a_check_counts_what_it_finds(tmp_path: Path) -> None:
    read(tmp_path / "good", skill_md("name: good", DESCRIPTION))
    read(tmp_path / "loud", skill_md("name: Loud", DESCRIPTION))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "SKILL.md").write_text("no front matter")
    report = check_skill_folders(tmp_path)
    assert report.found == 3
    assert [(error.path, error.line) for error in report.errors] == [(str(tmp_path / "broken" / "SKILL.md"), 1)]
    assert [warning.line for warning in report.warnings] == [2, 2]
