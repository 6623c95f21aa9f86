"""Keeps a folder in step with commits: of each one, the files that skills are made of, bit for bit as git has them."""

import os
import shutil
from pathlib import Path

from everyskill.errors import InvalidSource
from everyskill.model.skills import SKILL_FILE_NAME
from everyskill.skill_folders.manifests import MANIFESTS
from everyskill.skill_sources.bounds import Bounds
from everyskill.skill_sources.entries import MAX_LINK_LENGTH, check_paths, link_target, remove, write_file, write_link
from everyskill.skill_sources.git_repository import (
    EXECUTABLE_MODE,
    LINK_MODE,
    SUBMODULE_MODE,
    GitRepository,
    TreeEntry,
)
from everyskill.skill_sources.marketplaces import MAX_MANIFEST_BYTES, Marketplace, parse_marketplace
from everyskill.skill_sources.source import MARKETPLACE

# They say which plugin a skill belongs to.
_MANIFEST_ENDS = tuple(f"/{path}" for path in MANIFESTS)
# Links that lead from link to link end somewhere, or nowhere.
_MAX_LINKS_IN_A_ROW = 5
_Tree = dict[str, TreeEntry]


class Checkout:
    """A folder that holds one commit's skills. Its calls wait for processes: call them in a thread."""

    def __init__(self, address: str, repository: GitRepository, root: Path, bounds: Bounds) -> None:
        self._address = address
        self._repository = repository
        self.root = root
        self._bounds = bounds
        self._tree: _Tree = {}
        self.submodules: list[str] = []
        self.marketplace = Marketplace()

    @property
    def has_skills(self) -> bool:
        """Whether the folder holds a skill."""
        return any(_skill_folder(path) is not None for path in self._tree)

    def move_to(self, revision: str | None) -> bool:
        """Makes the folder hold a commit, or nothing. False where that changes nothing of any skill.

        Raises InvalidSource for a commit that cannot be written, and then the folder is as it was, or empty.
        """
        tree = {} if revision is None else self._wanted(self._repository.list_tree(revision))
        if tree == self._tree:
            return False
        self._check(tree)
        try:
            for path, entry in self._tree.items():
                if tree.get(path) != entry:
                    remove(self.root, path)
            self._write({path: entry for path, entry in tree.items() if self._tree.get(path) != entry})
        except BaseException:
            shutil.rmtree(self.root, ignore_errors=True)
            self.root.mkdir(exist_ok=True)
            self._tree = {}
            raise
        self._tree = tree
        return True

    def _wanted(self, tree: _Tree) -> _Tree:
        self.marketplace = self._read_marketplace(tree)
        folders = {folder for folder in map(_skill_folder, tree) if folder is not None}
        taken = {folder for folder in folders if self.marketplace.takes(folder)}
        wanted = {path: entry for path, entry in tree.items() if _is_wanted(path, taken)}
        for _ in range(_MAX_LINKS_IN_A_ROW):
            targets = self._targets(wanted)
            more = {path: tree[path] for path in tree.keys() - wanted.keys() if not targets.isdisjoint(_above(path))}
            if not more:
                break
            wanted |= more
        self.submodules = sorted(path for path, entry in wanted.items() if entry.mode == SUBMODULE_MODE)
        return {path: entry for path, entry in wanted.items() if entry.mode != SUBMODULE_MODE}

    def _read_marketplace(self, tree: _Tree) -> Marketplace:
        entry = tree.get(MARKETPLACE.as_posix())
        if entry is None or entry.mode == LINK_MODE:
            return Marketplace()
        if entry.size > MAX_MANIFEST_BYTES:
            raise InvalidSource(self._address, f"{MARKETPLACE} has more than {MAX_MANIFEST_BYTES:,} bytes")
        [content] = self._repository.read([entry.object_id])
        return parse_marketplace(self._address, content)

    def _targets(self, tree: _Tree) -> set[str]:
        links = self._links(tree)
        return {target for path, leads_to in links.items() if (target := link_target(path, leads_to)) is not None}

    def _links(self, tree: _Tree) -> dict[str, str]:
        links = {
            path: entry for path, entry in tree.items() if entry.mode == LINK_MODE and entry.size <= MAX_LINK_LENGTH
        }
        contents = self._repository.read(entry.object_id for entry in links.values()) if links else []
        return dict(zip(links, map(os.fsdecode, contents), strict=True))

    def _check(self, tree: _Tree) -> None:
        if len(tree) > self._bounds.max_entries:
            raise InvalidSource(self._address, f"its skills have more than {self._bounds.max_entries:,} files")
        if sum(entry.size for entry in tree.values()) > self._bounds.max_bytes:
            raise InvalidSource(self._address, f"its skills have more than {self._bounds.max_bytes:,} bytes")
        check_paths(self._address, tree)

    def _write(self, tree: _Tree) -> None:
        files = {path: entry for path, entry in tree.items() if entry.mode != LINK_MODE}
        contents = self._repository.read(entry.object_id for entry in files.values())
        for (path, entry), content in zip(files.items(), contents, strict=True):
            write_file(self.root, path, content, is_executable=entry.mode == EXECUTABLE_MODE)
        for path, leads_to in self._links(tree).items():
            write_link(self.root, path, leads_to)


def _skill_folder(path: str) -> str | None:
    folder, _, name = path.rpartition("/")
    return folder if name.lower() == SKILL_FILE_NAME.lower() else None


def _is_wanted(path: str, folders: set[str]) -> bool:
    return f"/{path}".endswith(_MANIFEST_ENDS) or not folders.isdisjoint(_above(path))


def _above(path: str) -> list[str]:
    """The path, and every folder above it; the root is an empty text."""
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(len(parts) + 1)]
