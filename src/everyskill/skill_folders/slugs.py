"""Gives each skill folder of a tree its slug: by the folder's name, else with the plugin or scope before it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from unicodedata import normalize

from everyskill.model.skills import MAX_SLUG_LENGTH

# Folders that only say that skills are in them.
CONTAINERS = frozenset({"skills", "plugins"})

NOTHING: Mapping[str, str] = {}

_COMBINING_MARKS = re.compile(r"[\u0300-\u036f]")
_NOT_IN_SLUGS = re.compile(r"[^a-z0-9]+")
_HASH_LENGTH = 8


def slug_of_name(name: str) -> str:
    """The slug that a name stands for, in any script: without a letter from a to z or a digit, one made of its hash."""
    # Decomposed, an accented letter is its base letter and a mark: "Übersicht" becomes "ubersicht".
    plain = _COMBINING_MARKS.sub("", normalize("NFKD", name))
    slug = _NOT_IN_SLUGS.sub("-", plain.lower()).strip("-")
    if 0 < len(slug) <= MAX_SLUG_LENGTH:
        return slug
    return _with_hash(slug or "skill", normalize("NFC", name))


def slug_of_folder(folder: Path) -> str:
    """The slug that a folder's own name stands for."""
    return slug_of_name(name_of_folder(folder))


def name_of_folder(folder: Path) -> str:
    """The folder's name, also where its path is `.` or ends in `..`."""
    return folder.name if folder.name not in {"", ".."} else folder.resolve().name


def path_within(folder: Path, root: Path) -> str:
    """The path of a folder within a tree, with forward slashes, as it was found there."""
    return folder.relative_to(root).as_posix()


def assign_slugs(folders: Sequence[Path], *, root: Path, known: Mapping[str, str] = NOTHING) -> dict[Path, str]:
    """A slug for each folder below `root`, no two the same, whatever the order they come in.

    `known` has the slugs of an earlier time by the path within root; those stay. Of the others, a slug belongs to the
    first folder by path. The next has the plugin or scope before it, and one that is taken even so a hash behind it.
    """
    slugs: dict[Path, str] = {}
    taken: set[str] = set()
    later = []
    held = {folder: known[path] for folder in folders if (path := path_within(folder, root)) in known} if known else {}
    for folder in sorted(folders, key=lambda folder: (folder not in held, folder)):
        slug = held.get(folder) or slug_of_folder(folder)
        if slug in taken:
            later.append(folder)
        else:
            slugs[folder] = slug
            taken.add(slug)
    for folder in later:
        slugs[folder] = next(slug for slug in _longer_slugs(folder, root) if slug not in taken)
        taken.add(slugs[folder])
    return slugs


def _longer_slugs(folder: Path, root: Path) -> Iterator[str]:
    slug = slug_of_folder(folder)
    path = path_within(folder, root)
    for name in reversed(path.split("/")[:-1]):
        if name.lower() not in CONTAINERS:
            slug = slug_of_name(f"{name}-{slug}")
            yield slug
    number = 0
    while True:
        yield _with_hash(slug, f"{path}{number or ''}")
        number += 1


def _with_hash(slug: str, name: str) -> str:
    digest = sha256(name.encode(errors="surrogateescape")).hexdigest()[:_HASH_LENGTH]
    return f"{slug[: MAX_SLUG_LENGTH - _HASH_LENGTH - 1].rstrip('-')}-{digest}"
