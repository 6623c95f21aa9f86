"""Takes name, description and category from the front matter of a SKILL.md, as leniently as hosts do, and tells it."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from everyskill.errors import InvalidText, SkillFolderError
from everyskill.extras import extra
from everyskill.model.inputs import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH, check_text
from everyskill.model.skill_md import split_skill_md
from everyskill.model.skills import SKILL_FILE_NAME
from everyskill.skill_folders import specification
from everyskill.skill_folders.folder_errors import AnyPath, OnWarning, folder_error, folder_warning, ignore_warning
from everyskill.skill_folders.repairs import quote_values
from everyskill.skill_folders.yaml_values import Field, YamlMapping, YamlProblem, parse_mapping

with extra("cli"):
    from yaml.reader import Reader

MAX_FRONT_MATTER_LENGTH = 64 * 1024

_BLOCK_OF_CODE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


class FrontMatter(Struct, frozen=True):
    """What the front matter says of the skill. `name` and `category` are None where it names none that can be used.

    `values` is all that stands there, in the author's order; None where aliases make it too large.
    """

    name: str | None
    description: str
    category: str | None
    values: dict[str, Any] | None


@dataclass(frozen=True)
class _Source:
    """The front matter with its opening fence, so that its lines are the file's lines."""

    file: AnyPath
    text: str
    on_warning: OnWarning

    def error(self, place: int, reason: str) -> SkillFolderError:
        return folder_error(self.file, reason, line=self._line(place))

    def warn(self, place: int, reason: str) -> None:
        self.on_warning(folder_warning(self.file, reason, line=self._line(place)))

    def _line(self, place: int) -> int:
        return self.text.count("\n", 0, place) + 1


def read_front_matter(content: str, file: AnyPath, *, folder_name: str, on_warning: OnWarning) -> FrontMatter:
    """Parses the front matter of `content`, the text of `file` without its byte order mark.

    Raises SkillFolderError, with the line, where there is none or it cannot be used.
    """
    source, body = _split_off(content, file, on_warning)
    found = _parse(source)
    for place, reason in specification.find_violations(found, folder_name):
        source.warn(place, reason)
    if found.values is None:
        source.warn(0, "front matter is too large to be kept once its aliases are followed")
    return FrontMatter(
        name=_name(source, found.fields.get("name")),
        description=_description(source, found.fields.get("description"), body),
        category=_category(source, found),
        values=found.values,
    )


def find_front_matter(content: str) -> dict[str, Any] | None:
    """All that stands in the front matter of a SKILL.md, in the author's order; None where none of it can be read."""
    with suppress(SkillFolderError):
        source, _ = _split_off(content, SKILL_FILE_NAME, ignore_warning)
        return _parse(source).values
    return None


def _split_off(content: str, file: AnyPath, on_warning: OnWarning) -> tuple[_Source, str]:
    front_matter, body = split_skill_md(content)
    # The splitter skips a byte order mark, but here the file's own is gone already.
    if front_matter is None or content.startswith("\ufeff"):
        raise folder_error(file, "has no front matter: the first line must be ---", line=1)
    if body is None:
        raise folder_error(file, "has front matter that is not closed: a line --- must end it", line=1)
    if len(front_matter) > MAX_FRONT_MATTER_LENGTH:
        raise folder_error(file, "has front matter of more than 64 KiB", line=1)
    if not content.startswith("---"):
        on_warning(folder_warning(file, "the front matter must begin in the first line for other hosts", line=1))
    return _Source(file, front_matter, on_warning), body


def _parse(source: _Source) -> YamlMapping:
    unprintable = Reader.NON_PRINTABLE.search(source.text)
    if unprintable:
        raise source.error(unprintable.start(), f"bad YAML: the character {unprintable[0]!a} is not allowed")
    try:
        return parse_mapping(source.text)
    except YamlProblem as problem:
        return _parse_repaired(source, problem)


def _parse_repaired(source: _Source, problem: YamlProblem) -> YamlMapping:
    repaired, places = quote_values(source.text)
    try:
        if not places:
            raise problem
        found = parse_mapping(repaired)
    except YamlProblem:
        reason = problem.reason if problem.reason.startswith("front matter") else f"bad YAML: {problem.reason}"
        raise source.error(problem.place, reason) from problem
    for place in places:
        source.warn(place, "is no YAML until the value is in quotes, and other hosts refuse it")
    return found


def _name(source: _Source, field: Field | None) -> str | None:
    if field is None or not field.is_text or not (field.written or "").strip():
        what = "is missing" if field is None else "must be text, in quotes"
        source.warn(field.place if field else 0, f"name {what}: that of the folder is taken, and other hosts refuse it")
        return None
    return _text(source, field, "name", longest=MAX_NAME_LENGTH)


def _description(source: _Source, field: Field | None, body: str) -> str:
    if field is not None and field.written is None:
        raise source.error(field.place, "description must be text; put it in quotes")
    if field is not None and (field.written or "").strip():
        if not field.is_text:
            source.warn(field.place, "description must be text, in quotes, for other hosts")
        return _text(source, field, "description", longest=MAX_DESCRIPTION_LENGTH)
    place = field.place if field else 0
    paragraph = next(_paragraphs(body), None)
    if paragraph is None:
        raise source.error(place, "description is missing, and there is no paragraph to take it from")
    source.warn(place, "description is missing: the first paragraph is taken, and other hosts refuse it")
    return paragraph[: specification.MAX_DESCRIPTION_LENGTH]


def _paragraphs(body: str) -> Iterator[str]:
    """The paragraphs of prose of a Markdown text, each in one line."""
    for block in _BLOCK_OF_CODE.sub("", body).replace("\r\n", "\n").split("\n\n"):
        lines = [line for line in block.split("\n") if not line.startswith(("#", "<!--"))]
        paragraph = " ".join(" ".join(lines).split())
        if paragraph:
            yield paragraph


def _category(source: _Source, found: YamlMapping) -> str | None:
    field = found.metadata.get("category")
    if field is None or field.value is None or (field.written is not None and not field.written.strip()):
        return None
    if not field.is_text:
        source.warn(field.place, "category must be text, in quotes: the folder's is taken")
        return None
    return _text(source, field, "category", longest=MAX_NAME_LENGTH)


def _text(source: _Source, field: Field, name: str, *, longest: int) -> str:
    text = (field.written or "").strip()
    if len(text) > longest:
        source.warn(field.place, f"{name} is longer than {longest:,} characters: what is beyond is left out")
        text = text[:longest].rstrip()
    try:
        return check_text(name, text, longest=longest)
    except InvalidText as error:
        raise source.error(field.place, f"{error.field} {error.reason}") from error
