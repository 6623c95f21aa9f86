"""The data folder's contents: whether the folder can be used, and creating the database cluster in it with initdb."""

import shutil
import sys
import tempfile
from pathlib import Path

from everyskill.embedded.binaries import Binaries
from everyskill.errors import EmbeddedServerFailed

START_LOCK_FILE = "everyskill.start.lock"
VERSION_FILE = "PG_VERSION"
COMPLETE_FOLDER = "everyskill.made"
# What bounds a recovery, in postgresql.conf, where an operator may change it: how much WAL there is to replay, and how
# the files are synced before, which one by one takes seconds on a busy disk.
RECOVERY_OPTIONS = (
    "--set=max_wal_size=128MB",
    *(["--set=recovery_init_sync_method=syncfs"] if sys.platform == "linux" else []),
)
INITDB_OPTIONS = ("--auth=trust", "--encoding=utf8", "--username=postgres", *RECOVERY_OPTIONS)


def check_data_folder(data_folder: Path, binaries: Binaries) -> None:
    """Creates the folder if it is missing. Raises EmbeddedServerFailed if it holds anything but a cluster of ours."""
    if data_folder.is_file():
        raise EmbeddedServerFailed(str(data_folder), "it is a file, not a directory")
    data_folder.mkdir(parents=True, exist_ok=True)
    names = {path.name for path in data_folder.iterdir()}
    if VERSION_FILE in names:
        _check_version_and_owner(data_folder / VERSION_FILE, binaries)
    elif names and not _is_being_made(names):
        reason = f"it holds other files and no {VERSION_FILE}; name a new or an empty directory"
        raise EmbeddedServerFailed(str(data_folder), f"{reason}, and where it was a database, restore a backup")


def _is_being_made(names: set[str]) -> bool:
    # Files of PostgreSQL are there without their version while they are moved up, and where the version was lost.
    are_ours = all(name.startswith("everyskill.") for name in names)
    return START_LOCK_FILE in names and (are_ours or COMPLETE_FOLDER in names)


def _check_version_and_owner(version_file: Path, binaries: Binaries) -> None:
    found, wanted = version_file.read_text().strip(), str(binaries.version)
    if found != wanted:
        reason = f"it holds PostgreSQL {found}, and PostgreSQL {wanted} was asked for: everyskill db upgrade-server"
        raise EmbeddedServerFailed(str(version_file.parent), reason)
    owner = version_file.stat().st_uid
    if binaries.user and owner != binaries.user.pw_uid:
        reason = f"it belongs to the user with id {owner}; run as that user, not as root"
        raise EmbeddedServerFailed(str(version_file.parent), reason)


def create_cluster(data_folder: Path, binaries: Binaries, *options: str) -> None:
    """Creates the cluster in a subfolder and moves it up, PG_VERSION last, so that a kill leaves no half of one.

    `options` are more of initdb's.
    """
    complete = data_folder / COMPLETE_FOLDER
    if not complete.exists():
        _initdb(data_folder, binaries, *options).rename(complete)
    data_folder.chmod(0o700)
    for entry in sorted(complete.iterdir(), key=lambda entry: entry.name == VERSION_FILE):
        entry.rename(data_folder / entry.name)
    complete.rmdir()
    for incomplete in data_folder.glob("everyskill.making.*"):
        shutil.rmtree(incomplete, ignore_errors=True)


def _initdb(data_folder: Path, binaries: Binaries, *options: str) -> Path:
    incomplete = Path(tempfile.mkdtemp(prefix="everyskill.making.", dir=data_folder))
    binaries.grant_access(incomplete)
    binaries.run(incomplete, "initdb", *INITDB_OPTIONS, *options, "-D", str(incomplete))
    return incomplete
