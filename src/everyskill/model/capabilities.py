"""What a skill may do, found in its front matter and files by the rules of docs/capabilities.md, as texts that compare.

A capability is `<severity>:<kind>:<value>`, with `#<hash>` behind where one value may stand for other content. The
severity is a digit, so that SQL finds the highest as the greatest first character: `NEW_SEVERITY` in database/rules.py.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Literal

from msgspec import Struct

from everyskill.model.hosts import find_hosts
from everyskill.model.severity import Severity
from everyskill.model.skill_md import split_skill_md
from everyskill.model.skills import SkillFile, SkillFolder

# Of each kind so many are told apart; the rest is one more.
MAX_OF_A_KIND = 200
# So many bytes of a skill's texts are searched for hosts; what is beyond is one capability.
MAX_TEXT = 1024 * 1024
# So many characters are shown of a name or a command that its hash tells apart.
_SHOWN = 80

_SCRIPT_FOLDERS = {"scripts", "bin"}
_SCRIPT_NAME = re.compile(
    r"\.(?:applescript|bash|bat|bin|bun|cjs|cmd|com|dll|dylib|exe|fish|go|ipynb|jar|js|jsx|ksh|lua|mjs|mts|php|pl|ps1"
    r"|psm1|py|pyw|pyz|r|rb|rs|scpt|sh|so|swift|tcl|ts|tsx|vbs|wasm|zsh)\Z"
)
_TEXT_FOLDERS = {"reference", "references"}
_TEXT_NAME = re.compile(r"\.(?:adoc|markdown|md|mdx|rst|txt)\Z")
_READ_ONLY_TOOLS = {"glob", "grep", "ls", "notebookread", "read", "todoread", "todowrite"}
_UNRESTRICTED_TOOLS = {"*", "all", "bash", "computer", "execute", "powershell", "run_shell_command", "shell"}
_MEANINGFUL_KEYS = re.compile(
    r"^[\"']?(?:allowed[-_]?tools|hooks|mcp[-_]?servers|disable-model-invocation|user-invocable)\b",
    re.MULTILINE | re.IGNORECASE,
)

# A word, with what is in parentheses behind it, spaces included: Bash(git diff *).
_TOOL = re.compile(r"[^\s,()]+(?:\((?:[^()]|\([^()]*\))*\))?")
_TOOL_NAME = re.compile(r"\*|\w+")
# What a host runs before the model reads the text: !`git status`, or a block that is opened by ```!
_COMMAND = re.compile(r"!`([^`\n]+)`|^```![ \t]*\r?\n((?:(?!```).*\n)*)", re.MULTILINE)
_CAPABILITY = re.compile(r"[123]:[a-z]+:")
_HASH_END = re.compile(r"#[0-9a-f]{32}\Z")


_SEVERITIES = {str(severity.rank): severity for severity in Severity}


class CapabilityChange(Struct, frozen=True):
    """Something that a skill may do and could not before; "changed" where it could do so with other content."""

    kind: str
    value: str
    change: Literal["added", "changed"]
    severity: Severity


def find_capabilities(folder: SkillFolder) -> list[str]:
    """What the skill may do, sorted. The same for the same folder, in whatever order its files and keys come."""
    files = sorted(folder.files, key=lambda file: (not file.is_skill, not is_script(file), file.path))
    found = {
        *_from_front_matter(folder),
        *_bounded(_scripts(files, folder.contents)),
        *_bounded(f"3:command:{_short(text)}#{_hash(text)}" for text in _commands(folder.content)),
        *_from_texts(files, folder),
    }
    return sorted(map(_storable, found))


def compare_capabilities(old: Iterable[str | None], new: Iterable[str | None]) -> list[CapabilityChange]:
    """What the new version may do that the old one could not, the most severe first.

    `Bash(git:*)` is nothing new where `Bash` was allowed: what stands in parentheses restricts.
    """
    # What another program wrote may be anything.
    known = {text for text in old if text}
    labels = {_HASH_END.sub("", capability) for capability in known}
    asked = {text for text in new if text and _CAPABILITY.match(text)}
    added = {text for text in asked if text not in known and text.partition("(")[0] not in known}
    return sorted((_change(text, labels) for text in added), key=lambda it: (-it.severity.rank, it.kind, it.value))


def highest_severity(changes: Iterable[CapabilityChange]) -> Severity | None:
    """The highest severity of what is newly asked; None where nothing is."""
    return max((change.severity for change in changes), key=lambda severity: severity.rank, default=None)


def is_script(file: SkillFile, content: bytes | None = None) -> bool:
    """Whether the file is to be run: by its folder, its ending, its executable bit, or its first line."""
    *folders, name = file.path.lower().split("/")
    return not file.is_skill and (
        file.is_executable
        or not _SCRIPT_FOLDERS.isdisjoint(folders)
        or _SCRIPT_NAME.search(name) is not None
        or (content is not None and content.startswith(b"#!"))
    )


def _change(capability: str, known_labels: set[str]) -> CapabilityChange:
    label = _HASH_END.sub("", capability)
    digit, kind, value = label.split(":", 2)
    return CapabilityChange(kind, value, "changed" if label in known_labels else "added", _SEVERITIES[digit])


def _from_front_matter(folder: SkillFolder) -> Iterator[str]:
    fields = folder.front_matter
    if fields is None:
        text = split_skill_md(folder.content).front_matter or ""
        if _MEANINGFUL_KEYS.search(text):
            yield f"2:unread:front matter#{_hash(text)}"
        fields = {}
    tools = (tool for value in _values(fields, "allowedtools") for tool in _tools(value))
    yield from _bounded(f"{_tool_severity(tool)}:tool:{tool}" for tool in tools)
    for kind, key in (("hook", "hooks"), ("mcp", "mcpservers")):
        yield from _bounded(text for value in _values(fields, key) for text in _named(kind, value))
    # What restricts counts in its one spelling alone.
    if not _says(fields, "disable-model-invocation", "true"):
        yield "2:invocation:by the model"
        if _says(fields, "user-invocable", "false"):
            yield "2:invocation:by the model alone"


def _values(fields: Mapping[str, Any], name: str) -> Iterator[object]:
    """What stands under the name, however it is spelled: allowed-tools, allowed_tools, allowedTools."""
    return (value for key, value in fields.items() if str(key).lower().replace("-", "").replace("_", "") == name)


def _says(fields: Mapping[str, Any], key: str, word: str) -> bool:
    return str(fields.get(key)).lower() == word


def _tools(allowed: object) -> Iterator[str]:
    items = allowed if isinstance(allowed, list) else [allowed]
    for item in items:
        if isinstance(item, Mapping):
            # [Bash(git: *)] without quotes is a mapping to YAML.
            yield " ".join(", ".join(sorted(f"{key}: {value}" for key, value in item.items())).split())
        elif item is not None:
            yield from (" ".join(tool.split()) for tool in _TOOL.findall(str(item)))


def _tool_severity(tool: str) -> int:
    found = _TOOL_NAME.match(tool)
    name = found[0].lower() if found else ""
    return 1 if name in _READ_ONLY_TOOLS else 3 if name in _UNRESTRICTED_TOOLS else 2


def _named(kind: str, value: object) -> Iterator[str]:
    """What runs by itself: each entry of each name, as one capability with the hash of all it says."""
    named = value if isinstance(value, Mapping) else {} if value is None else {"all": value}
    for name, entries in named.items():
        for entry in entries if isinstance(entries, list) else [entries]:
            yield f"3:{kind}:{_short(str(name))}#{_hash(_canonical(entry))}"


def _canonical(value: object) -> str:
    """One text for equal values, in whatever order their keys come."""
    if isinstance(value, Mapping):
        return f"{{{','.join(sorted(f'{key!r}:{_canonical(entry)}' for key, entry in value.items()))}}}"
    return f"[{','.join(map(_canonical, value))}]" if isinstance(value, list) else repr(value)


def _scripts(files: Iterable[SkillFile], contents: Mapping[str, bytes]) -> Iterator[str]:
    # Half of the hash, not less: who publishes can search for two scripts with one short hash.
    return (f"3:script:{file.path}#{file.hash[:32]}" for file in files if is_script(file, contents.get(file.hash)))


def _commands(content: str) -> Iterator[str]:
    if "!`" in content or "```!" in content:
        yield from (inline or block for inline, block in _COMMAND.findall(split_skill_md(content).body or ""))


def _from_texts(files: Iterable[SkillFile], folder: SkillFolder) -> Iterator[str]:
    """The hosts that are named in texts, and one capability for all that was not read."""
    hosts, unread, left = set[str](), list[str](), MAX_TEXT
    for file in files:
        content = folder.content.encode(errors="replace") if file.is_skill else folder.contents.get(file.hash)
        if not _has_text(file, content):
            continue
        # A script that changes is another capability, read or not.
        if (content is None or len(content) > left) and not is_script(file, content):
            unread.append(file.hash)
        if content is not None:
            hosts.update(find_hosts(content[:left].decode(errors="replace")))
            left = max(left - len(content), 0)
    yield from _bounded(f"2:host:{host}" for host in hosts)
    if unread:
        yield f"2:unread:{len(unread)} files#{_hash(' '.join(sorted(unread)))}"


def _has_text(file: SkillFile, content: bytes | None) -> bool:
    *folders, name = file.path.lower().split("/")
    is_text = _TEXT_NAME.search(name) or not _TEXT_FOLDERS.isdisjoint(folders)
    return bool(is_text) or is_script(file, content)


def _bounded(capabilities: Iterable[str]) -> list[str]:
    """The first of a kind, and one for the rest: as severe as the most severe of it, and another if any changes."""
    found = sorted(set(capabilities), key=lambda text: (-int(text[0]), text))
    kept, rest = found[:MAX_OF_A_KIND], found[MAX_OF_A_KIND:]
    if not rest:
        return kept
    digit, kind, _ = rest[0].split(":", 2)
    return [*kept, f"{digit}:{kind}:{len(rest)} more#{_hash(' '.join(rest))}"]


def _short(text: str) -> str:
    return " ".join(text.split())[:_SHOWN]


def _storable(text: str) -> str:
    return text.replace("\0", "").encode(errors="replace").decode()


def _hash(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()[:32]
