"""Skills that are written to run something in a reader's browser: what they bring into a page is text and links."""

from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

from everyskill.handles import Tenant
from tests.support.live_service import RunService, client_at, sign_in
from tests.support.skills import publish

JS = "javascript:alert(1)"

# Markdown, or HTML within it. None may leave anything but text, and links to http, https and mailto.
PAYLOADS = [
    "<script>alert(1)</script>",
    "<ScRiPt/x>alert(1)</sCrIpT >",
    "<script\n>alert(1)</script\n>",
    "<<script>alert(1)//<</script>",
    "</article></main><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img/src='x'/onerror='alert(1)'>",
    "<svg onload=alert(1)><animate onbegin=alert(1) attributeName=x></svg>",
    "<svg><script href=data:,alert(1) /></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=alert(1)&gt;'>",
    "<math href='javascript:alert(1)'>x</math>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='javascript:alert(1)'></object>",
    "<embed src='data:text/html,<script>alert(1)</script>'>",
    "<form action=javascript:alert(1)><button formaction=javascript:alert(1)>x</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>x</details>",
    "<video><source onerror=alert(1)></video>",
    "<body onload=alert(1)>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<base href='//evil.example.org/'>",
    "<link rel=stylesheet href='//evil.example.org/x.css'>",
    "<style>@import '//evil.example.org/x.css';</style>",
    "<div style='background:url(//evil.example.org/x)'>x</div>",
    "<template><script>alert(1)</script></template>",
    "<textarea></textarea><script>alert(1)</script>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><script>alert(1)</script>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=' &#14; javascript:alert(1)'>x</a>",
    "<p id=content name=body>x</p>",
    f"[x]({JS})",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](<java\nscript:alert(1)>)",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](javascript&NewLine;:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](\u00a0javascript:alert(1))",
    "[x](%6Aavascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](data:image/svg+xml,<svg onload=alert(1)>)",
    "[x](vbscript:msgbox(1))",
    "[x](file:///etc/passwd)",
    "[x](blob:https://evil.example.org/x)",
    "[x](//evil.example.org/x)",
    "[x](https://x.example '\" onmouseover=\"alert(1)')",
    '[x](https://x.example/"onmouseover="alert(1))',
    "[x](https://x.example/`onmouseover=alert(1))",
    "![x](https://evil.example.org/pixel.png)",
    f"![x]({JS})",
    '![x](x"onerror="alert(1))',
    "![x][r]\n\n[r]: https://evil.example.org/pixel.png",
    f"[x][r]\n\n[r]: {JS}",
    f"[r]\n\n[r]: <{JS}> '\"><script>alert(1)</script>'",
    f"<{JS}>",
    "<data:text/html,x>",
    '<https://x.example/"onmouseover=alert(1)>',
    '<a@x.example"onclick=alert(1)>',
    "`<script>alert(1)</script>`",
    '```html"onmouseover=alert(1)\n<script>alert(1)</script>\n```',
    "~~~ <script>alert(1)</script>\n</code></pre><script>alert(1)</script>\n~~~",
    "    </code></pre><script>alert(1)</script>",
    "# <script>alert(1)</script>",
    "# x {#id onclick=alert(1)}",
    f"| [x]({JS}) |\n|---|\n| <img src=x onerror=alert(1)> |",
    '| x |\n|:-" onclick=alert(1) -:|\n| y |',
    "1. <script>alert(1)</script>\n   - <img src=x onerror=alert(1)>",
    "> <script>\n> alert(1)\n> </script>",
    "~~<script>alert(1)</script>~~",
    "{{ 7*7 }}{% raw %}<script>alert(1)</script>",
    "\\<script>alert(1)\\</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<scr\0ipt>alert(1)</scr\0ipt>".replace("\0", "\u200b"),
    "\u202e<script>alert(1)</script>\u2028alert(1)",
]

PAGES = ("/skills/{}", "/skills", "/skills/{}/diff?from=1&to=2")
RUNS = {"script", "style", "iframe", "object", "embed", "svg", "math", "img", "video", "audio", "base", "meta", "link"}


class Content(HTMLParser):
    """What stands in a page that a skill could have brought: tags, attributes, and where links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))


def tags_of(page: str) -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
    content = Content()
    content.feed(page)
    return content.tags


def assert_harmless(harmless: str, page: str) -> None:
    """Beyond what the page of a harmless skill has, there are only tags of text and links that lead to web sites."""
    before = tags_of(harmless)
    for tag, attributes in tags_of(page):
        if (tag, attributes) in before:
            continue
        names = {name for name, _ in attributes}
        assert tag not in RUNS or (tag == "meta" and names == {"name", "content"}), (tag, attributes)
        assert not any(name.startswith("on") or name in {"style", "srcdoc", "formaction", "src"} for name in names), tag
        for name, value in attributes:
            if name in {"href", "action"}:
                assert urlsplit(value or "").scheme in {"", "http", "https", "mailto"}, value
                assert not (value or "").startswith("//"), value


@pytest.mark.usefixtures("newest_server")
async def test_no_skill_brings_anything_that_runs_into_a_page(run_service: RunService, acme: Tenant) -> None:
    for slug, contents in {"harmless": ["one", "two"], "all": ["one", "\n\n".join(PAYLOADS)]}.items():
        for content in contents:
            await publish(acme, slug, content)
    service = await run_service()
    async with client_at(service) as browser:
        await sign_in(browser)
        pages = {page: (await browser.get(page.format("harmless"))).text for page in PAGES}
        for number, payload in enumerate(PAYLOADS):
            line = " ".join(payload.replace("\x01", "").split())
            await publish(acme, f"s{number}", payload, name=line, description=line, category=line)
        asked = [(PAGES[0], f"s{number}") for number in range(len(PAYLOADS))] + [(page, "all") for page in PAGES]
        for page, slug in asked:
            answer = await browser.get(page.format(slug))
            assert answer.status_code == 200
            assert_harmless(pages[page], answer.text)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy or "script-src 'self'" in policy
            assert "unsafe" not in policy
        assert service.errors == []
