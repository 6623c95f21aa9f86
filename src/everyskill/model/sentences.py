"""Says a change summary in one sentence: who did what, and why."""

from collections.abc import Iterable, Iterator

from everyskill.model.changes import ChangeItem

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# So many lines of the instructions are an edit.
_EDITED_LINES = 20

# After an author, as a sentence of its own, and after another clause.
_CLAUSES = {
    "instructions_changed": (
        "{rewrote} the instructions{lines}",
        "The instructions were {rewritten}{lines}",
        "the instructions {rewritten}{lines}",
    ),
    "name_changed": ("renamed “{old}” to “{new}”", "Renamed from “{old}” to “{new}”", "renamed from “{old}”"),
    "category_changed": ("moved it from {old} to {new}", "Moved from {old} to {new}", "moved to {new}"),
    "description_updated": ("changed the description", "The description was changed", "the description changed"),
    "files_changed": ("{verb} {files}", "{Files} {verb}", "{files} {verb}"),
}


def describe(changes: Iterable[ChangeItem]) -> str:
    """Who did what and why, as a person says it; empty where nothing changed.

    "Ann rewrote the instructions, +34 -12, two scripts changed: “pins the API version” · asks for more: host api.io"
    """
    items = list(changes)
    bump = next((item for item in items if item.type == "version_bump"), None)
    more = [f"asks for more: {item.detail}" for item in items if item.type == "capabilities_added"]
    more += [item.label for item in items if item.type == "new_feedback"]
    if bump is None:
        return " · ".join(more)
    done = ", ".join(_clauses(items, bump.author)) or _published(bump)
    return " · ".join([f"{done}: “{bump.note}”" if bump.note else done, *more])


def _clauses(items: Iterable[ChangeItem], author: str | None) -> Iterator[str]:
    for place, item in enumerate(item for item in items if item.type in _CLAUSES):
        facts = _facts(item)
        active, passive, brief = (clause.format_map(facts) for clause in _CLAUSES[item.type])
        yield brief if place else f"{author} {active}" if author else passive


def _facts(item: ChangeItem) -> dict[str, str | None]:
    counts = item.counts or {}
    is_edit = 0 < sum(counts.values()) <= _EDITED_LINES
    verbs = counts.keys() - {"scripts"}
    total = sum(counts[verb] for verb in verbs)
    noun = "script" if counts.get("scripts") == total else "file"
    files = f"{_NUMBERS[total] if total < len(_NUMBERS) else f'{total:,}'} {noun}{'' if total == 1 else 's'}"
    return {
        "old": item.old,
        "new": item.detail,
        "lines": f", {item.detail}" if item.detail else "",
        "rewrote": "edited" if is_edit else "rewrote",
        "rewritten": "edited" if is_edit else "rewritten",
        "verb": next(iter(verbs)) if len(verbs) == 1 else "changed",
        "files": files,
        "Files": files.capitalize(),
    }


def _published(bump: ChangeItem) -> str:
    version = bump.detail.split()[-1] if bump.detail else "it again"
    if bump.author:
        return f"{bump.author} published {version}"
    return f"{version} was published" if bump.detail else bump.label
