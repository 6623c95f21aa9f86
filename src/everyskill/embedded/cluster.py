"""The data directory: whether it can be used, and making what PostgreSQL keeps in it."""

import shutil
import tempfile
from pathlib import Path

from everyskill.embedded.binaries import Binaries
from everyskill.errors import EmbeddedServerFailed

START_LOCK = "everyskill.start.lock"
STAMP = "PG_VERSION"
INITDB = ("--auth=trust", "--encoding=utf8", "--username=postgres")


def check_directory(directory: Path, binaries: Binaries) -> None:
    """Makes the directory if it is missing; refuses one which holds anything but a cluster of ours."""
    if directory.is_file():
        raise EmbeddedServerFailed(str(directory), "it is a file, not a directory")
    directory.mkdir(parents=True, exist_ok=True)
    names = {path.name for path in directory.iterdir()}
    if STAMP in names:
        _check_cluster(directory / STAMP, binaries)
    elif names and START_LOCK not in names:
        raise EmbeddedServerFailed(str(directory), "it holds other files; name a new or an empty directory")


def _check_cluster(stamp: Path, binaries: Binaries) -> None:
    found, wanted = stamp.read_text().strip(), str(binaries.version)
    if found != wanted:
        reason = f"it holds PostgreSQL {found}, and PostgreSQL {wanted} was asked for"
        raise EmbeddedServerFailed(str(stamp.parent), reason)
    owner = stamp.stat().st_uid
    if binaries.user and owner != binaries.user.pw_uid:
        reason = f"it belongs to the user with id {owner}; run as that user, not as root"
        raise EmbeddedServerFailed(str(stamp.parent), reason)


def make_cluster(directory: Path, binaries: Binaries) -> None:
    """Makes it aside and moves it in, the stamp last: a program killed on the way leaves nothing half made."""
    made = directory / "everyskill.made"
    if not made.exists():
        _initdb(directory, binaries).rename(made)
    directory.chmod(0o700)
    for entry in sorted(made.iterdir(), key=lambda entry: entry.name == STAMP):
        entry.rename(directory / entry.name)
    made.rmdir()
    for scratch in directory.glob("everyskill.making.*"):
        shutil.rmtree(scratch, ignore_errors=True)


def _initdb(directory: Path, binaries: Binaries) -> Path:
    scratch = Path(tempfile.mkdtemp(prefix="everyskill.making.", dir=directory))
    binaries.hand_over(scratch)
    binaries.run(scratch, "initdb", *INITDB, "-D", str(scratch))
    return scratch
