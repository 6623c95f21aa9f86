"""Renders a SKILL.md as HTML without scripts, styles, images and frames."""

from functools import lru_cache
from html import escape

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markupsafe import Markup

from everyskill.model.skill_md import split_skill_md

# Rendering takes about a second of CPU per mebibyte; longer texts are shown as plain text.
MAX_RENDERED = 128 * 1024

_TAGS = nh3.ALLOWED_TAGS - {"img"}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "th": {"align"}, "td": {"align"}}
_SCHEMES = {"http", "https", "mailto"}


def to_html(content: str) -> Markup:
    """A SKILL.md without its front matter, as sanitized HTML whose first heading is an `h2`."""
    body = split_skill_md(content).body
    if body is None:
        body = content
    if len(body) > MAX_RENDERED:
        return Markup(f"<pre>{escape(body)}</pre>")  # noqa: S704 - escaped
    return _render(body)


@lru_cache(maxsize=128)
def _render(body: str) -> Markup:
    html = nh3.clean(
        _MARKDOWN.render(body),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        # The contents of a skill's other files are not stored, so a relative link would lead nowhere.
        url_relative="deny",
        link_rel="nofollow noopener noreferrer",
    )
    return Markup(html)  # noqa: S704 - sanitized in the line above


def _lower_headings(state: StateCore) -> None:
    # The `h1` of the page is the skill's name.
    for token in state.tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"


_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
_MARKDOWN.core.ruler.push("lower_headings", _lower_headings)
