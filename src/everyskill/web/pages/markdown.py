"""Renders a SKILL.md for people. What comes out holds no script, no style, no image and no foreign frame."""

import re
from functools import lru_cache
from html import escape

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markupsafe import Markup

# Rendering holds a core for about a second per mebibyte; what is longer is shown as it is.
MOST_RENDERED = 128 * 1024

_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n.*?^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
_TAGS = nh3.ALLOWED_TAGS - {"img"}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "th": {"align"}, "td": {"align"}}
_SCHEMES = {"http", "https", "mailto"}


def to_html(content: str) -> Markup:
    """A SKILL.md without its front matter, as HTML that is safe within a page; its headings begin at the second."""
    body = _FRONT_MATTER.sub("", content, count=1)
    if len(body) > MOST_RENDERED:
        return Markup(f"<pre>{escape(body)}</pre>")  # noqa: S704 - escaped
    return _render(body)


@lru_cache(maxsize=128)
def _render(body: str) -> Markup:
    html = nh3.clean(
        _MARKDOWN.render(body),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        # The texts of a skill's other files are not kept, so a link to one would lead nowhere.
        url_relative="deny",
        link_rel="nofollow noopener noreferrer",
    )
    return Markup(html)  # noqa: S704 - cleaned in the line above


def _lower_headings(state: StateCore) -> None:
    # The page has a first heading already: the skill's name.
    for token in state.tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"


def _make_markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
    made.core.ruler.push("lower_headings", _lower_headings)
    return made


_MARKDOWN = _make_markdown()
