"""A copy of a git repository in a folder of caches: fetches a ref into it, lists commits and trees, reads contents."""

import fcntl
import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep

from msgspec import Struct

from everyskill.errors import SourceUnavailable
from everyskill.skill_sources.addresses import Target
from everyskill.skill_sources.bounds import Bounds
from everyskill.skill_sources.git_program import (
    MIN_VERSION,
    MIN_VERSION_FOR_ADDRESSES,
    check_version,
    end,
    git_command,
    git_environment,
    run_git,
)
from everyskill.skill_sources.source import Source

MAX_LISTING = 64 * 1024 * 1024
_TIP = "refs/everyskill/tip"
_LOCK_POLL_SECONDS = 0.1
_MAX_AUTHOR, _MAX_SUBJECT = 200, 500
LINK_MODE, EXECUTABLE_MODE, SUBMODULE_MODE = "120000", "100755", "160000"


class Commit(Struct, frozen=True):
    """A commit as its author describes it. What says nothing, or what no calendar knows, is None."""

    revision: str
    author_name: str | None
    authored_at: datetime | None
    subject: str | None


class TreeEntry(Struct, frozen=True):
    """A file, a link or a submodule of a commit: git's mode and id, and how many bytes it has."""

    mode: str
    object_id: str
    size: int


