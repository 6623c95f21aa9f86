"""Runs the program git: without prompts, hooks and helpers of a repository, and for a bounded time."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic

from everyskill.errors import GitTooOld, SourceUnavailable

MIN_VERSION = (2, 30)
# The first that connects to an address that was resolved before (http.curloptResolve).
MIN_VERSION_FOR_ADDRESSES = (2, 37)
_POLL_SECONDS = 0.05
_MAX_MESSAGE = 300
# A user's configuration may add one to an address (insteadOf).
_SECRET = re.compile(r"://[^/@\s]*@")
_VERSION = re.compile(r"(\d+)\.(\d+)")

# What a caller's own repository would say here, in a hook of it say; git's list is `git rev-parse --local-env-vars`.
_OF_ANOTHER_REPOSITORY = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
    "SSH_ASKPASS",
)
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "LC_ALL": "C",
}
_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "log.showSignature=false",
    "protocol.ext.allow=never",
)


def check_version(*, wanted: tuple[int, int], purpose: str) -> None:
    """Raises GitTooOld where there is no git, or one older than is wanted."""
    found = None
    if shutil.which("git"):
        answer = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S607
        found = match[0] if (match := _VERSION.search(answer)) else "unknown"
    if found is None or not (match := _VERSION.match(found)) or (int(match[1]), int(match[2])) < wanted:
        raise GitTooOld(".".join(map(str, wanted)), found, purpose)


def git_command(repository: Path, *arguments: str, config: Sequence[str] = ()) -> list[str]:
    """The command line of a git that works on a bare repository of ours."""
    options = [word for setting in (*_CONFIG, *config) for word in ("-c", setting)]
    return ["git", f"--git-dir={repository}", *options, *arguments]


def git_environment(protocols: Sequence[str] = (), more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every git: no protocol but those named, whatever the user's configuration allows."""
    kept = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    return kept | _ENVIRONMENT | {"GIT_ALLOW_PROTOCOL": ":".join(protocols)} | dict(more or {})


def run_git(
    address: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    max_seconds: float,
    max_output: int,
    is_too_large: Callable[[], bool] = lambda: False,
) -> bytes:
    """What git prints. Raises SourceUnavailable with git's own words, and where it takes too long or prints too much.

    `is_too_large` is asked again and again while it runs.
    """
    deadline = monotonic() + max_seconds
    with TemporaryFile() as out, TemporaryFile() as err:
        process = subprocess.Popen(  # noqa: S603 - no shell, and addresses and refs are checked
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=dict(environment), start_new_session=True
        )
        try:
            while _is_running(process):
                if monotonic() > deadline:
                    raise SourceUnavailable(address, f"git took more than {max_seconds:g} seconds")
                if is_too_large() or os.fstat(out.fileno()).st_size > max_output:
                    raise SourceUnavailable(address, "it is larger than is allowed")
        finally:
            end(process)
        if process.returncode:
            err.seek(0)
            raise SourceUnavailable(address, _message(err.read(64 * 1024).decode(errors="replace")))
        if os.fstat(out.fileno()).st_size > max_output:
            raise SourceUnavailable(address, "it is larger than is allowed")
        out.seek(0)
        return out.read()


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ends a git and the programs that it started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_running(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _message(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    serious = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:"))]
    words = " ".join(serious or lines[-1:]) or "git failed without a word"
    return f"git says: {_SECRET.sub('://', words.removeprefix('fatal: '))[:_MAX_MESSAGE].rstrip('.')}"
