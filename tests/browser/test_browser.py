"""The pages in a real browser, on a service that runs as a process of its own."""

import os
import shutil
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from msgspec.structs import replace
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from everyskill.handles import Tenant
from everyskill.model import SkillFile, SkillFolder
from tests.support.databases import Clone
from tests.support.service_process import Service, start, started
from tests.support.skills import folder, is_badged, publish, with_script

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Root may not use Chromium's sandbox, and containers have a small /dev/shm.
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
PAGES = {"sign-in": "/sign-in", "home": "/", "skills": "/skills", "skill": "/skills/code-review", "error": "/nowhere"}
# Those of which no picture is kept.
MORE_PAGES = [
    *(f"/skills/code-review?show={part}" for part in ("instructions", "files", "versions", "feedback")),
    "/skills/code-review/diff?from=1&to=2",
    "/skills/code-review/files/scripts/check%20all.sh",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


@pytest.fixture
async def service(newest_server: None, clone: Clone, acme: Tenant) -> AsyncIterator[Service]:
    """A demo service with the tenant acme."""
    process = await start("--demo", EVERYSKILL_DATABASE_URL=clone.service_url, EVERYSKILL_DEMO_TENANT="acme")
    service = await started(process)
    yield service
    await service.kill()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture
async def ann(browser: Browser, service: Service) -> Page:
    """A tab in which ann of acme has signed in."""
    return await signed_in(await browser.new_context(), service)


async def signed_in(context: BrowserContext, service: Service, tenant: str = "acme", user: str = "ann") -> Page:
    page = await context.new_page()
    await page.goto(f"{service.url}/sign-in")
    await page.get_by_text("As somebody else").click()
    await page.get_by_label("Tenant").fill(tenant)
    await page.get_by_label("User").fill(user)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.wait_for_url(f"{service.url}/")
    return page


async def open_until_seen(page: Page, address: str) -> None:
    """Opens a skill and stays for as long as it takes to count."""
    await page.goto(address)
    await expect(page.get_by_role("status")).to_have_text("Seen")


async def test_a_change_is_told_to_those_who_looked_in_its_tenant_and_to_nobody_else(
    browser: Browser, service: Service, ann: Page, acme: Tenant, globex: Tenant
) -> None:
    neighbour = await signed_in(await browser.new_context(), service, "globex")
    colleague = await signed_in(await browser.new_context(), service, "acme", "bob")
    for tenant in (acme, globex):
        await publish(tenant, content="# Pdf\n\none\n")
    for page in (ann, neighbour):
        await open_until_seen(page, f"{service.url}/skills/pdf")
    await publish(acme, content="# Pdf\n\ntwo\n")

    for page, told in ((ann, True), (neighbour, False), (colleague, False)):
        await page.goto(f"{service.url}/skills")
        await expect(page.get_by_text("Updated", exact=True)).to_have_count(int(told))
        await page.goto(f"{service.url}/")
        await expect(page.get_by_text("v1 → v2", exact=True)).to_have_count(int(told))
        await page.goto(f"{service.url}/skills/pdf")
        await expect(page.get_by_text("Since your last visit")).to_have_count(int(told))
        await expect(page.locator("ins")).to_have_text(["two\n"] if told else [])


async def test_what_changed_stays_while_the_parts_are_read(ann: Page, service: Service, acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    await open_until_seen(ann, f"{service.url}/skills/pdf")
    for part in ("Files", "Versions", "Feedback", "Instructions", "Changes"):
        await ann.get_by_role("navigation", name="Parts of the skill").get_by_role("link", name=part).click()
        await expect(ann.get_by_role("link", name=part)).to_have_attribute("aria-current", "page")
        await expect(ann.get_by_text("Since your last visit")).to_be_visible()
    view = await acme.get_user_view("ann", skill.skill_id)
    assert view is not None
    assert view.view_count == 2


async def test_the_summary_outlives_a_reload_and_not_the_visit(ann: Page, service: Service, acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    await open_until_seen(ann, f"{service.url}/skills/pdf")
    await expect(ann.locator("[data-max-count]")).to_be_hidden()
    assert not await is_badged(acme, "ann", skill.skill_id)
    await ann.reload()
    await expect(ann.get_by_text("v1 → v2", exact=True)).to_be_visible()
    await ann.goto(f"{service.url}/skills/pdf")
    await expect(ann.get_by_text("Since your last visit")).to_have_count(0)


async def test_marking_all_as_seen_keeps_what_lands_meanwhile(ann: Page, service: Service, acme: Tenant) -> None:
    for slug in ("early", "late"):
        await acme.visit_skill("ann", (await publish(acme, slug)).skill_id)
    await publish(acme, "early", content="two")
    await ann.goto(service.url)
    await publish(acme, "late", content="two")
    await ann.get_by_role("button", name="Mark all as seen").click()
    await expect(ann.locator(".feed h2")).to_have_text(["Late"])


async def test_two_visible_seconds_make_a_view_and_less_does_not(ann: Page, service: Service, acme: Tenant) -> None:
    skill = await publish(acme)
    await ann.clock.install()
    await ann.goto(f"{service.url}/skills/pdf")
    await ann.clock.run_for(1_900)
    assert await acme.get_user_view("ann", skill.skill_id) is None
    await ann.clock.run_for(200)
    await expect(ann.get_by_role("status")).to_have_text("Seen")
    view = await acme.get_user_view("ann", skill.skill_id)
    assert view is not None
    assert (view.view_count, view.last_viewed_version) == (1, 1)


async def test_time_in_the_background_counts_for_nothing(ann: Page, service: Service, acme: Tenant) -> None:
    skill = await publish(acme)
    # Chromium without a screen shows every tab, so the page is told that it is hidden.
    hide = "Object.defineProperty(document, 'visibilityState', {value: '%s', configurable: true})"
    change = "document.dispatchEvent(new Event('visibilitychange'))"
    await ann.clock.install()
    await ann.goto(f"{service.url}/skills/pdf")
    await ann.clock.run_for(1_500)
    await ann.evaluate(f"{hide % 'hidden'}; {change}")
    await ann.clock.run_for(60_000)
    await ann.evaluate(f"{hide % 'visible'}; {change}")
    await ann.clock.run_for(1_900)
    assert await acme.get_user_view("ann", skill.skill_id) is None
    await ann.clock.run_for(200)
    await expect(ann.get_by_role("status")).to_have_text("Seen")


async def test_without_a_script_a_button_marks_the_skill_as_seen(
    browser: Browser, service: Service, acme: Tenant
) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    page = await signed_in(await browser.new_context(java_script_enabled=False), service)
    await page.goto(f"{service.url}/skills/pdf")
    await page.get_by_role("button", name="Mark as seen").click()
    await expect(page.get_by_text("v1 → v2", exact=True)).to_be_visible()
    assert not await is_badged(acme, "ann", skill.skill_id)


async def test_a_hostile_catalog_runs_nothing_and_calls_nobody(ann: Page, service: Service, acme: Tenant) -> None:
    hostile = "<script>hacked=1</script><img src=https://evil.invalid/x onerror=hacked=1>\"'>"
    content = f"# {hostile}\n\n![x](https://evil.invalid/x.png) [go](javascript:hacked=1) {hostile}"
    skill = await publish(acme, "evil", content=content, name=hostile, description=hostile, category=hostile)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, "evil", content=content + "2", name=hostile, description=hostile, category=hostile)
    await acme.add_feedback(skill.skill_id, user_id="ann", comment=hostile)
    said: list[str] = []
    called: list[str] = []
    ann.on("console", lambda message: said.append(message.text))
    ann.on("request", lambda request: called.append(request.url))
    for path in ("/", "/skills", "/skills/evil", "/skills/evil/diff?from=1&to=2"):
        await ann.goto(service.url + path)
        assert await ann.evaluate("typeof hacked") == "undefined"
    assert called
    assert all(url.startswith(service.url) for url in called)
    assert said == []


async def test_the_keyboard_reaches_everything(ann: Page, service: Service, acme: Tenant) -> None:
    await publish(acme)
    await ann.goto(f"{service.url}/skills")
    await ann.keyboard.press("Tab")
    await expect(ann.get_by_text("Skip to content")).to_be_focused()
    await ann.keyboard.press("Enter")
    for _ in range(4):
        await ann.keyboard.press("Tab")
    await expect(ann.get_by_role("link", name="Pdf")).to_be_focused()
    await ann.keyboard.press("Enter")
    await ann.wait_for_url(f"{service.url}/skills/pdf")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_accessible(
    browser: Browser, service: Service, acme: Tenant, tmp_path: Path, scheme: str
) -> None:
    """Leaves a picture of each page in the folder that EVERYSKILL_SCREENSHOTS names."""
    await stage_a_catalog(acme)
    folder = Path(os.environ.get("EVERYSKILL_SCREENSHOTS", tmp_path))
    context = await browser.new_context(color_scheme=scheme, viewport={"width": 1000, "height": 760})  # type: ignore[arg-type]
    page = await signed_in(context, service)
    for name, path in PAGES.items():
        await page.goto(service.url + path)
        await page.screenshot(path=folder / f"{name}-{scheme}.png")
        await expect_accessible(page)
    await page.set_viewport_size({"width": 375, "height": 667})
    for path in (*PAGES.values(), *MORE_PAGES):
        await page.goto(service.url + path)
        await expect_accessible(page)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 375


async def expect_accessible(page: Page) -> None:
    found = await Axe().run(page)
    assert found.violations_count == 0, f"{page.url}: {found.generate_report()}"


async def stage_a_catalog(acme: Tenant) -> None:
    """A few skills, two of which changed since ann looked."""
    steps = "# Code review\n\n1. Read the description.\n2. Read the tests.\n"
    about = {"description": "Reviews a change for correctness, risk and readability.", "category": "engineering"}
    facts = about | {"slug": "code-review", "name": "Code review"}
    review = await acme.publish_skill(with_script("make lint\n", "scripts/check all.sh", content=steps, **facts))
    notes = await publish(acme, "release-notes", name="Release notes", category="writing")
    await publish(acme, "chart-choice", name="Chart choice", category="data")
    for skill in (review, notes):
        await acme.visit_skill("ann", skill.skill_id)
    more = steps + "3. Run it, if you can.\n\n```sh\nmake test\n```\n"
    await publish(acme, "release-notes", content="two", name="Release notes", category="writing")
    changed = with_script("make lint test\n", "scripts/check all.sh", content=more, **facts)
    await acme.publish_skill(changed, author_id="bob", note="runs what it reviews")
    await acme.add_feedback(review.skill_id, user_id="bob", comment="The third step found a bug.", sentiment="positive")


LONG_DESCRIPTION = "\n".join(
    f"Line {number} of a description that its author wrote for a model to read." for number in range(15)
)


@pytest.mark.parametrize("screen", [(1280, 720), (375, 667)])
async def test_the_head_and_the_change_card_fit_the_first_screen(
    browser: Browser, service: Service, acme: Tenant, screen: tuple[int, int]
) -> None:
    width, height = screen

    def with_files(text: str) -> SkillFolder:
        skill = folder("pdf", text, description=LONG_DESCRIPTION)
        files = (
            SkillFile(f"scripts/part-{number}.py", 100, sha256(f"{text}{number}".encode()).hexdigest())
            for number in range(100)
        )
        return replace(skill, files=(*skill.files, *files))

    skill = await acme.publish_skill(with_files("# Pdf\n\none\n"))
    await acme.visit_skill("ann", skill.skill_id)
    await acme.publish_skill(with_files("# Pdf\n\ntwo\n"))
    page = await signed_in(await browser.new_context(viewport={"width": width, "height": height}), service)
    await page.goto(f"{service.url}/skills/pdf")
    card = await page.locator(".summary").bounding_box()
    parts = await page.get_by_role("navigation", name="Parts of the skill").bounding_box()
    assert card
    assert parts
    assert card["height"] <= height / 3
    assert parts["y"] + parts["height"] <= height
    # Nothing is wider than the screen.
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_a_skill_that_did_not_change_has_no_card_and_no_button(ann: Page, service: Service, acme: Tenant) -> None:
    await acme.visit_skill("ann", (await publish(acme)).skill_id)
    await ann.goto(f"{service.url}/skills/pdf")
    await expect(ann.locator(".summary")).to_have_count(0)
    await expect(ann.get_by_role("button", name="Mark as seen")).to_be_hidden()


async def test_back_shows_what_is_true_now(ann: Page, service: Service, acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    await ann.goto(f"{service.url}/skills")
    await expect(ann.get_by_text("Updated", exact=True)).to_have_count(1)
    await ann.get_by_role("link", name="Pdf").click()
    await expect(ann.get_by_role("status")).to_have_text("Seen")
    await ann.go_back()
    await expect(ann.get_by_text("Updated", exact=True)).to_have_count(0)
