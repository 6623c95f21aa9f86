"""Who made a version, why, and where it comes from."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field

from everyskill.errors import InvalidText
from everyskill.model.inputs import (
    MAX_DESCRIPTION_LENGTH,
    MAX_NAME_LENGTH,
    check_id,
    check_moment,
    check_text,
    check_type,
)

MAX_NOTE_LENGTH = 500
MAX_SOURCE_LENGTH = 1_000


class Provenance(Struct, frozen=True, kw_only=True):
    """What a publication says of its versions beside their text. `author_name` is of an author who is no user.

    `note` says why, in one paragraph. `authored_at` is when the author says that it was made. `quiet` badges nobody
    (S17). `source` is an address, and `source_paths` has the folders there by slug.
    """

    author_id: str | None = None
    author_name: str | None = None
    note: str | None = None
    authored_at: datetime | None = None
    quiet: bool = False
    source: str | None = None
    source_paths: Mapping[str, str] = field(default_factory=dict)

    def checked(self) -> "Provenance":
        """Returns it with plain values. Raises InvalidIdentifier, InvalidText, InvalidTimestamp or InvalidArgument."""
        paths = check_type("source_paths", self.source_paths, Mapping)  # type: ignore[type-abstract]
        return Provenance(
            author_id=None if self.author_id is None else check_id("author_id", self.author_id),
            author_name=_text("author_name", self.author_name, longest=MAX_NAME_LENGTH),
            note=_check_note(self.note),
            authored_at=None if self.authored_at is None else check_moment("authored_at", self.authored_at),
            quiet=check_type("quiet", self.quiet, bool),
            source=_text("source", self.source, longest=MAX_SOURCE_LENGTH),
            source_paths={
                slug: check_text("source path", path, longest=MAX_DESCRIPTION_LENGTH) for slug, path in paths.items()
            },
        )


def _check_note(note: str | None) -> str | None:
    plain = _text("note", note, longest=MAX_NOTE_LENGTH)
    if plain is not None and len(plain.splitlines()) > 1:
        raise InvalidText("note", "must be one paragraph, without line breaks")
    return plain


def _text(field_name: str, value: str | None, *, longest: int) -> str | None:
    return None if value is None else check_text(field_name, value, longest=longest)
