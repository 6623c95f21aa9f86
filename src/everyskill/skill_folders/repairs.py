"""Quotes the values of front matter that people leave unquoted and lenient hosts read all the same."""

import re

from everyskill.skill_folders.yaml_values import YamlProblem, parse_mapping

# A key with a plain value, and the lines below that go on with it, which are indented more.
_ENTRY = re.compile(
    r"""^(?P<indent>[ ]*)(?P<key>[\w.-]+:[ \t]+)
        (?P<value>[^\s'"|>&!#{\[][^\r\n]*|\[[^\r\n]*\][^\r\n]*)
        (?P<rest>(?:\r?\n(?P=indent)[ ]+[^\r\n]*)*)""",
    re.MULTILINE | re.VERBOSE,
)


def quote_values(front_matter: str) -> tuple[str, list[int]]:
    """The front matter with quotes around each value that is no YAML without, and where those begin in the original.

    Lines stay where they are.
    """
    quoted_at: list[int] = []

    def quote(entry: re.Match[str]) -> str:
        if _is_yaml(entry["key"] + entry["value"] + entry["rest"]):
            return entry[0]
        quoted_at.append(entry.start())
        text = (entry["value"] + entry["rest"]).replace("'", "''")
        return f"{entry['indent']}{entry['key']}'{text.rstrip()}'"

    return _ENTRY.sub(quote, front_matter), quoted_at


def _is_yaml(entry: str) -> bool:
    try:
        parse_mapping(entry)
    except YamlProblem as problem:
        # What another entry defines is no reason.
        return problem.reason.startswith("found undefined alias")
    return True
