"""What the environment says, as one typed object."""

import os
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from msgspec import Meta, Struct, ValidationError, convert

from everyskill.errors import InvalidSetting

MAX_POOL_SIZE = 1_000
MAX_QUEUE_SIZE = 1_000_000
DEFAULT_LOCK_SECONDS = 30.0
# The driver waits 60 s for an answer.
MAX_LOCK_SECONDS = 50.0
DEFAULT_DIFF_LINES = 2_000
# Searching them takes quadratic time.
MAX_DIFF_LINES = 20_000
DEFAULT_FILE_BYTES = 10 * 1024 * 1024
DEFAULT_SKILL_FILES = 512
DEFAULT_SKILL_BYTES = 50 * 1024 * 1024
# A file goes to PostgreSQL in one message, and a skill is in memory while it is published.
MAX_FILE_BYTES = 100 * 1024 * 1024
MAX_SKILL_FILES = 10_000
MAX_SKILL_BYTES = 1024 * 1024 * 1024
DEFAULT_SOURCE_BYTES = 100 * 1024 * 1024
DEFAULT_SOURCE_SECONDS = 60.0

PoolSize = Annotated[int, Meta(ge=1, le=MAX_POOL_SIZE)]
QueueSize = Annotated[int, Meta(ge=1, le=MAX_QUEUE_SIZE)]
LockSeconds = Annotated[float, Meta(ge=0.1, le=MAX_LOCK_SECONDS)]
DiffLines = Annotated[int, Meta(ge=1, le=MAX_DIFF_LINES)]
FileBytes = Annotated[int, Meta(ge=1, le=MAX_FILE_BYTES)]
SkillFiles = Annotated[int, Meta(ge=1, le=MAX_SKILL_FILES)]
SkillBytes = Annotated[int, Meta(ge=1, le=MAX_SKILL_BYTES)]
SourceBytes = Annotated[int, Meta(ge=1)]
SourceSeconds = Annotated[float, Meta(gt=0)]

Kind = TypeVar("Kind", bound=Struct)


class Settings(Struct, frozen=True, kw_only=True):
    """Each field is the environment variable EVERYSKILL_<FIELD>.

    `database_url`: where the application connects, as an unprivileged login; unset, the embedded server is used.
    `owner_url`: where migrations and the operator's commands connect; unset, `database_url`.
    `pool_size`: how many connections one process may hold, 1 to 1,000.
    `queue_size`: how many calls of one kind may wait for the database in one process, 1 to 1,000,000.
    `lock_timeout`: how many seconds a call waits for locks of somebody else, 0.1 to 50.
    `diff_lines`: up to how many lines a difference is shown, 1 to 20,000.
    `file_bytes`: up to how many bytes a file of a skill is kept, 1 to 100 MiB.
    `skill_files`, `skill_bytes`: how many files of a skill are kept, 1 to 10,000, and how many bytes, 1 to 1 GiB.
    `source_bytes`: how much of a source of skills is read.
    `source_seconds`: for how long a source of skills is downloaded.
    `source_cache`: where copies of git repositories are kept; unset, below the user's folder of caches.
    `pooler`: "prepared" where a pooler in between keeps the statements that each client prepared.
    """

    database_url: str | None = None
    owner_url: str | None = None
    pool_size: PoolSize = 10
    queue_size: QueueSize = 10_000
    lock_timeout: LockSeconds = DEFAULT_LOCK_SECONDS
    diff_lines: DiffLines = DEFAULT_DIFF_LINES
    file_bytes: FileBytes = DEFAULT_FILE_BYTES
    skill_files: SkillFiles = DEFAULT_SKILL_FILES
    skill_bytes: SkillBytes = DEFAULT_SKILL_BYTES
    source_bytes: SourceBytes = DEFAULT_SOURCE_BYTES
    source_seconds: SourceSeconds = DEFAULT_SOURCE_SECONDS
    source_cache: str | None = None
    pooler: Literal["prepared"] | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Reads the settings. Raises InvalidSetting."""
        return read_environment(cls, environment)


def read_environment(kind: type[Kind], environment: Mapping[str, str], **chosen: object) -> Kind:
    """Reads the fields of `kind` from variables of their names; what is `chosen` and not None goes first.

    Raises InvalidSetting.
    """
    names = {field: f"EVERYSKILL_{field.upper()}" for field in kind.__struct_fields__}
    given: dict[str, object] = {field: environment[name] for field, name in names.items() if environment.get(name)}
    given |= {field: value for field, value in chosen.items() if value is not None}
    try:
        return convert(given, kind, strict=False)
    except ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        raise InvalidSetting(names.get(path.rstrip("`"), "EVERYSKILL_…"), reason) from error