class GitRepository:
    """The copy of one repository. Its calls wait for processes: call them in a thread."""

    def __init__(self, source: Source, bounds: Bounds, cache: Path, *, with_history: bool) -> None:
        self._source = source
        self._bounds = bounds
        self._with_history = with_history
        self._stopped = threading.Event()
        name = sha256(source.location.encode(errors="surrogateescape")).hexdigest()[:32]
        # A copy of the newest commit alone cannot be made whole again by the one who wants only that.
        self.folder = cache / f"{name}{'-history' if with_history else ''}.git"

    def stop(self) -> None:
        """Ends what runs, for a caller that gave up."""
        self._stopped.set()

    def fetch(self, target: Target | None) -> str:
        """Fetches the ref, or what HEAD names, and returns its commit. `target` is where an address leads."""
        wanted = MIN_VERSION if target is None else MIN_VERSION_FOR_ADDRESSES
        check_version(wanted=wanted, purpose="a git repository" + (" by its address" if target else ""))
        with self._locked():
            self._make()
            before = _size(self.folder)
            try:
                self._run(
                    *self._fetch_words(target),
                    config=_pins(target),
                    environment=_fetch_environment(target),
                    is_too_large=lambda: _size(self.folder) - before > self._bounds.max_bytes,
                )
            except SourceUnavailable:
                self._clean()
                raise
            return self._run("rev-parse", "--verify", "--end-of-options", f"{_TIP}^{{commit}}").decode().strip()

    def list_commits(self, since: str | None, to: str) -> list[Commit] | None:
        """The commits of the first-parent line up to one, oldest first; None where `since` is not before it."""
        if since is not None and not self._is_before(since, to):
            return None
        span = to if since is None else f"{since}..{to}"
        words = ("--first-parent", "--reverse", "-z", "--encoding=UTF-8", "--format=%H%x00%an%x00%aI%x00%s", span, "--")
        fields = self._run("log", *words).decode(errors="replace").split("\0")
        return [_commit(*fields[start : start + 4]) for start in range(0, len(fields) - 3, 4)]

    def list_tree(self, revision: str) -> dict[str, TreeEntry]:
        """Every file of a commit by its path, links and submodules too."""
        listing = self._run("ls-tree", "-r", "-z", "--long", "--full-tree", revision)
        return dict(_tree_entry(line) for line in listing.split(b"\0") if line)

    def read(self, object_ids: Iterable[str]) -> Iterator[bytes]:
        """The contents of files as git has them: no filter, no attribute and no end of line changes a byte."""
        process = subprocess.Popen(  # noqa: S603 - no shell, and the ids are git's own
            git_command(self.folder, "cat-file", "--batch"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=git_environment(),
            start_new_session=True,
        )
        timer = threading.Timer(self._bounds.max_seconds, end, [process])
        timer.start()
        try:
            yield from (self._read_one(process, object_id) for object_id in object_ids)
        finally:
            timer.cancel()
            end(process)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _read_one(self, process: "subprocess.Popen[bytes]", object_id: str) -> bytes:
        if process.stdin is None or process.stdout is None:
            raise AssertionError("opened without pipes")
        try:
            process.stdin.write(f"{object_id}\n".encode())
            process.stdin.flush()
            head = process.stdout.readline().split()
            content = process.stdout.read(int(head[2]) + 1)[:-1] if len(head) == 3 else None  # noqa: PLR2004
        except (OSError, ValueError):
            content = None
        if content is None or len(content) != int(head[2]):
            raise SourceUnavailable(self._source.address, f"the object {object_id} cannot be read in time, or at all")
        return content

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Others who fetch the same source wait, or git would stumble over its own locks."""
        self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        deadline = monotonic() + self._bounds.max_seconds
        with self.folder.with_suffix(".lock").open("wb") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if monotonic() > deadline:
                        raise SourceUnavailable(self._source.address, "somebody else is fetching it") from None
                    sleep(_LOCK_POLL_SECONDS)
            yield

    def _clean(self) -> None:
        """Removes what a git that was ended leaves behind: it would fill the disk, or hold up the next one."""
        for path in (*self.folder.glob("objects/pack/tmp_*"), *self.folder.rglob("*.lock")):
            path.unlink(missing_ok=True)

    def _make(self) -> None:
        if not (self.folder / "HEAD").exists():
            self._run("init", "--bare", "--quiet", "--template=", str(self.folder))

    def _fetch_words(self, target: Target | None) -> list[str]:
        # A repository that is itself cut off has the history that it has.
        depth = "--update-shallow" if self._with_history else "--depth=1"
        where = self._source.location if target is None else target.address
        refspec = f"+{self._source.ref or 'HEAD'}:{_TIP}"
        return ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", depth, "--", where, refspec]

    def _is_before(self, since: str, to: str) -> bool:
        try:
            self._run("merge-base", "--is-ancestor", since, to)
        except SourceUnavailable:
            return False
        return True

    def _run(
        self,
        *words: str,
        config: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        is_too_large: Callable[[], bool] = lambda: False,
    ) -> bytes:
        return run_git(
            self._source.address,
            git_command(self.folder, *words, config=config),
            environment=environment or git_environment(),
            max_seconds=self._bounds.max_seconds,
            max_output=MAX_LISTING,
            is_too_large=lambda: self._stopped.is_set() or is_too_large(),
        )


def _pins(target: Target | None) -> tuple[str, ...]:
    """Configuration that makes git connect to the address that was checked, and follow no redirect from there."""
    if target is None or target.ip is None:
        return ()
    ip = f"[{target.ip}]" if ":" in target.ip else target.ip
    return ("http.followRedirects=false", f"http.curloptResolve={target.host}:{target.port}:{ip}")


def _fetch_environment(target: Target | None) -> dict[str, str]:
    if target is None:
        return git_environment(["file"])
    scheme = target.address.partition(":")[0]
    if scheme != "ssh":
        return git_environment([scheme])
    pinned = "" if target.ip is None else f" -oHostName={target.ip} -oHostKeyAlias={target.host}"
    program = os.environ.get("GIT_SSH_COMMAND", "ssh")
    return git_environment(["ssh"], {"GIT_SSH_COMMAND": f"{program} -oBatchMode=yes{pinned}"})


def _commit(revision: str, author: str, authored_at: str, subject: str) -> Commit:
    try:
        moment = datetime.fromisoformat(authored_at)
    except ValueError:
        moment = None
    return Commit(revision.strip(), _shortened(author, _MAX_AUTHOR), moment, _shortened(subject, _MAX_SUBJECT))


def _shortened(text: str, longest: int) -> str | None:
    plain = " ".join(text.split())
    return None if not plain else plain if len(plain) <= longest else plain[: longest - 1] + "…"


def _tree_entry(line: bytes) -> tuple[str, TreeEntry]:
    facts, _, path = line.partition(b"\t")
    mode, _, object_id, size = facts.decode().split()
    return os.fsdecode(path), TreeEntry(mode, object_id, 0 if size == "-" else int(size))


def _size(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(path) / name).stat().st_size
            except OSError:
                # Git renames what it has received.
                continue
    return total
