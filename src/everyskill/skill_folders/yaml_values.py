"""Reads YAML into JSON values in the author's order, in one pass over its events, and knows where each key stands."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from everyskill.extras import extra

with extra("cli"):
    import yaml

MAX_DEPTH = 50
# What aliases may multiply front matter to. More is not kept.
MAX_EXPANDED_LENGTH = 256 * 1024

# The C parser is twenty times as fast; PyYAML built from source may lack it.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVERS: dict[str, list[tuple[str, re.Pattern[str]]]] = yaml.SafeLoader.yaml_implicit_resolvers
_CONSTANTS: dict[str, bool | None] = dict.fromkeys(("", "~", "null", "Null", "NULL")) | {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}
# Numbers that JSON writes just so. Others, such as 1.10 and 007, would not be what the author wrote.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.(?:0|[0-9]{0,5}[1-9]))?")


class Field(NamedTuple):
    """A value of the front matter, and where its key stands. `written` is the text of a scalar, None for the others.

    `is_text` tells whether every parser takes it as text; `size` and `depth` are of the value with aliases followed.
    """

    place: int
    value: Any
    written: str | None = None
    is_text: bool = False
    size: int = 1
    depth: int = 0


@dataclass
class YamlMapping:
    """What a document says, if it is a mapping. `values` is None where aliases made it too large to keep."""

    fields: dict[str, Field] = field(default_factory=dict)
    metadata: dict[str, Field] = field(default_factory=dict)
    values: dict[str, Any] | None = None
    # Where lists and mappings in brackets, anchors and tags begin, which strict parsers refuse.
    fancy: list[int] = field(default_factory=list)


class YamlProblem(Exception):
    """What is wrong, and where."""

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(reason)
        self.place = place
        self.reason = reason


@dataclass
class _Open:
    """A list or mapping that is not closed yet."""

    value: Any
    place: int
    anchor: str | None
    size: int = 1
    depth: int = 1
    key: Field | None = None
    # The fields that are to be known by their place, of the two mappings whose fields are.
    known: dict[str, Field] | None = None


def parse_mapping(text: str) -> YamlMapping:
    """Reads one document. Raises YamlProblem where it is no mapping, or no YAML."""
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=_Loader):
            reader.read(event)
    except yaml.YAMLError as error:
        _refuse(error)
    return reader.document()


def _refuse(error: yaml.YAMLError) -> NoReturn:
    problem: str = getattr(error, "problem", None) or "unreadable"
    if problem.startswith("mapping values are not allowed"):
        problem += "; a value that holds a colon needs quotes"
    if getattr(error, "context", None) == "while scanning a quoted scalar":
        raise YamlProblem(_place(error, "context_mark"), "a quote is opened here and never closed") from error
    raise YamlProblem(_place(error, "problem_mark"), problem) from error


def _place(found: yaml.Event | yaml.YAMLError, mark: str = "start_mark") -> int:
    # Not mark.line: YAML counts lines at U+2028 and the like too, which no editor does.
    return getattr(getattr(found, mark, None), "index", 0)


class _Reader:
    def __init__(self) -> None:
        self._result = YamlMapping()
        self._open: list[_Open] = []
        self._anchors: dict[str, Field] = {}
        self._root: Field | None = None
        self._handlers: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.AliasEvent: self._alias,
            yaml.MappingStartEvent: self._start,
            yaml.SequenceStartEvent: self._start,
            yaml.MappingEndEvent: self._end,
            yaml.SequenceEndEvent: self._end,
        }

    def read(self, event: yaml.Event) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            if self._root is not None:
                raise YamlProblem(_place(event), "there is more than one document")
            handler(event)

    def document(self) -> YamlMapping:
        if self._root is None or not isinstance(self._root.value, dict):
            raise YamlProblem(0, "front matter must be a list of keys with values, such as name: and description:")
        if self._root.size <= MAX_EXPANDED_LENGTH and self._root.depth <= MAX_DEPTH:
            self._result.values = self._root.value
        return self._result

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        place, written = _place(event), event.value
        if event.anchor or event.tag:
            self._result.fancy.append(place)
        is_plain = event.implicit[0]
        is_text = not is_plain or _is_text(written)
        value = _json_value(written) if is_plain else written.replace("\0", "\N{REPLACEMENT CHARACTER}")
        self._add(Field(place, value, written, is_text, size=len(written) + 1), event.anchor)

    def _alias(self, event: yaml.AliasEvent) -> None:
        place = _place(event)
        self._result.fancy.append(place)
        if event.anchor not in self._anchors:
            if any(opened.anchor == event.anchor for opened in self._open):
                # It holds itself, which no JSON can.
                return self._add(Field(place, None))
            raise YamlProblem(place, f"found undefined alias {event.anchor!r}")
        return self._add(self._anchors[event.anchor]._replace(place=place))

    def _start(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        place, depth = _place(event), len(self._open)
        if depth >= MAX_DEPTH:
            raise YamlProblem(place, f"front matter must not be nested deeper than {MAX_DEPTH}")
        if event.flow_style or event.anchor or event.tag:
            self._result.fancy.append(place)
        opened = _Open([] if isinstance(event, yaml.SequenceStartEvent) else {}, place, event.anchor)
        if depth == 0:
            opened.known = self._result.fields
        elif depth == 1 and self._open[0].key is not None and self._open[0].key.written == "metadata":
            opened.known = self._result.metadata
        self._open.append(opened)

    def _end(self, _: yaml.Event) -> None:
        closed = self._open.pop()
        self._add(Field(closed.place, closed.value, size=closed.size, depth=closed.depth), closed.anchor)

    def _add(self, found: Field, anchor: str | None = None) -> None:
        """Puts a value where it belongs: into the document, a list, or a mapping, there as key or as value."""
        if anchor:
            self._anchors[anchor] = found
        if not self._open:
            self._root = found
            return
        parent = self._open[-1]
        # With aliases of aliases the number itself would grow without end.
        parent.size = min(parent.size + found.size, MAX_EXPANDED_LENGTH + 1)
        parent.depth = max(parent.depth, found.depth + 1)
        if isinstance(parent.value, list):
            parent.value.append(found.value)
        elif parent.key is None:
            parent.key = found
        else:
            key, parent.key = parent.key, None
            if key.written is not None:
                self._set(parent, key.written, found, key.place)

    def _set(self, parent: _Open, name: str, found: Field, place: int) -> None:
        if parent.known is not None:
            if name in parent.known:
                raise YamlProblem(place, f"{name} is given twice")
            parent.known[name] = found._replace(place=place)
        parent.value[name.replace("\0", "\N{REPLACEMENT CHARACTER}")] = found.value


def _is_text(plain: str) -> bool:
    resolvers = _RESOLVERS.get(plain[:1], [])
    return all(not pattern.match(plain) for _, pattern in resolvers)


def _json_value(plain: str) -> Any:
    if plain in _CONSTANTS:
        return _CONSTANTS[plain]
    if _NUMBER.fullmatch(plain) and plain != "-0":
        return float(plain) if "." in plain else int(plain)
    return plain
