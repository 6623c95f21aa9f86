"""Renders a SKILL.md as HTML without scripts, styles, images and frames, within limits of time and size."""

import sys
from collections.abc import Iterable
from hashlib import sha256
from html import escape
from threading import Lock
from time import thread_time

import nh3
from cachetools import LRUCache, cached
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markupsafe import Markup

from everyskill.model.skill_md import split_skill_md

# What is beyond a limit is shown as plain text. 128 KiB of prose take 0.06 s, 10,000 tokens and 150 KiB of HTML.
MAX_RENDERED = 128 * 1024
MAX_HTML = 1024 * 1024
MAX_SECONDS = 0.2
# So many objects are freed in one step, in which no other thread runs.
MAX_TOKENS = 30_000
CACHE_BYTES = 8 * 1024 * 1024

_TAGS = nh3.ALLOWED_TAGS - {"img"}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "th": {"align"}, "td": {"align"}}
_SCHEMES = {"http", "https", "mailto"}
_DEADLINE = "deadline"


class TooCostly(Exception):
    """A text whose HTML is too long, or takes too long to make."""


def to_html(content: str) -> Markup:
    """A SKILL.md without its front matter, as sanitized HTML whose first heading is an `h2`."""
    body = split_skill_md(content).body
    if body is None:
        body = content
    return _as_text(body) if len(body) > MAX_RENDERED else _render_or_escape(body)


def render(body: str, *, max_seconds: float = MAX_SECONDS, max_html: int = MAX_HTML) -> Markup:
    """Markdown as sanitized HTML. Raises TooCostly: `max_seconds` of this thread are for parsing, `max_html` is what
    comes of it before it is escaped.
    """
    tokens = _MARKDOWN.parse(body, {_DEADLINE: thread_time() + max_seconds})
    if _length(tokens) > max_html:
        raise TooCostly
    html = nh3.clean(
        _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        # The contents of a skill's other files are not stored, so a relative link would lead nowhere.
        url_relative="deny",
        link_rel="nofollow noopener noreferrer",
    )
    return Markup(html)  # noqa: S704 - sanitized in the line above


@cached(
    LRUCache(CACHE_BYTES, getsizeof=sys.getsizeof),
    key=lambda body: sha256(body.encode(errors="surrogatepass")).digest(),
    lock=Lock(),
)
def _render_or_escape(body: str) -> Markup:
    try:
        return render(body)
    except TooCostly:
        return _as_text(body)


def _as_text(body: str) -> Markup:
    return Markup(f"<pre>{escape(body)}</pre>")  # noqa: S704 - escaped


def _length(tokens: Iterable[Token]) -> int:
    """About how long the HTML of these tokens is. Without rendering: a link reference may be repeated without end."""
    length = 0
    for token in tokens:
        attributes = sum(len(name) + len(str(value)) + 4 for name, value in token.attrs.items())
        text = _length(token.children) if token.children else len(token.content)
        length += len(token.tag) + 3 + attributes + text
    return length


def _lower_headings(state: StateCore) -> None:
    # The `h1` of the page is the skill's name.
    for token in state.tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"


def _check_deadline(state: StateBlock | StateInline, *_: object) -> bool:
    """A rule that matches nothing: the parser asks it first at every place that it looks at."""
    if len(state.tokens) > MAX_TOKENS or thread_time() > state.env[_DEADLINE]:
        raise TooCostly
    return False


_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
_MARKDOWN.core.ruler.push("lower_headings", _lower_headings)
_MARKDOWN.block.ruler.before(
    "table", _DEADLINE, _check_deadline, {"alt": ["paragraph", "reference", "blockquote", "list"]}
)
_MARKDOWN.inline.ruler.before("text", _DEADLINE, _check_deadline)
