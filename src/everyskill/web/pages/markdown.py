"""Renders a SKILL.md as HTML without scripts, styles, images and frames, within limits of time and size."""

import sys
from collections.abc import Iterable
from hashlib import sha256
from html import escape
from threading import Lock
from time import thread_time

import nh3
from cachetools import LRUCache, cachedmethod
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markupsafe import Markup

from everyskill.model.skill_md import split_skill_md
from everyskill.web.settings import WebSettings

# What may come of a text, by the limit of its characters: more of HTML, and fewer tokens, which are freed in one step,
# in which no other thread runs. 128 KiB of prose take 0.06 s and become 150 KiB of HTML and 10,000 tokens.
MAX_GROWTH = 8
MIN_TOKEN_LENGTH = 4

_TAGS = nh3.ALLOWED_TAGS - {"img"}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "th": {"align"}, "td": {"align"}}
_SCHEMES = {"http", "https", "mailto"}
_DEADLINE = "deadline"
_MAX_TOKENS = "max_tokens"


class TooCostly(Exception):
    """A text whose HTML is too long, or takes too long to make."""


class Markdown:
    """Renders texts of at most `markdown_limit` characters in `render_timeout`, and keeps what it rendered.

    What exceeds these limits, or comes to too many tokens or too much HTML, is shown as plain text.
    """

    def __init__(self, settings: WebSettings) -> None:
        self._max_length = settings.markdown_limit
        self._max_seconds = settings.render_timeout
        self._kept: LRUCache[bytes, Markup] = LRUCache(settings.markdown_cache, getsizeof=sys.getsizeof)
        self._lock = Lock()

    def to_html(self, content: str) -> Markup:
        """A SKILL.md without its front matter, as sanitized HTML whose first heading is an `h2`."""
        body = split_skill_md(content).body
        if body is None:
            body = content
        return _as_text(body) if len(body) > self._max_length else self._render_or_escape(body)

    def render(self, body: str) -> Markup:
        """Markdown as sanitized HTML. Raises TooCostly: the time is that of this thread for parsing, and the HTML is
        measured before it is escaped.
        """
        limits = {_DEADLINE: thread_time() + self._max_seconds, _MAX_TOKENS: self._max_length // MIN_TOKEN_LENGTH}
        tokens = _MARKDOWN.parse(body, limits)
        if _length(tokens) > self._max_length * MAX_GROWTH:
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

    @cachedmethod(
        lambda self: self._kept,
        key=lambda _, body: sha256(body.encode(errors="surrogatepass")).digest(),
        lock=lambda self: self._lock,
    )
    def _render_or_escape(self, body: str) -> Markup:
        try:
            return self.render(body)
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
    if len(state.tokens) > state.env[_MAX_TOKENS] or thread_time() > state.env[_DEADLINE]:
        raise TooCostly
    return False


_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
_MARKDOWN.core.ruler.push("lower_headings", _lower_headings)
_MARKDOWN.block.ruler.before(
    "table", _DEADLINE, _check_deadline, {"alt": ["paragraph", "reference", "blockquote", "list"]}
)
_MARKDOWN.inline.ruler.before("text", _DEADLINE, _check_deadline)
