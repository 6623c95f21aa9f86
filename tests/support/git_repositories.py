"""Git repositories made by the program git, and what git says of them."""

import os
import subprocess
from hashlib import sha256
from pathlib import Path

# Neither the settings of whoever runs the tests, nor the moment.
_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "Ann Author",
    "GIT_AUTHOR_EMAIL": "ann@example.com",
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05+02:00",
    "GIT_COMMITTER_NAME": "Bob",
    "GIT_COMMITTER_EMAIL": "bob@example.com",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05+02:00",
}


class Repository:
    """A work tree with its repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._hashes: dict[str, str] = {}
        if not folder.exists():
            folder.mkdir(parents=True)
            self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, stdin: bytes = b"", **environment: str) -> str:
        """What git prints."""
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            input=stdin,
            capture_output=True,
            env=os.environ | _ENVIRONMENT | environment,
            check=True,
        )
        return os.fsdecode(done.stdout).strip("\n")

    def commit(self, message: str = "Change it", **environment: str) -> str:
        """Commits all that lies in the work tree, and returns the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--allow-empty-message", "-m", message, stdin=b"", **environment)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def add_skill(self, path: str, *, description: str = "Does it.", body: str = "Steps.") -> Path:
        """Writes a SKILL.md whose name is its folder's."""
        file = self.folder / path / "SKILL.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"---\nname: {file.parent.name}\ndescription: {description}\n---\n\n{body}\n")
        return file

    def hash_of(self, object_id: str) -> str:
        """SHA-256 of the bytes that git has under an id."""
        if object_id not in self._hashes:
            command = ["git", "-C", str(self.folder), "cat-file", "blob", object_id]
            content = subprocess.run(command, capture_output=True, check=True).stdout
            self._hashes[object_id] = sha256(content).hexdigest()
        return self._hashes[object_id]

    def files(self, revision: str) -> dict[str, str]:
        """The files of a commit with git's ids, without links."""
        lines = self.git("ls-tree", "-r", "-z", revision).split("\0")
        parts = (line.partition("\t") for line in lines if line.startswith("100"))
        return {path: facts.split()[2] for facts, _, path in parts}

    def changed_paths(self, old: str, new: str) -> set[str]:
        """The files that `git diff` names, but for those of which the mode alone is another."""
        raw = self.git("diff", "--raw", "--no-abbrev", "--no-renames", "-z", old, new).split("\0")
        pairs = zip(raw[::2], raw[1::2], strict=False)
        return {path for facts, path in pairs if facts.split()[2] != facts.split()[3]}

    def links(self, revision: str) -> set[str]:
        """The symbolic links of a commit."""
        lines = self.git("ls-tree", "-r", "-z", revision).split("\0")
        return {line.partition("\t")[2] for line in lines if line.startswith("120000")}
