"""Reading SKILL.md folders: what is found, what is read, and how each broken one is reported."""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everyskill.errors import InvalidArgument, MissingExtra, SkillFolderError
from everyskill.model.skills import MAX_CONTENT_LENGTH, MAX_FILES, MAX_SLUG_LENGTH, SkillFolder
from everyskill.skill_folders import (
    find_skill_folders,
    import_skill_folders,
    read_skill_folder,
    read_skill_folders,
    slug_of_folder,
)
from everyskill.skill_folders.front_matter import MAX_FRONT_MATTER_LENGTH
from everyskill.skill_folders.walk import list_files
from everyskill.skill_folders.yaml_values import MAX_DEPTH
from tests.support.skill_folders import MAX_NAME, MAX_PATH, closed, dig

EXAMPLES = Path(__file__).parents[2] / "examples" / "skills"
GOOD = "---\nname: Release notes\ndescription: Turns changes into notes.\n---\n\n# Steps\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


@pytest.fixture
def open_root() -> Iterator[Path]:
    """A tree that every user may enter; pytest's own folders are for the one who runs it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def make_skill(folder: Path, content: str | bytes = GOOD) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    (folder / "SKILL.md").write_bytes(data)
    return folder


def with_fields(*lines: str, name: str = "name: A name", description: str = "description: What it does.") -> str:
    return "\n".join(["---", name, description, *lines, "---", "", "Body.", ""])


def read(folder: Path) -> SkillFolder:
    return read_skill_folder(folder, root=folder.parent)


def error_of(folder: Path, root: Path | None = None) -> SkillFolderError:
    with pytest.raises(SkillFolderError) as caught:
        read_skill_folder(folder, root=root or folder.parent)
    return caught.value


def names_of(skill: SkillFolder) -> list[str]:
    return [file.path for file in skill.files]


# Finding


def test_every_folder_with_a_skill_file_is_found_in_order(root: Path) -> None:
    wanted = [make_skill(root / name) for name in ("a", "b/d/e", "b/x", "c")]
    (root / "b" / "no-skill").mkdir()
    assert find_skill_folders(root) == wanted


def test_an_empty_tree_holds_no_skills(root: Path) -> None:
    assert find_skill_folders(root) == []


def test_a_root_that_is_a_skill_is_the_only_skill(root: Path) -> None:
    make_skill(root)
    make_skill(root / "inner")
    assert find_skill_folders(root) == [root]


def test_a_skill_below_a_skill_is_part_of_the_outer_one(root: Path) -> None:
    outer = make_skill(root / "outer")
    make_skill(outer / "inner")
    assert find_skill_folders(root) == [outer]
    assert names_of(read(outer)) == ["SKILL.md", "inner/SKILL.md"]


@pytest.mark.parametrize(
    "name", [".git", ".venv", ".hidden", ".cache", ".tox", "node_modules", "__pycache__", "dist", "build", "target"]
)
def test_folders_of_tools_are_not_searched(root: Path, name: str) -> None:
    make_skill(root / name / "skill")
    make_skill(root / name / "skills" / "skill")
    assert find_skill_folders(root) == []


def test_a_virtual_environment_is_not_searched_whatever_its_name(root: Path) -> None:
    make_skill(root / "env" / "lib" / "skill")
    (root / "env" / "pyvenv.cfg").touch()
    assert find_skill_folders(root) == []


def test_a_root_may_itself_be_hidden(tmp_path: Path) -> None:
    skill = make_skill(tmp_path / ".claude" / "skills" / "a")
    assert find_skill_folders(skill.parent) == [skill]


def test_a_link_to_a_folder_of_the_same_tree_finds_nothing_twice(root: Path) -> None:
    skill = make_skill(root / "a" / "skill")
    (root / "z").symlink_to(skill)
    (root / "a" / "circle").symlink_to(root)
    assert find_skill_folders(root) == [skill]


def test_a_link_to_a_skill_out_of_the_tree_is_found_and_reported(root: Path, tmp_path: Path) -> None:
    make_skill(tmp_path / "elsewhere")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "other").symlink_to(tmp_path)
    assert find_skill_folders(root) == [root / "linked"]
    assert str(error_of(root / "linked")) == f"{root / 'linked'}: is a link out of the tree"


def test_a_folder_beside_the_tree_whose_name_begins_like_the_roots_is_out_of_the_tree(
    root: Path, tmp_path: Path
) -> None:
    make_skill(tmp_path / f"{root.name}-of-others")
    (root / "linked").symlink_to(tmp_path / f"{root.name}-of-others")
    folder = make_skill(root / "skill")
    (folder / "link").symlink_to(tmp_path / f"{root.name}-of-others" / "SKILL.md")
    assert find_skill_folders(root) == [root / "linked", folder]
    for broken, path in ((root / "linked", root / "linked"), (folder, folder / "link")):
        assert str(error_of(broken, root)) == f"{path}: is a link out of the tree"


@pytest.mark.parametrize(("name", "reason"), [("nowhere", "No such file or directory"), ("file", "Not a directory")])
def test_a_root_that_is_no_folder_is_an_error(root: Path, name: str, reason: str) -> None:
    (root / "file").touch()
    with pytest.raises(SkillFolderError) as caught:
        find_skill_folders(root / name)
    assert str(caught.value) == f"{root / name}: cannot be read: {reason}"


@pytest.mark.parametrize("name", ["closed", "日本"])
def test_a_folder_that_cannot_be_listed_is_found_and_reported(open_root: Path, name: str) -> None:
    folder = open_root / name
    folder.mkdir()
    with closed(folder):
        assert find_skill_folders(open_root) == [folder]
        assert error_of(folder).reason == "cannot be read: Permission denied"


# Reading


def test_a_skill_is_read_from_its_front_matter_and_its_place(root: Path) -> None:
    folder = make_skill(root / "writing" / "release-notes")
    skill = read_skill_folder(folder, root=root)
    assert (skill.slug, skill.name, skill.category) == ("release-notes", "Release notes", "writing")
    assert skill.description == "Turns changes into notes."
    assert skill.content == GOOD


def test_a_file_is_listed_with_its_path_size_and_hash(root: Path) -> None:
    folder = make_skill(root / "skill")
    (folder / "lists").mkdir()
    (folder / "lists" / "empty.txt").touch()
    listed = read(folder).files[1]
    assert (listed.path, listed.size) == ("lists/empty.txt", 0)
    assert listed.hash == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("folder", "slug"),
    [
        ("release-notes", "release-notes"),
        ("Release  Notes_v2", "release-notes-v2"),
        ("--a--", "a"),
        ("Übersicht", "ubersicht"),
    ],
)
def test_the_slug_comes_from_the_name_of_the_folder(folder: str, slug: str) -> None:
    assert slug_of_folder(Path("tree", folder)) == slug


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("---", "skill-cb3f91d5"),
        ("日本", "skill-cf2abf0c"),
        ("a" * (MAX_SLUG_LENGTH + 1), "a" * (MAX_SLUG_LENGTH - 9) + "-9d079339"),
    ],
)
def test_a_folder_in_any_script_has_a_slug_that_stays(root: Path, name: str, slug: str) -> None:
    skill = read(make_skill(root / name, with_fields(name=f"name: {name!r}")))
    assert (skill.slug, skill.name) == (slug, name)


def test_the_root_itself_is_read_under_the_name_in_its_front_matter(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_skill(root))
    skill = read_skill_folder(Path(), root=Path())
    assert (skill.slug, skill.category, names_of(skill)) == ("release-notes", None, ["SKILL.md"])


@pytest.mark.parametrize(
    ("place", "metadata", "category"),
    [
        ("skill", "license: MIT", None),
        ("data/skill", "license: MIT", "data"),
        ("data/charts/skill", "license: MIT", "charts"),
        ("data/skill", "metadata: {category: Finance}", "Finance"),
        ("data/skill", "metadata: {author: me}", "data"),
        ("data/skill", "metadata: something", "data"),
        ("data/skill", "metadata:", "data"),
        ("data/skill", "metadata: {category: }", "data"),
        ("data/skill", "metadata: {category: ' '}", "data"),
    ],
)
def test_the_category_is_named_or_else_the_folder_above(
    root: Path, place: str, metadata: str, category: str | None
) -> None:
    folder = make_skill(root / place, with_fields(metadata))
    assert read_skill_folder(folder, root=root).category == category


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbf" + GOOD.encode(), id="byte order mark"),
        pytest.param(GOOD.replace("\n", "\r\n"), id="Windows line ends"),
        pytest.param(GOOD.replace("---", "---  "), id="blanks after the fence"),
        pytest.param(GOOD.partition("\n\n")[0], id="nothing after the front matter"),
        pytest.param(GOOD.replace("Release notes", "'Release notes'"), id="quotes"),
        pytest.param(GOOD.replace("Release notes", ">\n  Release\n  notes\n"), id="folded text"),
        pytest.param(
            with_fields("allowed-tools: [Read]", "x: !odd {1: 2}", name="name: Release notes"), id="more keys"
        ),
        pytest.param(with_fields("x: &it Release notes", name="name: Release notes"), id="an anchor"),
    ],
)
def test_what_is_harmless_is_read(root: Path, content: str | bytes) -> None:
    assert read(make_skill(root / "skill", content)).name == "Release notes"


def test_a_byte_order_mark_is_no_part_of_the_content(root: Path) -> None:
    assert read(make_skill(root / "skill", "\ufeff" + GOOD)).content == GOOD


@pytest.mark.parametrize("ignored", [".git/config", "__pycache__/a.txt", ".DS_Store", "lib/a.pyc"])
def test_files_of_tools_are_no_part_of_a_skill(root: Path, ignored: str) -> None:
    folder = make_skill(root / "skill")
    before = read(folder)
    (folder / ignored).parent.mkdir(exist_ok=True)
    (folder / ignored).touch()
    assert read(folder) == before


def test_links_within_the_tree_are_followed(root: Path) -> None:
    folder = make_skill(root / "skill")
    (root / "shared").mkdir()
    (root / "shared" / "style.md").write_text("Be brief.")
    (folder / "file.md").symlink_to("../shared/style.md")
    (folder / "folder").symlink_to("../shared")
    assert names_of(read(folder)) == ["SKILL.md", "file.md", "folder/style.md"]


@pytest.mark.parametrize("folder", find_skill_folders(EXAMPLES), ids=lambda folder: folder.name)
def test_every_shipped_example_reads_well(folder: Path) -> None:
    skill = read_skill_folder(folder, root=EXAMPLES)
    assert (skill.name, skill.category) == (folder.name, folder.parent.name)


def test_at_least_eight_examples_are_shipped() -> None:
    assert len(find_skill_folders(EXAMPLES)) >= 8


# The content hash


def test_the_hash_does_not_depend_on_the_order_in_which_files_were_made(root: Path) -> None:
    one, two = make_skill(root / "one"), make_skill(root / "two")
    for folder, names in ((one, "abc"), (two, "cba")):
        for name in names:
            (folder / name).write_text(name)
    assert read(one).content_hash == read(two).content_hash


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda folder: (folder / "a").write_text("2"), id="a byte"),
        pytest.param(lambda folder: (folder / "a").rename(folder / "b"), id="a name"),
        pytest.param(lambda folder: (folder / "a").unlink(), id="a file less"),
        pytest.param(lambda folder: (folder / "b").touch(), id="an empty file more"),
        pytest.param(lambda folder: make_skill(folder, GOOD + " "), id="a blank in SKILL.md"),
        pytest.param(lambda folder: make_skill(folder, "\ufeff" + GOOD), id="a byte order mark"),
    ],
)
def test_any_change_of_a_file_changes_the_hash(root: Path, change: object) -> None:
    folder = make_skill(root / "skill")
    (folder / "a").write_text("1")
    before = read(folder).content_hash
    assert callable(change)
    change(folder)
    assert read(folder).content_hash != before


# Broken front matter


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("", 1, "no front matter"),
        ("# Just Markdown\n", 1, "no front matter"),
        ("---\nname: x\n", 1, "not closed"),
        ("---", 1, "not closed"),
        ("---\n---\n", 1, "must be a list of keys"),
        ("---\n- name\n---\n", 1, "must be a list of keys"),
        ("---\r\nname: a\r\ndescription: [\r\n---\r\n", 4, "bad YAML"),
        ("---\nname: a\nname\n---\n", 4, "bad YAML"),
        ("---\n# a\u2028# b\ndescription: *nobody\n---\n", 3, "undefined alias"),
        ("---\nname: a\ndescription: \x07\n---\n", 3, r"'\x07' is not allowed"),
        ('---\nname: "a\ndescription: b\nlicense: MIT\n---\n', 2, "never closed"),
        (with_fields("name: again"), 4, "name is given twice"),
        (with_fields("metadata:", "  category: a", "  category: b"), 6, "category is given twice"),
        (with_fields(description="description: {a: b}"), 3, "description must be text"),
        ("---\nname: a\n---\n# Title\n", 1, "no paragraph to take it from"),
        (with_fields(name=r'name: "a\0b"'), 2, "NUL"),
        (with_fields(name=r'name: "a\ud800b"'), 2, "invalid Unicode character"),
        (GOOD.encode() + b"\n\xff", 8, "is not UTF-8"),
        (b"\xef\xbb\xbf" + GOOD.encode("utf-16"), 1, "is not UTF-8"),
        (GOOD + "\n\0", 8, "holds a NUL character"),
        (with_fields("x: " + "y" * MAX_FRONT_MATTER_LENGTH), 1, "more than 64 KiB"),
        (with_fields("x:", "  " + "[" * MAX_DEPTH), 5, "nested deeper"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_broken_front_matter_is_reported_with_its_line(
    root: Path, content: str | bytes, line: int, reason: str
) -> None:
    folder = make_skill(root / "skill", content)
    error = error_of(folder)
    assert (error.path, error.line) == (str(folder / "SKILL.md"), line)
    assert reason in error.reason


def test_an_alias_bomb_is_read_without_being_built(root: Path) -> None:
    levels = [f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]" for n in range(1, 40)]
    skill = read(make_skill(root / "skill", with_fields("b0: &b0 lol", *levels)))
    assert (skill.name, skill.front_matter) == ("A name", None)


def test_aliases_that_nest_without_end_are_not_kept(root: Path) -> None:
    levels = [f"b{n}: &b{n} [*b{n - 1}]" for n in range(1, 2_000)]
    assert read(make_skill(root / "skill", with_fields("b0: &b0 lol", *levels))).front_matter is None


@pytest.mark.parametrize("name", ["name: &x [*x, *x]", "name: &x {a: *x}"])
def test_a_name_that_is_an_alias_bomb_is_no_name(root: Path, name: str) -> None:
    assert read(make_skill(root / "skill", with_fields(name=name))).name == "skill"


def test_thousands_of_brackets_do_not_end_the_process(root: Path) -> None:
    folder = make_skill(root / "skill", with_fields("x: " + "[" * 60_000))
    assert "nested deeper" in error_of(folder).reason


def test_a_skill_file_of_one_mebibyte_is_the_largest(root: Path) -> None:
    folder = make_skill(root / "skill", GOOD.ljust(MAX_CONTENT_LENGTH))
    assert read(folder).files[0].size == MAX_CONTENT_LENGTH
    make_skill(folder, GOOD.ljust(MAX_CONTENT_LENGTH + 1))
    assert error_of(folder).reason == "must not be larger than 1 MiB"


YAML_PIECES = st.sampled_from(
    [
        *"\n\r\t -:#&*!|>'\"%@`{}[],?~\\\0\x85\u2028\ufeff",
        "---",
        "...",
        "<<",
        "name: ",
        "description: ",
        "\n  ",
        "é",
        "1",
    ]
)


@settings(deadline=None, max_examples=300)
@given(
    content=st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: f"---\n{text}\n---\n".encode(errors="surrogatepass"))
    | st.lists(YAML_PIECES, max_size=40).map(lambda pieces: f"---\n{''.join(pieces)}\n---\n".encode())
)
def test_whatever_a_skill_file_holds_it_is_a_skill_or_a_skill_folder_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = make_skill(tmp_path_factory.getbasetemp() / "any" / "skill", content)
    [(_, result)] = read_skill_folders([folder], root=folder.parent)
    if isinstance(result, SkillFolder):
        assert result.checked() == result
        assert msgspec.json.encode(result.front_matter)
    else:
        assert result.line is None or 1 <= result.line <= content.count(b"\n") + 1


# Broken folders


def test_a_link_out_of_the_tree_is_reported_with_its_path(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    folder = make_skill(root / "skill")
    (folder / "link").symlink_to(tmp_path / "secret")
    assert str(error_of(folder)) == f"{folder / 'link'}: is a link out of the tree"


def test_a_skill_file_that_is_a_link_out_of_the_tree_is_broken(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(GOOD)
    (root / "skill").mkdir()
    (root / "skill" / "SKILL.md").symlink_to(tmp_path / "secret")
    assert find_skill_folders(root) == [root / "skill"]
    assert error_of(root / "skill").path == str(root / "skill" / "SKILL.md")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("link", "is a link that cannot be followed: Too many levels of symbolic links"),
        (".", "is a link that leads back to a folder above it"),
        ("..", "is a link that leads back to a folder above it"),
    ],
)
def test_a_link_to_nowhere_or_in_a_circle_is_broken(root: Path, target: str, reason: str) -> None:
    folder = make_skill(root / "category" / "skill")
    (folder / "link").symlink_to(target)
    error = error_of(folder, root)
    assert error.path.startswith(str(folder / "link"))
    assert error.reason == reason


def test_links_that_multiply_without_end_are_broken(root: Path) -> None:
    folder = make_skill(root / "skill")
    for level in "abc":
        (root / level).mkdir()
        for number in range(50):
            (root / level / str(number)).symlink_to(f"../{chr(ord(level) + 1)}")
    (root / "d").mkdir()
    (folder / "link").symlink_to("../a")
    assert error_of(folder).reason == f"must not hold more than {MAX_FILES:,} files and folders"


def test_a_skill_may_hold_so_many_files_and_not_one_more(root: Path) -> None:
    folder = make_skill(root / "skill")
    for number in range(1, MAX_FILES):
        (folder / str(number)).touch()
    assert len(list_files(folder, real=str(folder), real_root=str(root))) == MAX_FILES
    (folder / "one more").touch()
    assert error_of(folder).reason == f"must not hold more than {MAX_FILES:,} files and folders"


def test_a_pipe_is_broken_and_does_not_hang(root: Path) -> None:
    folder = make_skill(root / "skill")
    os.mkfifo(folder / "pipe")
    assert str(error_of(folder)) == f"{folder / 'pipe'}: is neither a file nor a folder"


def test_a_skill_file_that_is_a_pipe_is_broken(root: Path) -> None:
    (root / "skill").mkdir()
    os.mkfifo(root / "skill" / "SKILL.md")
    assert error_of(root / "skill").reason == "is neither a file nor a folder"


def test_a_socket_is_broken(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_skill(root / "skill")
    monkeypatch.chdir(folder)  # a socket's path may not be longer than 107 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert error_of(folder).reason == "is neither a file nor a folder"


def test_a_skill_file_that_is_a_folder_is_broken(root: Path) -> None:
    (root / "skill" / "SKILL.md").mkdir(parents=True)
    assert error_of(root / "skill").reason == "holds no file SKILL.md"


def test_a_file_name_that_is_not_utf8_is_reported_in_printable_form(root: Path) -> None:
    folder = make_skill(root / "skill")
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9")).touch()
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    error = error_of(folder)
    assert error.reason == "has a name that is not UTF-8"
    assert error.path.encode().endswith(rb"caf\udce9")


@pytest.mark.parametrize("name", ["SKILL.md", "other"])
def test_a_file_that_may_not_be_read_is_broken(open_root: Path, name: str) -> None:
    folder = make_skill(open_root / "skill")
    (folder / name).touch()
    with closed(folder / name):
        assert str(error_of(folder)) == f"{folder / name}: cannot be read: Permission denied"


@pytest.mark.parametrize("name", ["category", "category/skill", "category/skill/files"])
def test_a_folder_that_may_be_listed_but_not_entered_is_broken(open_root: Path, name: str) -> None:
    folder = make_skill(open_root / "category" / "skill")
    (folder / "files").mkdir()
    (folder / "files" / "a").touch()
    with closed(open_root / name, 0o444):
        [(_, result)] = read_skill_folders(find_skill_folders(open_root), root=open_root)
    assert isinstance(result, SkillFolderError)
    assert result.path.startswith(str(open_root / name))
    assert result.reason == "cannot be read: Permission denied"


def test_a_folder_outside_of_the_tree_is_broken(root: Path, tmp_path: Path) -> None:
    folder = make_skill(tmp_path / "elsewhere")
    assert error_of(folder, root).reason == "is outside of the tree"


# Reading a tree


def test_one_broken_skill_stops_no_other(root: Path) -> None:
    for name in "abc":
        make_skill(root / name, GOOD if name != "b" else "no front matter")
    results = [result for _, result in read_skill_folders(find_skill_folders(root), root=root)]
    assert [type(result) for result in results] == [SkillFolder, SkillFolderError, SkillFolder]


LONG_NAME = "n" * (MAX_NAME + 1)
BROKEN_SKILLS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder in it that no path reaches": (lambda skill: dig(make_skill(skill), 2 * MAX_PATH), "File name too long"),
    "a file in it that no path reaches": (
        lambda skill: dig(make_skill(skill), MAX_PATH - 5, "a-file"),
        "File name too long",
    ),
    "a link to a name that is too long": (
        lambda skill: (make_skill(skill) / "link").symlink_to(LONG_NAME),
        "File name too long",
    ),
    "a SKILL.md that links to such a name": (
        lambda skill: (skill / "SKILL.md").symlink_to(LONG_NAME),
        "File name too long",
    ),
    "a SKILL.md that links to itself": (
        lambda skill: (skill / "SKILL.md").symlink_to("SKILL.md"),
        "Too many levels of symbolic links",
    ),
    "a link through a file": (lambda skill: (make_skill(skill) / "link").symlink_to("SKILL.md/x"), "Not a directory"),
    "a SKILL.md that is a folder": (lambda skill: (skill / "SKILL.md").mkdir(), "holds no file SKILL.md"),
    "a SKILL.md that is a pipe": (lambda skill: os.mkfifo(skill / "SKILL.md"), "is neither a file nor a folder"),
}


@pytest.mark.parametrize("case", BROKEN_SKILLS)
@pytest.mark.parametrize("is_relative", [False, True])
def test_whatever_the_system_refuses_it_stops_no_other_skill(
    root: Path, monkeypatch: pytest.MonkeyPatch, case: str, is_relative: bool
) -> None:
    for name in ("a", "c"):
        make_skill(root / name)
    (root / "b").mkdir()
    break_it, reason = BROKEN_SKILLS[case]
    break_it(root / "b")
    monkeypatch.chdir(root.parent)
    tree = Path(root.name) if is_relative else root
    found = find_skill_folders(tree)
    assert found == [tree / name for name in "abc"]
    first, broken, last = [result for _, result in read_skill_folders(found, root=tree)]
    assert isinstance(first, SkillFolder)
    assert isinstance(last, SkillFolder)
    assert isinstance(broken, SkillFolderError)
    # From a relative root paths are shorter, but the list of files takes no path of that length.
    assert broken.reason.endswith((reason, "must not be longer than 4,000 characters"))


# The path of the folder, of its SKILL.md, or of neither is as long as the system takes.
@pytest.mark.parametrize("length", range(MAX_PATH - 12, MAX_PATH + 3))
@pytest.mark.parametrize("is_relative", [False, True])
def test_a_folder_at_the_end_of_all_paths_stops_no_other(
    root: Path, monkeypatch: pytest.MonkeyPatch, length: int, is_relative: bool
) -> None:
    for name in ("a", "z"):
        make_skill(root / name)
    (root / "m").mkdir()
    dig(root / "m", length, "SKILL.md")
    monkeypatch.chdir(root.parent)
    tree = Path(root.name) if is_relative else root
    results = [result for _, result in read_skill_folders(find_skill_folders(tree), root=tree)]
    assert [type(results[0]), type(results[-1])] == [SkillFolder, SkillFolder]
    for broken in results[1:-1]:
        assert isinstance(broken, SkillFolder) or broken.reason == "cannot be read: File name too long"


def test_each_folder_is_read_when_it_is_asked_for(root: Path) -> None:
    folders = [make_skill(root / name) for name in "ab"]
    results = read_skill_folders(folders, root=root)
    next(results)
    make_skill(folders[1], GOOD.replace("Release", "Later"))
    _, second = next(results)
    assert isinstance(second, SkillFolder)
    assert second.name == "Later notes"


def test_a_folder_that_disappeared_since_it_was_found_is_broken(root: Path) -> None:
    make_skill(root / "skill")
    folders = find_skill_folders(root)
    shutil.rmtree(root / "skill")
    [(folder, result)] = read_skill_folders(folders, root=root)
    assert str(result) == f"{folder}: cannot be read: No such file or directory"


@pytest.mark.parametrize("first_content", [GOOD, "broken"])
def test_a_slug_belongs_to_the_first_folder_even_when_that_is_broken(root: Path, first_content: str) -> None:
    make_skill(root / "a" / "skill", first_content)
    second = make_skill(root / "b" / "Skill")
    [_, (folder, result)] = read_skill_folders(find_skill_folders(root), root=root)
    assert folder == second
    assert isinstance(result, SkillFolder)
    assert result.slug == "b-skill"


# Importing


@pytest.mark.parametrize("root", [None, 7, b"skills", ["skills"]])
async def test_a_root_that_is_no_path_is_an_invalid_argument(root: Any) -> None:
    no_tenant: Any = None
    with pytest.raises(InvalidArgument, match="root must be a str"):
        await import_skill_folders(no_tenant, root)


# The extra


def test_without_pyyaml_the_import_says_which_extra_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("everyskill.skill_folders")]:
        monkeypatch.delitem(sys.modules, name)
    # None makes every import of the module fail as if it were not installed.
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtra) as caught:
        import_module("everyskill.skill_folders")
    assert (caught.value.extra, caught.value.module) == ("cli", "yaml")
