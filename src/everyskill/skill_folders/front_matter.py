"""Parses the YAML front matter of a SKILL.md, and knows the line of whatever is wrong with it."""

from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from everyskill.errors import InvalidText, SkillFolderError
from everyskill.extras import extra
from everyskill.model.inputs import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH, check_text
from everyskill.model.skill_md import split_skill_md
from everyskill.skill_folders.folder_errors import folder_error

with extra("cli"):
    import yaml
    from yaml.reader import Reader

MAX_FRONT_MATTER_LENGTH = 64 * 1024
MAX_DEPTH = 50

_TEXT = "tag:yaml.org,2002:str"
_NULL = "tag:yaml.org,2002:null"
# The C parser is twenty times as fast; PyYAML built from source may lack it.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_Fields = dict[str, tuple[yaml.Node, yaml.Node]]


class FrontMatter(Struct, frozen=True):
    """What the front matter says of the skill. `category` is None where it names none."""

    name: str
    description: str
    category: str | None


@dataclass(frozen=True)
class _Source:
    """The front matter with its opening fence, so that its lines are the file's lines."""

    file: Path
    text: str

    def error(self, reason: str, mark: object = None) -> SkillFolderError:
        # Not mark.line: YAML counts lines at U+2028 and the like too, which no editor does.
        return self.error_at(getattr(mark, "index", 0), reason)

    def error_at(self, index: int, reason: str) -> SkillFolderError:
        return folder_error(self.file, reason, line=self.text.count("\n", 0, index) + 1)


def read_front_matter(content: str, file: Path) -> FrontMatter:
    """Parses the front matter of `content`, the text of `file` without its byte order mark.

    Raises SkillFolderError, with the line, where there is none or it cannot be used.
    """
    source = _split_off(content, file)
    fields = _fields(source, _parse(source))
    return FrontMatter(
        name=_text(source, fields, "name", longest=MAX_NAME_LENGTH),
        description=_text(source, fields, "description", longest=MAX_DESCRIPTION_LENGTH),
        category=_category(source, fields),
    )


def _split_off(content: str, file: Path) -> _Source:
    front_matter, body = split_skill_md(content)
    # The splitter skips a byte order mark, but here the file's own is gone already.
    if front_matter is None or content.startswith("\ufeff"):
        raise folder_error(file, "has no front matter: the first line must be ---", line=1)
    if body is None:
        raise folder_error(file, "has front matter that is not closed: a line --- must end it", line=1)
    if len(front_matter) > MAX_FRONT_MATTER_LENGTH:
        raise folder_error(file, "has front matter of more than 64 KiB", line=1)
    return _Source(file, front_matter)


def _parse(source: _Source) -> yaml.MappingNode:
    """Stops at YAML's nodes and builds no values: aliases stay references, tags stay names, and lines are known."""
    unprintable = Reader.NON_PRINTABLE.search(source.text)
    if unprintable:
        raise source.error_at(unprintable.start(), f"bad YAML: the character {unprintable[0]!a} is not allowed")
    try:
        _check_depth(source)
        node = yaml.compose(source.text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise _yaml_error(source, error) from error
    if not isinstance(node, yaml.MappingNode):
        raise source.error("front matter must be a list of keys with values, such as name: and description:")
    return node


def _check_depth(source: _Source) -> None:
    # Composing recurses in C, where depth ends the process instead of raising; reading events does not recurse.
    depth = 0
    for event in yaml.parse(source.text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise source.error(f"front matter must not be nested deeper than {MAX_DEPTH}", event.start_mark)


def _yaml_error(source: _Source, error: yaml.YAMLError) -> SkillFolderError:
    problem: str = getattr(error, "problem", None) or "unreadable"
    if problem.startswith("mapping values are not allowed"):
        problem += "; a value that holds a colon needs quotes"
    if getattr(error, "context", None) == "while scanning a quoted scalar":
        return source.error("bad YAML: a quote is opened here and never closed", getattr(error, "context_mark", None))
    return source.error(f"bad YAML: {problem}", getattr(error, "problem_mark", None))


def _fields(source: _Source, mapping: yaml.MappingNode) -> _Fields:
    fields: _Fields = {}
    for key, value in mapping.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in fields:
                raise source.error(f"{key.value} is given twice", key.start_mark)
            fields[key.value] = key, value
    return fields


def _category(source: _Source, fields: _Fields) -> str | None:
    _, metadata = fields.get("metadata", (None, None))
    if not isinstance(metadata, yaml.MappingNode):
        return None
    inner = _fields(source, metadata)
    if "category" not in inner or _is_blank(inner["category"][1]):
        return None
    return _text(source, inner, "category", longest=MAX_NAME_LENGTH)


def _is_blank(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and (node.tag == _NULL or not node.value.strip())


def _text(source: _Source, fields: _Fields, field: str, *, longest: int) -> str:
    if field not in fields:
        raise source.error(f"{field} is missing from the front matter")
    key, value = fields[field]
    if not isinstance(value, yaml.ScalarNode) or value.tag not in {_TEXT, _NULL}:
        raise source.error(f"{field} must be text; put it in quotes", key.start_mark)
    text = "" if value.tag == _NULL else value.value.strip()
    try:
        return check_text(field, text, longest=longest)
    except InvalidText as error:
        raise source.error(f"{error.field} {error.reason}", key.start_mark) from error
