"""The rules of the Agent Skills specification for front matter, as its public reference validator has them."""

from collections.abc import Iterator
from unicodedata import normalize

from everyskill.skill_folders.yaml_values import Field, YamlMapping

MAX_NAME_LENGTH = 64
MAX_DESCRIPTION_LENGTH = 1_024
MAX_COMPATIBILITY_LENGTH = 500
KEYS = ("name", "description", "license", "allowed-tools", "metadata", "compatibility")


def find_violations(found: YamlMapping, folder_name: str) -> Iterator[tuple[int, str]]:
    """What hosts that hold to the specification refuse: the place in the front matter, and the rule.

    A value that is missing or is no text is told by who needs it.
    """
    fields = found.fields
    unknown = sorted(fields.keys() - KEYS)
    if unknown:
        place = min(fields[key].place for key in unknown)
        yield place, f"the specification knows no {', '.join(unknown)}: only {', '.join(KEYS)}"
    if found.fancy:
        yield found.fancy[0], "the reference validator reads no brackets, braces, anchors or tags"
    name = _written(fields.get("name"))
    if name:
        yield from ((fields["name"].place, reason) for reason in _name_violations(name, folder_name))
    description = fields.get("description")
    if description is not None and len(description.written or "") > MAX_DESCRIPTION_LENGTH:
        yield (
            description.place,
            f"description is longer than the {MAX_DESCRIPTION_LENGTH:,} characters of the specification",
        )
    compatibility = fields.get("compatibility")
    if compatibility is not None and compatibility.written is None:
        yield compatibility.place, "compatibility must be text"
    elif compatibility is not None and len(compatibility.written or "") > MAX_COMPATIBILITY_LENGTH:
        limit = MAX_COMPATIBILITY_LENGTH
        yield compatibility.place, f"compatibility is longer than the {limit} characters of the specification"


def _written(field: Field | None) -> str:
    return "" if field is None else normalize("NFKC", (field.written or "").strip())


def _name_violations(name: str, folder_name: str) -> Iterator[str]:
    if len(name) > MAX_NAME_LENGTH:
        yield f"name is longer than the {MAX_NAME_LENGTH} characters of the specification"
    if name != name.lower():
        yield "name must be in lower case"
    if name.startswith("-") or name.endswith("-"):
        yield "name must not begin or end with a hyphen"
    if "--" in name:
        yield "name must not hold two hyphens in a row"
    if not all(character.isalnum() or character == "-" for character in name):
        yield "name must be of letters, digits and hyphens"
    if normalize("NFKC", folder_name) != name:
        yield f"name must be that of its folder, {folder_name}"
