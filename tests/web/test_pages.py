"""What the pages promise without a browser: who gets in, what forms need, what is escaped, and what a page costs."""

import asyncio
import hmac
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from html import unescape
from threading import Event
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
from litestar import Litestar
from litestar._parsers import parse_url_encoded_form_data
from msgspec.structs import replace

from everyskill.handles import Database, Tenant
from everyskill.model import SkillFile
from everyskill.web.app import create_app
from everyskill.web.auth.sessions import SESSION_COOKIE
from everyskill.web.auth.users import CACHE_SECONDS, UserCache
from everyskill.web.pages.markdown import Markdown, TooCostly
from everyskill.web.settings import WebSettings
from tests.support.http_clients import SECRET, SETTINGS, bearer, claims_of, client_of, code_of
from tests.support.skills import folder, is_badged, publish, with_script

DEFAULTS = WebSettings()
to_html = Markdown(DEFAULTS).to_html
DEMO = WebSettings(demo_sign_in=True, demo_tenant="acme")
SCRIPT = "<script>alert('&')</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture
def demo(newest_server: None, database: Database, acme: Tenant) -> Litestar:
    """The service with its demo sign-in."""
    return create_app(database, DEMO)


@pytest.fixture
async def visitor(demo: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A browser of somebody who has not signed in."""
    async with client_of(demo, {"Accept": "text/html"}) as client:
        yield client


@pytest.fixture
async def signed_in(visitor: httpx.AsyncClient) -> httpx.AsyncClient:
    """A browser in which ann of acme has signed in."""
    await visitor.post("/sign-in", data={"tenant": "acme", "user": "ann"})
    return visitor


def field_of(page: httpx.Response, name: str) -> str:
    """The value of a form's field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found, page.text
    return found[1]


async def test_without_a_session_a_page_redirects_to_the_sign_in_and_back(
    visitor: httpx.AsyncClient, acme: Tenant
) -> None:
    await publish(acme)
    redirected = await visitor.get("/skills/pdf?since=2026-01-01T00:00:00Z")
    assert redirected.status_code == 303
    sign_in = await visitor.get(redirected.headers["location"])
    entered = await visitor.post("/sign-in", data={"tenant": "acme", "user": "ann", "next": field_of(sign_in, "next")})
    assert entered.headers["location"] == "/skills/pdf?since=2026-01-01T00:00:00Z"
    assert (await visitor.get(entered.headers["location"])).status_code == 200


@pytest.mark.parametrize(
    "next_",
    ["https://evil.example.org", "//evil.example.org", "/\\evil.example.org", "javascript:alert(1)", "/\r\nX: y"],
)
async def test_the_sign_in_redirects_to_no_other_site(visitor: httpx.AsyncClient, next_: str) -> None:
    entered = await visitor.post("/sign-in", data={"tenant": "acme", "user": "ann", "next": next_})
    assert (entered.status_code, entered.headers["location"]) == (303, "/")


async def test_the_sign_in_offers_the_users_of_the_demo(visitor: httpx.AsyncClient) -> None:
    page = await visitor.get("/sign-in")
    assert re.findall(r'name="user" value="(\w+)"', page.text) == ["ann", "bob"]


@pytest.mark.parametrize("who", [("acme", "nobody"), ("initech", "ann"), ("", ""), ("a\0b", "ann")])
async def test_nobody_else_gets_in(visitor: httpx.AsyncClient, who: tuple[str, str]) -> None:
    refused = await visitor.post("/sign-in", data={"tenant": who[0], "user": who[1]})
    assert refused.status_code == 400
    assert "set-cookie" not in refused.headers


async def test_without_a_demo_only_a_token_lets_in(app: Litestar) -> None:
    async with client_of(app, {"Accept": "text/html"}) as visitor:
        assert (await visitor.post("/sign-in", data={"tenant": "acme", "user": "ann"})).status_code == 401
        token = jwt.encode(claims_of(), SECRET)
        assert (await visitor.post("/sign-in", data={"token": token})).status_code == 303
        assert (await visitor.get("/")).status_code == 200


async def test_nobody_is_signed_in_from_another_site(visitor: httpx.AsyncClient) -> None:
    headers = {"Origin": "https://evil.example.org"}
    refused = await visitor.post("/sign-in", data={"tenant": "acme", "user": "ann"}, headers=headers)
    assert refused.status_code == 403
    assert "set-cookie" not in refused.headers


async def test_who_would_not_stay_signed_in_is_told_so(app: Litestar) -> None:
    headers = {"Origin": "http://skills.example.org", "Accept": "text/html"}
    async with client_of(app, headers) as visitor:
        refused = await visitor.post("/sign-in", data={"token": jwt.encode(claims_of(), SECRET)})
    assert refused.status_code == 400
    assert "needs https://" in refused.text


async def test_with_a_token_from_a_proxy_the_forms_work_in_every_tab(app: Litestar, acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    async with client_of(app, {"Accept": "text/html"} | bearer()) as proxied:
        page = await proxied.get("/")
        await proxied.get("/skills")
        form = {name: field_of(page, name) for name in ("csrf_token", "as_of")}
        assert (await proxied.post("/whats-new/seen", data=form)).status_code == 303
    assert not await is_badged(acme, "ann", skill.skill_id)


async def test_signing_out_ends_the_session(signed_in: httpx.AsyncClient) -> None:
    token = field_of(await signed_in.get("/"), "csrf_token")
    assert (await signed_in.post("/sign-out", data={"csrf_token": token})).headers["location"] == "/sign-in"
    assert (await signed_in.get("/")).status_code == 303


async def sign_out(browser: httpx.AsyncClient) -> None:
    token = field_of(await browser.get("/"), "csrf_token")
    assert (await browser.post("/sign-out", data={"csrf_token": token})).status_code == 303


def copied(cookies: httpx.Cookies) -> dict[str, str]:
    """The header of a cookie that somebody copied."""
    return {"Cookie": f"{SESSION_COOKIE}={cookies[SESSION_COOKIE]}"}


async def test_a_copied_cookie_is_no_cookie_after_signing_out(demo: Litestar, signed_in: httpx.AsyncClient) -> None:
    async with client_of(demo, copied(signed_in.cookies)) as thief:
        assert (await thief.get("/v1/skills")).status_code == 200
        await sign_out(signed_in)
        page = await thief.get("/", headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=%2F")
        assert code_of(await thief.get("/v1/skills")) == "not_signed_in"
        assert code_of(await thief.post("/v1/whats-new/seen", json={})) == "not_signed_in"


async def test_signing_out_ends_the_users_other_sessions_and_nobody_elses(
    demo: Litestar, signed_in: httpx.AsyncClient, globex: Tenant
) -> None:
    others = {"acme": ["ann", "bob"], "globex": ["ann"]}
    statuses = []
    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(client_of(demo)) for _ in range(3)]
        people = [(tenant, user) for tenant, users in others.items() for user in users]
        for browser, (tenant, user) in zip(browsers, people, strict=True):
            await browser.post("/sign-in", data={"tenant": tenant, "user": user})
        await sign_out(signed_in)
        statuses = [(await browser.get("/v1/skills")).status_code for browser in browsers]
    assert statuses == [401, 200, 200]


async def test_who_signs_in_again_stays_signed_in(demo: Litestar, signed_in: httpx.AsyncClient) -> None:
    for _ in range(3):
        await sign_out(signed_in)
        await signed_in.post("/sign-in", data={"tenant": "acme", "user": "ann"})
        assert (await signed_in.get("/")).status_code == 200


async def test_signing_out_ends_a_session_that_a_token_opened_and_not_the_token(app: Litestar) -> None:
    async with client_of(app, {"Accept": "text/html"}) as browser:
        await browser.post("/sign-in", data={"token": jwt.encode(claims_of(), SECRET)})
        async with client_of(app, copied(browser.cookies)) as thief, client_of(app, bearer()) as program:
            await sign_out(browser)
            assert (await thief.get("/v1/skills")).status_code == 401
            assert (await program.get("/v1/skills")).status_code == 200


async def test_signing_out_with_a_token_of_a_proxy_ends_sessions_too(app: Litestar) -> None:
    async with client_of(app) as browser, client_of(app, {"Accept": "text/html"} | bearer()) as proxied:
        await browser.post("/sign-in", data={"token": jwt.encode(claims_of(), SECRET)})
        await sign_out(proxied)
        assert (await browser.get("/v1/skills")).status_code == 401


class TwoProcesses:
    """Two apps on one database with one secret, and the clock by which they cache users."""

    def __init__(self, database: Database) -> None:
        self.now = 1_000.0
        settings = WebSettings(demo_sign_in=True, session_secret=SECRET)
        self.here, self.there = create_app(database, settings), create_app(database, settings)
        for app in (self.here, self.there):
            app.state.users = UserCache(database, clock=lambda: self.now)


@pytest.fixture
def processes(newest_server: None, database: Database, acme: Tenant) -> TwoProcesses:
    return TwoProcesses(database)


async def test_another_process_knows_of_a_sign_out_within_half_a_minute(processes: TwoProcesses) -> None:
    async with client_of(processes.here, {"Accept": "text/html"}) as browser:
        await browser.post("/sign-in", data={"tenant": "acme", "user": "ann"})
        async with client_of(processes.there, copied(browser.cookies)) as thief:
            assert (await thief.get("/v1/skills")).status_code == 200
            await sign_out(browser)
            processes.now += CACHE_SECONDS
            assert (await thief.get("/v1/skills")).status_code == 401


async def test_who_signs_out_here_and_in_again_there_stays_signed_in_at_both(processes: TwoProcesses) -> None:
    async with client_of(processes.here, {"Accept": "text/html"}) as browser, client_of(processes.there) as other:
        await browser.post("/sign-in", data={"tenant": "acme", "user": "ann"})
        other.cookies = browser.cookies
        # From here on the other process has the user cached as before the sign-out.
        assert (await other.get("/v1/skills")).status_code == 200
        await sign_out(browser)
        await other.post("/sign-in", data={"tenant": "acme", "user": "ann"})
        browser.cookies = other.cookies
        for _ in range(2):
            assert (await other.get("/v1/skills")).status_code == 200
            assert (await browser.get("/v1/skills")).status_code == 200
            processes.now += CACHE_SECONDS


async def test_a_cookie_of_before_the_upgrade_is_good_until_its_user_signs_out(
    processes: TwoProcesses, acme: Tenant
) -> None:
    async with client_of(processes.here, {"Accept": "text/html"}) as browser:
        await browser.post("/sign-in", data={"tenant": "acme", "user": "ann"})
        claims = jwt.decode(browser.cookies[SESSION_COOKIE], options={"verify_signature": False})
        del claims["session"]["generation"]
        key = hmac.digest(SECRET.encode(), claims["aud"].encode(), "sha256")
        old = {"Cookie": f"{SESSION_COOKIE}={jwt.encode(claims, key)}"}
        async with client_of(processes.here, old) as older:
            assert (await older.get("/v1/skills")).status_code == 200
            await sign_out(browser)
            assert (await older.get("/v1/skills")).status_code == 401


async def test_a_program_ends_the_sessions_of_a_user(processes: TwoProcesses, acme: Tenant) -> None:
    async with client_of(processes.here) as browser:
        await browser.post("/sign-in", data={"tenant": "acme", "user": "ann"})
        assert await acme.end_sessions("ann") == await acme.get_session_generation("ann") == 1
        assert (await browser.get("/v1/skills")).status_code == 401


FORMS = ["/whats-new/seen", "/skills/pdf/seen", "/skills/pdf/feedback", "/sign-out"]


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("token", [None, "", "wrong"])
async def test_a_form_without_the_sessions_token_is_refused(
    signed_in: httpx.AsyncClient, acme: Tenant, path: str, token: str | None
) -> None:
    skill = await publish(acme)
    now = datetime.now(UTC).isoformat()
    data = {"as_of": now, "viewed_at": now, "comment": "a"} | ({} if token is None else {"csrf_token": token})
    assert (await signed_in.post(path, data=data)).status_code == 403
    assert await acme.get_user_view("ann", skill.skill_id) is None


@pytest.mark.parametrize("path", FORMS)
async def test_a_proxys_word_is_no_token(app: Litestar, acme: Tenant, path: str) -> None:
    await publish(acme)
    async with client_of(app, {"Accept": "text/html"} | bearer()) as proxied:
        assert (await proxied.post(path, data={"comment": "a"})).status_code == 403


async def test_a_write_that_another_site_made_is_refused(ann: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    refused = await ann.post(f"/v1/skills/{skill.skill_id}/visit", headers={"Sec-Fetch-Site": "cross-site"})
    assert refused.status_code == 403
    assert await acme.get_user_view("ann", skill.skill_id) is None


async def test_a_page_tells_what_changed_and_marks_by_hand(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme, content="# Pdf\n\none\n")
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="# Pdf\n\ntwo\n", description="Other words.")
    page = await signed_in.get("/skills/pdf")
    for shown in (
        "v1 → v2",
        "Description updated",
        '<del class="removed" data-old="3">one\n</del>',
        '<ins class="added" data-new="3">two\n</ins>',
    ):
        assert shown in page.text
    names = ("csrf_token", "version", "viewed_at", "since", "since_version")
    back = await signed_in.post("/skills/pdf/seen", data={name: field_of(page, name) for name in names})
    assert not await is_badged(acme, "ann", skill.skill_id)
    again = (await signed_in.get(back.headers["location"])).text
    assert "v1 → v2" in again
    assert ">Seen<" in again
    assert "v1 → v2" not in (await signed_in.get("/skills/pdf")).text


async def test_a_copied_address_tells_everybody_their_own_story(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    page = await signed_in.get("/skills/pdf")
    names = ("csrf_token", "version", "viewed_at", "since", "since_version")
    back = await signed_in.post("/skills/pdf/seen", data={name: field_of(page, name) for name in names})
    address = back.headers["location"]
    await signed_in.post("/sign-in", data={"tenant": "acme", "user": "bob"})
    assert "Since your last visit" not in (await signed_in.get(address)).text
    await acme.visit_skill("bob", skill.skill_id)
    assert "Since your last visit" not in (await signed_in.get(address)).text
    # And an old bookmark tells nothing old after a later visit.
    await acme.visit_skill("ann", skill.skill_id)
    await signed_in.post("/sign-in", data={"tenant": "acme", "user": "ann"})
    assert "Since your last visit" not in (await signed_in.get(address)).text


async def test_what_was_published_after_the_page_was_made_keeps_its_badge(
    signed_in: httpx.AsyncClient, acme: Tenant
) -> None:
    skill = await publish(acme)
    page = await signed_in.get("/skills/pdf")
    await publish(acme, content="two")
    form = {name: field_of(page, name) for name in ("csrf_token", "version", "viewed_at")}
    assert (await signed_in.post("/skills/pdf/seen", data=form)).status_code == 303
    assert await is_badged(acme, "ann", skill.skill_id)


async def test_a_difference_that_is_too_large_to_show_says_so(
    signed_in: httpx.AsyncClient, ann: httpx.AsyncClient, acme: Tenant
) -> None:
    skill = await publish(acme, content="one")
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="\n".join(f"line {number}" for number in range(11_999)))
    for path in ("/skills/pdf", "/skills/pdf/diff?from=1&to=2"):
        assert "Too large to show: 12,000 lines." in (await signed_in.get(path)).text
    [diff] = (await ann.get("/v1/skills/pdf/diff?from=1&to=2")).json()
    assert (diff["lines"], diff["too_large"]) == (None, 12_000)


async def test_a_page_lists_200_files_and_says_how_many_more_there_are(
    signed_in: httpx.AsyncClient, acme: Tenant
) -> None:
    await publish(acme)
    files = tuple(SkillFile(f"files/{number}.md", 1, "0" * 64) for number in range(201))
    two = folder(content="two")
    await acme.publish_skill(replace(two, files=two.files + files))
    diff = (await signed_in.get("/skills/pdf/diff?from=1&to=2")).text
    assert (diff.count("<details"), "And 2 more files." in diff) == (200, True)
    skill = (await signed_in.get("/skills/pdf?show=files")).text
    assert (skill.count("<code>files/"), "And 2 more files." in skill) == (199, True)


async def test_the_search_lists_200_categories_and_keeps_another_one(
    signed_in: httpx.AsyncClient, acme: Tenant, owner: asyncpg.Connection
) -> None:
    await owner.execute(
        "INSERT INTO skills (tenant_id, name, slug, description, category, status)"
        " SELECT 'acme', 'x', 's' || n, 'x', 'c' || n, 'published' FROM generate_series(1001, 2001) AS n"
    )
    page = (await signed_in.get("/skills?category=c1500")).text
    assert (page.count("<option"), "<option selected>c1500<" in page) == (1 + 1 + 200, True)
    assert "Only the first 200 categories are listed." in page
    assert await acme.list_categories() == [f"c{number}" for number in range(1001, 2001)]


async def test_a_page_lists_200_versions_and_says_that_there_are_older_ones(
    signed_in: httpx.AsyncClient, acme: Tenant
) -> None:
    for number in range(202):
        await publish(acme, content=f"{number}")
    page = (await signed_in.get("/skills/pdf?show=versions")).text
    assert (page.count("<li>v"), "<li>v202 " in page, "And older ones." in page) == (200, True, True)
    assert len((await acme.get_skill_page("ann", "pdf")).versions) == 201


@pytest.mark.parametrize("path", ["/", "/skills", "/skills/pdf", "/skills/pdf/diff?from=1&to=2"])
async def test_a_page_is_made_beside_the_event_loop_where_much_of_its_tenant_waits_already(
    signed_in: httpx.AsyncClient, database: Database, acme: Tenant, path: str
) -> None:
    for content in ("one", "two"):
        await publish(acme, content=content)
    may_end = Event()
    working = [asyncio.create_task(acme.run_in_worker(may_end.wait)) for _ in range(1 + database._queue_size)]
    assert (await signed_in.get(path)).status_code == 503
    may_end.set()
    assert all(await asyncio.gather(*working))
    assert (await signed_in.get(path)).status_code == 200


async def test_a_first_visit_has_no_summary(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    await publish(acme)
    assert "Since your last visit" not in (await signed_in.get("/skills/pdf")).text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("headers", [{}, {"Sec-Purpose": "prefetch"}, {"User-Agent": "Googlebot/2.1"}])
async def test_s10_reading_pages_records_nothing(
    signed_in: httpx.AsyncClient, acme: Tenant, method: str, headers: dict[str, str]
) -> None:
    skill = await publish(acme)
    await publish(acme, content="two")
    for path in ("/", "/skills", "/skills/pdf", "/skills/pdf/diff?from=1&to=2"):
        assert (await signed_in.request(method, path, headers=headers)).status_code == 200
    assert await acme.get_user_view("ann", skill.skill_id) is None


async def test_the_feed_says_in_a_line_what_changed(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    for content in ("two", "three"):
        await publish(acme, content=content)
    await acme.add_feedback(skill.skill_id, user_id="bob", comment="Good.")
    page = (await signed_in.get("/")).text
    assert "The instructions were edited, +1 \N{MINUS SIGN}1 · 1 new feedback item" in page
    assert "v1 → v3" in page
    assert "you opened it once" in page


async def test_the_feed_pages_on(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    for number in range(21):
        skill = await publish(acme, f"skill-{number}")
        await acme.visit_skill("ann", skill.skill_id)
        await publish(acme, f"skill-{number}", content="two")
    first = await signed_in.get("/")
    older = re.search(r'href="(/\?cursor=[^"]+)"', first.text)
    assert older
    second = await signed_in.get(older[1])
    names = [re.findall(r'href="/skills/(skill-\d+)"', page.text) for page in (first, second)]
    assert names == [[f"skill-{number}" for number in range(20, 0, -1)], ["skill-0"]]


async def test_the_header_counts_to_twenty(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    for number in range(21):
        skill = await publish(acme, f"skill-{number}")
        await acme.visit_skill("ann", skill.skill_id)
        await publish(acme, f"skill-{number}", content="two")
    assert count_of(await signed_in.get("/skills")) == "20+"
    await acme.visit_skill("ann", skill.skill_id)
    assert count_of(await signed_in.get("/skills")) == "20"


def count_of(page: httpx.Response) -> str:
    found = re.search(r'data-max-count="20">([^<]*)<', page.text)
    return found[1] if found else ""


async def test_a_caught_up_user_is_told_so(signed_in: httpx.AsyncClient) -> None:
    page = (await signed_in.get("/")).text
    assert "all caught up" in page
    assert "Mark all as seen" not in page


async def test_the_list_is_searched_and_filtered(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    await publish(acme, "pdf", category="office")
    await publish(acme, "tone", category="writing")
    assert re.findall(r'href="/skills/(\w+)"', (await signed_in.get("/skills?text=PDF")).text) == ["pdf"]
    assert re.findall(r'href="/skills/(\w+)"', (await signed_in.get("/skills?category=writing&text=")).text) == ["tone"]
    assert "No skill matches" in (await signed_in.get("/skills?text=nothing")).text


async def test_the_list_pages_on_within_what_was_searched_and_filtered(
    signed_in: httpx.AsyncClient, acme: Tenant
) -> None:
    for number in range(101):
        await publish(acme, f"skill-{number:03}", category="office")
    await publish(acme, "skill-of-others", category="writing")
    await publish(acme, "tone", category="office")
    page = await signed_in.get("/skills?text=skill&category=office")
    found = re.search(r'rel="next" href="([^"]*)"', page.text)
    assert found, page.text
    rest = await signed_in.get(unescape(found[1]))
    assert re.findall(r'href="/skills/([\w-]+)"', rest.text) == ["skill-100"]


async def test_a_page_of_a_hundred_skills_asks_once_for_its_badges(
    signed_in: httpx.AsyncClient, acme: Tenant, queries: list[str]
) -> None:
    for number in range(100):
        skill = await publish(acme, f"skill-{number:03}")
        await acme.record_skill_view("ann", skill.skill_id, 1)
        await publish(acme, f"skill-{number:03}", content="two")
    queries.clear()
    page = await signed_in.get("/skills")
    assert page.text.count(">Updated<") == 100
    assert len([query for query in queries if "AS is_updated" in query]) == 1
    # The count in the header takes two more until the feed has a checkpoint, and one from then on.
    assert len([query for query in queries if "user_skill_views" in query]) == 3
    await signed_in.get("/skills")
    queries.clear()
    await signed_in.get("/skills")
    assert len([query for query in queries if "user_skill_views" in query]) == 2


async def test_no_field_brings_markup_into_a_page(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    fields: dict[str, Any] = {"name": SCRIPT, "description": SCRIPT, "category": SCRIPT}
    skill = await publish(acme, "pdf", content=SCRIPT, **fields)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, "pdf", content=f"{SCRIPT}\n2", **fields | {"description": SCRIPT + "2"})
    await acme.add_feedback(skill.skill_id, user_id="ann", comment=SCRIPT)
    for path in ("/", "/skills", f"/skills?text={SCRIPT}", "/skills/pdf", "/skills/pdf/diff?from=1&to=2", "/sign-in"):
        page = (await signed_in.get(path)).text
        assert "<script>alert" not in page
        assert "<img" not in page


@pytest.mark.parametrize(
    "path", [f"/skills/{SCRIPT}", f"/sign-in?next=/{SCRIPT}", f"/?cursor={SCRIPT}", f"/skills?category={SCRIPT}"]
)
async def test_no_address_brings_markup_into_a_page(signed_in: httpx.AsyncClient, path: str) -> None:
    page = await signed_in.get(path)
    assert page.status_code in {200, 400, 404}
    assert "<script>alert" not in page.text
    assert "<img" not in page.text


@pytest.mark.parametrize(
    "hostile",
    [
        SCRIPT,
        "[a](javascript:alert(1))",
        "[a](data:text/html;base64,PHNjcmlwdD4=)",
        "[a](vbscript:x)",
        '[a](https://x.example "onclick=alert(1)")',
        "![a](https://evil.example.org/pixel.png)",
        "<iframe src=//evil.example.org></iframe>",
        "<style>body{display:none}</style>",
        "<a href=javascript:alert(1)>a</a>",
        "<svg/onload=alert(1)>",
        "[a]: javascript:alert(1)\n\n[a]",
        '<https://x.example/"onmouseover=alert(1)>',
        "| a |\n|---|\n| <script>alert(1)</script> |",
    ],
)
def test_hostile_markdown_makes_no_hostile_html(hostile: str) -> None:
    tags = re.findall(r"<(\w+)((?:[^>\"]|\"[^\"]*\")*)>", to_html(hostile))
    assert not {name for name, _ in tags} & {"script", "img", "iframe", "style", "svg"}
    attributes = [found for _, text in tags for found in re.findall(r'(\w+)="([^"]*)"', text)]
    assert {name for name, _ in attributes} <= {"href", "title", "rel"}
    assert all(value.startswith("https://") for name, value in attributes if name == "href")


def test_a_skill_is_rendered_without_its_front_matter_below_the_pages_heading() -> None:
    html = to_html("---\nname: x\ndescription: y\n---\n# Title\n\nText with `code` and **weight**.\n")
    assert html == "<h2>Title</h2>\n<p>Text with <code>code</code> and <strong>weight</strong>.</p>\n"


def test_the_deepest_heading_stays_one() -> None:
    assert to_html("##### A\n###### B\n") == "<h6>A</h6>\n<h6>B</h6>\n"


def test_links_lead_away_without_a_trace() -> None:
    assert 'rel="nofollow noopener noreferrer"' in to_html("[a](https://example.org)")


@pytest.mark.parametrize("link", ["[list](checklist.md)", "[list](../other/SKILL.md)", "[list](#part)"])
def test_a_link_that_would_lead_nowhere_is_text(link: str) -> None:
    assert "href" not in to_html(link)
    assert "list</a>" in to_html(link)


def test_an_endless_text_is_shown_as_it_is() -> None:
    assert to_html("*" * (DEFAULTS.markdown_limit + 1)).startswith("<pre>***")


# Each of these was megabytes of HTML, or seconds of work.
ENDLESS = {
    "link references": "[a]: " + "x" * 60_000 + "\n\n" + "[a] " * 16_000,
    "lazy quotes": ">" * 20 + "a\n" + "b\n" * 50_000,
    "open brackets": "[\n" * 60_000,
    "tables": "a|b\n-|-\n" * 15_000,
    "a wide table": "|a" * 20_000 + "\n" + "|-" * 20_000 + "\n" + "|a" * 20_000,
    "headings": "a\n=\n" * 30_000,
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_text_that_makes_endless_html_is_shown_as_it_is(name: str) -> None:
    assert to_html(ENDLESS[name]).startswith("<pre>")


def test_html_is_bounded_before_it_is_made() -> None:
    text = "[a]: https://" + "x" * 100 + "\n\n" + "[a] " * 100
    assert len(Markdown(WebSettings(markdown_limit=2_500)).render(text)) > 10_000
    with pytest.raises(TooCostly):
        Markdown(WebSettings(markdown_limit=1_250)).render(text)


@pytest.mark.parametrize(
    "text", ["one\n" * 100, "one *two* `three`", "> one\ntwo\n", "- one\n- two\n", "a|b\n-|-\n" * 9]
)
def test_parsing_stops_when_its_time_is_up(text: str) -> None:
    with pytest.raises(TooCostly):
        Markdown(WebSettings(render_timeout=-1)).render(text)


def test_what_was_too_costly_is_not_tried_again() -> None:
    assert to_html(ENDLESS["headings"]) is to_html(ENDLESS["headings"])


def test_rendered_texts_are_kept_up_to_a_number_of_bytes() -> None:
    markdown = Markdown(WebSettings(markdown_cache=100_000))
    first = markdown.to_html("0" + " word" * 1_000)
    assert markdown.to_html("0" + " word" * 1_000) is first
    for number in range(1, 30):
        markdown.to_html(f"{number}" + " word" * 1_000)
    # Each takes 5 kB.
    kept = markdown._kept
    assert 15 < len(kept) < 25
    assert sum(map(sys.getsizeof, kept.values())) <= 100_000
    assert markdown.to_html("0" + " word" * 1_000) is not first


def test_a_text_that_is_too_large_to_keep_is_rendered_all_the_same() -> None:
    assert Markdown(WebSettings(markdown_cache=1)).to_html("*one*") == "<p><em>one</em></p>\n"


def test_a_long_text_of_ordinary_prose_is_rendered() -> None:
    paragraph = "## A part\n\nSome **bold** words, `code`, and a [link](https://example.org).\n\n- one\n- two\n\n"
    text = paragraph * (DEFAULTS.markdown_limit // len(paragraph))
    assert Markdown(WebSettings(render_timeout=60)).render(text).count("<h3>") == text.count("##")


@pytest.mark.parametrize("path", ["/", "/skills", "/skills/nothing", "/sign-in"])
async def test_every_page_keeps_foreign_content_out_and_is_stored_by_nobody(
    signed_in: httpx.AsyncClient, path: str
) -> None:
    headers = (await signed_in.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["cache-control"] == "private, no-cache"
    assert headers["x-content-type-options"] == "nosniff"


async def test_an_error_is_a_page_for_people_and_a_problem_for_programs(signed_in: httpx.AsyncClient) -> None:
    page = await signed_in.get("/skills/nothing")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no skill" in page.text
    problem = await signed_in.get("/v1/skills/nothing")
    assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json")


async def test_the_page_of_an_error_says_in_its_head_what_a_problem_says(
    visitor: httpx.AsyncClient, demo: Litestar
) -> None:
    refused = await visitor.post("/sign-out")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    not_there = await visitor.delete("/skills")
    assert (not_there.status_code, not_there.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    async with client_of(create_app(demo.state.database, replace(DEMO, busy_limit=1)), {"Accept": "text/html"}) as many:
        answers = await asyncio.gather(*(many.get("/sign-in") for _ in range(3)))
    busy = [answer for answer in answers if answer.status_code == 503]
    assert busy
    assert {(answer.headers["content-type"], answer.headers["retry-after"]) for answer in busy} == {
        ("text/html; charset=utf-8", "5")
    }


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/skills/..%2f..%2fetc%2fpasswd",
        "/skills/%2e%2e",
        "/static/%00",
        "/static/" + "a" * 3_000,
        "/static/style.css/x",
    ],
)
async def test_no_path_leads_out(signed_in: httpx.AsyncClient, path: str) -> None:
    response = await signed_in.get(path)
    assert response.status_code in {404, 400}
    assert "import" not in response.text


async def test_what_pages_are_made_of_may_be_kept(visitor: httpx.AsyncClient) -> None:
    [address] = re.findall(r'href="(/static/style[^"]+)"', (await visitor.get("/sign-in")).text)
    style = await visitor.get(address)
    assert style.status_code == 200
    assert "immutable" in style.headers["cache-control"]
    # An older process may be asked for what only a newer one has.
    other = await visitor.get("/static/style.css?v=of-another-release")
    assert (other.status_code, other.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize("host", ["localhost:abc", "localhost:99999999", "a:b:c", "[::1"])
async def test_a_host_that_cannot_be_read_is_no_error_of_ours(visitor: httpx.AsyncClient, host: str) -> None:
    for path in ("/", "/sign-in", "/skills/x"):
        assert (await visitor.get(path, headers={"Host": host})).status_code < 500
    entering = await visitor.post("/sign-in", data={"tenant": "acme", "user": "ann"}, headers={"Host": host})
    assert entering.status_code < 500


async def test_a_form_of_another_kind_is_refused(signed_in: httpx.AsyncClient) -> None:
    part = b'Content-Disposition: form-data; name="a"\r\nContent-Type: text/plain; charset=zzz'
    body = b"--x\r\n" + part + b"\r\n\r\na\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for path in FORMS:
        assert (await signed_in.post(path, content=body, headers=headers)).status_code == 403


async def test_a_category_is_filtered_by_exactly_its_name(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    await publish(acme, category="Data  Team ")
    [value] = re.findall(r'<option value="(D[^"]*)"', (await signed_in.get("/skills")).text)
    assert 'href="/skills/pdf"' in (await signed_in.get("/skills", params={"category": value})).text


async def test_s15_another_tenants_skill_has_no_page(signed_in: httpx.AsyncClient, globex: Tenant) -> None:
    await publish(globex, "secret")
    missing, foreign = await signed_in.get("/skills/nothing"), await signed_in.get("/skills/secret")
    assert foreign.status_code == 404
    assert foreign.text.replace("secret", "nothing") == missing.text


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "since=120",
        "since=2026-01-01T00:00:00",
        "since=0001-01-01T00:00:00%2B14:00",
        "since=2026-01-01T00:00:00Z&since_version=-1",
        "since=2026-01-01T00:00:00Z&since_version=" + "1" * 5_000,
        "since=2026-01-01T00:00:00Z&since_version=%C2%B2",
    ],
)
async def test_a_view_that_cannot_be_read_from_the_address_is_a_bad_request(
    signed_in: httpx.AsyncClient, acme: Tenant, query: str
) -> None:
    await publish(acme)
    assert (await signed_in.get(f"/skills/pdf?{query}&visited=2026-01-01T00:00:00Z")).status_code == 400


@pytest.mark.parametrize(
    "odd", [{"since": "not a date"}, {"since": "0001-01-01T00:00:00+14:00"}, {"since_version": "1" * 5_000}]
)
@pytest.mark.parametrize("act", ["seen", "feedback"])
async def test_a_form_that_cannot_be_read_changes_nothing(
    signed_in: httpx.AsyncClient, acme: Tenant, act: str, odd: dict[str, str]
) -> None:
    skill = await publish(acme)
    page = await signed_in.get("/skills/pdf")
    form = {name: field_of(page, name) for name in ("csrf_token", "viewed_at", "version")} | {
        "comment": "a",
        "since": "2026-01-01T00:00:00Z",
    }
    assert (await signed_in.post(f"/skills/pdf/{act}", data=form | odd)).status_code == 400
    assert await acme.get_user_view("ann", skill.skill_id) is None
    assert await acme.count_feedback_since(skill.skill_id, datetime.now(UTC) - timedelta(minutes=1)) == 0


async def test_feedback_is_given_from_the_page(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    page = await signed_in.get("/skills/pdf")
    form = {"csrf_token": field_of(page, "csrf_token"), "comment": "Could be shorter.", "sentiment": "neutral"}
    assert (await signed_in.post("/skills/pdf/feedback", data=form)).headers["location"] == "/skills/pdf?show=feedback"
    assert "Could be shorter." in (await signed_in.get("/skills/pdf?show=feedback")).text
    assert await acme.count_feedback_since(skill.skill_id, datetime.now(UTC) - timedelta(minutes=1)) == 1


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("path", ["/sign-in", *FORMS])
@pytest.mark.parametrize(("body", "status"), [(b"x" * 65_537, 413), (b"a&" * 64, 400)])
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json", "multipart/form-data"])
async def test_a_form_that_no_page_sends_is_refused_before_it_is_parsed(
    signed_in: httpx.AsyncClient, path: str, body: bytes, status: int, kind: str
) -> None:
    if path != "/sign-in" and kind != FORM["Content-Type"]:
        status = 403
    refused = await signed_in.post(path, content=body, headers={"Content-Type": kind})
    assert refused.status_code == status
    assert "set-cookie" not in refused.headers


@pytest.mark.parametrize("field", ["tenant", "user", "next", "more"])
async def test_a_form_gives_each_field_once(visitor: httpx.AsyncClient, field: str) -> None:
    refused = await visitor.post("/sign-in", data={"user": "ann", "tenant": "acme"} | {field: ["a", "b"]})
    assert (refused.status_code, f"Give the field &#39;{field}&#39; once." in refused.text) == (400, True)


async def test_a_form_may_have_64_fields(visitor: httpx.AsyncClient) -> None:
    fields = {"tenant": "acme", "user": "ann"} | {f"more-{number}": "" for number in range(62)}
    assert (await visitor.post("/sign-in", data=fields)).status_code == 303
    refused = await visitor.post("/sign-in", data=fields | {"65": ""})
    assert "at most 64 fields" in refused.text


@pytest.mark.parametrize(
    ("limits", "shown"),
    [
        ({}, "<em>one</em>"),
        ({"markdown_limit": 4}, "<pre>*one*"),
        # Three tokens may be made of twelve characters, and eight times as much HTML.
        ({"markdown_limit": 12}, "<pre>*one*"),
        ({"render_timeout": 1e-9}, "<pre>*one*"),
    ],
)
async def test_a_skill_is_rendered_within_the_limits_that_the_operator_set(
    newest_server: None, database: Database, acme: Tenant, limits: dict[str, Any], shown: str
) -> None:
    await publish(acme, content="*one*\n\n- a")
    app = create_app(database, replace(SETTINGS, **limits))
    async with client_of(app, bearer()) as ann:
        assert shown in (await ann.get("/skills/pdf")).text


async def test_nothing_that_a_form_held_is_kept_in_memory(
    signed_in: httpx.AsyncClient, visitor: httpx.AsyncClient, acme: Tenant
) -> None:
    await publish(acme)
    page = await signed_in.get("/skills/pdf")
    kept = parse_url_encoded_form_data.cache_info().currsize
    form = {"csrf_token": field_of(page, "csrf_token"), "comment": "Größe & <so>", "sentiment": "neutral"}
    assert (await signed_in.post("/skills/pdf/feedback", data=form)).status_code == 303
    assert (await visitor.post("/sign-in", data={"tenant": "acme", "user": "ann"})).status_code == 303
    assert parse_url_encoded_form_data.cache_info().currsize == kept
    assert "Größe &amp; &lt;so&gt;" in (await signed_in.get("/skills/pdf?show=feedback")).text


async def test_a_form_has_the_size_that_the_operator_set(newest_server: None, database: Database, acme: Tenant) -> None:
    app = create_app(database, WebSettings(demo_sign_in=True, demo_tenant="acme", form_limit=20))
    async with client_of(app) as visitor:
        assert (await visitor.post("/sign-in", data={"tenant": "acme", "user": "ann"})).status_code == 303
        refused = await visitor.post("/sign-in", data={"tenant": "acme", "user": "nobody"})
    assert refused.status_code == 413


async def test_the_api_never_reads_a_form(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    refused = await signed_in.post(f"/v1/skills/{skill.skill_id}/visit", content=b"a&" * 64, headers=FORM)
    assert refused.status_code == 403


async def test_feedback_that_is_refused_keeps_what_was_typed(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    await publish(acme)
    token = field_of(await signed_in.get("/skills/pdf"), "csrf_token")
    typed = {"csrf_token": token, "comment": "<b>" + "x" * 10_000, "sentiment": "negative"}
    refused = await signed_in.post("/skills/pdf/feedback", data=typed)
    assert refused.status_code == 400
    assert f"&lt;b&gt;{'x' * 10_000}</textarea>" in refused.text
    assert '<option value="negative" selected>' in refused.text
    assert 'role="alert"' in refused.text


async def test_a_sign_in_that_is_refused_keeps_what_was_typed(visitor: httpx.AsyncClient) -> None:
    refused = await visitor.post("/sign-in", data={"tenant": "acme", "user": "amn", "next": "/skills/pdf"})
    assert refused.status_code == 400
    assert [field_of(refused, name) for name in ("next", "tenant", "user")] == ["/skills/pdf", "acme", "ann"]
    assert 'name="user" value="amn"' in refused.text


async def test_an_error_page_leads_on_as_every_page(signed_in: httpx.AsyncClient) -> None:
    for path in ("/skills/nothing", "/nowhere"):
        page = await signed_in.get(path)
        assert page.status_code == 404
        assert '<a href="/skills"' in page.text
    assert "Sign out" in (await signed_in.get("/skills/nothing")).text


@pytest.mark.parametrize("part", ["changes", "instructions", "files", "versions", "feedback"])
async def test_each_part_of_a_skill_is_a_click_away(signed_in: httpx.AsyncClient, acme: Tenant, part: str) -> None:
    await publish(acme)
    page = (await signed_in.get(f"/skills/pdf?show={part}")).text
    assert f'href="/skills/pdf?show={part}" aria-current="page"' in page
    assert page.count("/skills/pdf?show=") >= 5


async def test_what_changed_comes_first_and_else_the_instructions(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    assert '<section class="markdown"' in (await signed_in.get("/skills/pdf")).text
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    assert '<section aria-label="Changes"' in (await signed_in.get("/skills/pdf")).text


async def test_a_long_file_is_folded_and_shown_on_demand(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme, content="\n".join(map(str, range(500))))
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="\n".join(f"{number}!" for number in range(500)))
    page = (await signed_in.get("/skills/pdf")).text
    assert "<ins" not in page
    [address] = re.findall(r'<a href="([^"]+)">Show [\d,]+ lines', page)
    whole = (await signed_in.get(unescape(address))).text
    assert whole.count("<ins") == whole.count("<del") == 500


async def test_the_old_slug_of_a_skill_leads_to_its_page(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    await publish(acme)
    await acme.rename_skill("pdf", "pdf-tools")
    moved = await signed_in.get("/skills/pdf?show=files")
    assert (moved.status_code, moved.headers["location"]) == (308, "/skills/pdf-tools?show=files")
    # The slug may become that of another skill.
    assert moved.headers["cache-control"] == "no-store"


async def test_an_archived_skill_leads_those_who_viewed_it_to_its_successor(
    signed_in: httpx.AsyncClient, acme: Tenant
) -> None:
    old = await publish(acme)
    await publish(acme, "docs")
    await acme.archive_skill("pdf", successor="docs")
    assert (await signed_in.get("/skills/pdf")).status_code == 404
    await acme.restore_skill("pdf")
    await acme.visit_skill("ann", old.skill_id)
    await acme.archive_skill("pdf", successor="docs")
    gone = await signed_in.get("/skills/pdf")
    assert gone.status_code == 410
    assert 'href="/skills/docs"' in gone.text


async def test_a_card_says_once_what_an_update_asks_for(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await acme.publish_skill(with_script("echo\n"), author_id="bob", note="runs it")
    for path in ("/skills/pdf", "/"):
        page = unescape((await signed_in.get(path)).text)
        assert page.count("script run.sh") == 1
        assert "bob added one script: “runs it”" in page


async def test_a_page_with_much_to_tell_folds_every_file(signed_in: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await acme.publish_skill(with_script("echo\n" * 50, content="two"))
    page = (await signed_in.get("/skills/pdf")).text
    assert page.count('<details class="file" >') == 2
