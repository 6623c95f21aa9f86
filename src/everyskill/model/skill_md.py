"""Splits a SKILL.md at its fences into the YAML front matter and the Markdown body."""

import re
from typing import NamedTuple

# A line of three hyphens, blank lines before it. `$` also matches before the line feed, so a Windows line end leaves
# the carriage return.
_OPENING_FENCE = re.compile(r"\ufeff?(?:[ \t]*\r?\n)*---[ \t]*\r?$", re.MULTILINE)
_CLOSING_FENCE = re.compile(r"^---[ \t]*\r?$\n?", re.MULTILINE)

# The block `metadata:` of front matter, and the lines in it that installers of skills write to find an update again.
_METADATA = re.compile(r"^metadata:[ \t]*\r?\n(?:[ \t]+\S.*\n)+", re.MULTILINE)
_INSTALLED = re.compile(r"^[ \t]+(?:github-[\w-]+|local-path):.*\n", re.MULTILINE)


class SkillMd(NamedTuple):
    """The two parts of a SKILL.md.

    `front_matter` is None where the first line that is not blank is not a fence. Otherwise it is everything before the
    closing fence, a byte order mark and the opening fence included: its offsets and line numbers are those of the file,
    and its length is the index at which the closing fence starts.

    `body` is everything below the closing fence, or the whole file where there is no front matter. It is None where the
    front matter is never closed.
    """

    front_matter: str | None
    body: str | None


def split_skill_md(content: str) -> SkillMd:
    """Splits a SKILL.md, with Unix or Windows line ends, in time linear in its length. Parses nothing."""
    opening = _OPENING_FENCE.match(content)
    if opening is None:
        return SkillMd(None, content)
    closing = _CLOSING_FENCE.search(content, opening.end() + 1)
    if closing is None:
        return SkillMd(content, None)
    return SkillMd(content[: closing.start()], content[closing.end() :])


def without_installed_metadata(content: str) -> str:
    """A SKILL.md without what an installer wrote of itself: `github-…` and `local-path` below `metadata:`.

    A `metadata:` that held nothing else goes too, so that this is the file as it was before it was installed.
    """
    front_matter, _ = split_skill_md(content)
    if front_matter is None or ("github-" not in front_matter and "local-path" not in front_matter):
        return content
    return _METADATA.sub(_clean_block, front_matter, count=1) + content[len(front_matter) :]


def _clean_block(block: re.Match[str]) -> str:
    rest = _INSTALLED.sub("", block[0])
    return rest if rest.count("\n") > 1 else ""
