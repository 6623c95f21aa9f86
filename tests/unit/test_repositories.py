"""Real repositories of skills, replayed commit by commit: what changes is what git names, bit for bit."""

import os
import subprocess
from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path

import pytest

from everyskill.model.skills import SkillFolder
from everyskill.skill_folders import find_skill_folders, read_skill_folders
from tests.support.skill_folders import REPOSITORIES, WITHOUT_REPOSITORIES

MAX_COMMITS = 25

Tree = dict[str, str]


def git(repository: Path, *arguments: str, index: Path | None = None) -> str:
    environment = os.environ | {"GIT_NO_LAZY_FETCH": "1"} | ({"GIT_INDEX_FILE": str(index)} if index else {})
    done = subprocess.run(
        ["git", "--git-dir", str(repository), *arguments], env=environment, capture_output=True, check=True
    )
    return os.fsdecode(done.stdout)


def repositories() -> list[Path]:
    root = Path(REPOSITORIES)
    return sorted(head.parent for pattern in ("*/HEAD", "*/*/HEAD") for head in root.glob(pattern))


def commits_of_skills(repository: Path) -> list[str]:
    newest = git(repository, "log", "--first-parent", "--format=%H", f"-{MAX_COMMITS}", "--", "*SKILL.md").split()
    return newest[::-1]


def blobs(repository: Path, commit: str) -> Tree:
    """The hash of each file of a commit by its path; links are left out."""
    rows = (row.split("\t") for row in git(repository, "ls-tree", "-r", "-z", commit).split("\0") if row)
    return {path: meta.split()[2] for meta, path in rows if meta.startswith("100")}


def checked_out(repository: Path, commit: str, folder: Path) -> Path:
    index, tree = folder / f"{commit}.index", folder / commit
    tree.mkdir()
    git(repository, "read-tree", commit, index=index)
    git(repository, "checkout-index", "--all", f"--prefix={tree}/", index=index)
    return tree


def read(root: Path) -> Iterator[tuple[str, SkillFolder]]:
    for folder, skill in read_skill_folders(find_skill_folders(root), root=root):
        if isinstance(skill, SkillFolder):
            path = folder.relative_to(root).as_posix()
            yield "" if path == "." else path, skill


def below(path: str, tree: Tree) -> Tree:
    prefix = f"{path}/" if path else ""
    return {name.removeprefix(prefix): blob for name, blob in tree.items() if name.startswith(prefix)}


def blob_of(skill: SkillFolder, path: str) -> str:
    [file] = [file for file in skill.files if file.path == path]
    data = skill.content.encode() if file.is_skill else skill.contents[file.hash]
    if len(data) + 3 == file.size:
        data = b"\xef\xbb\xbf" + data
    return sha1(b"blob %d\0" % len(data) + data).hexdigest()


@pytest.mark.skipif(not REPOSITORIES, reason=WITHOUT_REPOSITORIES)
@pytest.mark.timeout(600)
def test_each_commit_changes_the_skills_that_git_names_and_no_others(tmp_path: Path) -> None:
    replayed = 0
    for repository in repositories():
        before: dict[str, tuple[str, Tree]] = {}
        for commit in commits_of_skills(repository):
            try:
                root = checked_out(repository, commit, tmp_path)
            except subprocess.CalledProcessError:
                continue  # the repository lacks some contents
            tree = blobs(repository, commit)
            now = {path: (skill.content_hash, below(path, tree)) for path, skill in read(root)}
            for path in now.keys() & before.keys():
                assert (now[path][0] != before[path][0]) == (now[path][1] != before[path][1]), (
                    repository,
                    commit,
                    path,
                )
            before = now
            replayed += 1
    assert replayed


@pytest.mark.skipif(not REPOSITORIES, reason=WITHOUT_REPOSITORIES)
@pytest.mark.timeout(600)
def test_every_file_that_is_kept_is_bit_for_bit_that_of_git(tmp_path: Path) -> None:
    compared = 0
    for repository in repositories():
        tree = blobs(repository, "HEAD")
        try:
            (tmp_path / repository.parent.name).mkdir()
            root = checked_out(repository, "HEAD", tmp_path / repository.parent.name)
        except subprocess.CalledProcessError:
            continue
        for path, skill in read(root):
            wanted = below(path, tree)
            for file in skill.files:
                if file.path in wanted and (file.is_skill or file.hash in skill.contents):
                    assert blob_of(skill, file.path) == wanted[file.path], (repository, path, file.path)
                    compared += 1
    assert compared
