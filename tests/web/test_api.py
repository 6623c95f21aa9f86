"""What each call of the API promises, through ASGI against a real database."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import prometheus_client
import pytest
from litestar import Litestar
from litestar.types import Message
from msgspec.structs import replace
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from structlog.testing import capture_logs

import everyskill
from everyskill.handles import Database, Tenant
from everyskill.web.app import create_app
from tests.support.databases import Clone, add_tenant
from tests.support.http_clients import SETTINGS, bearer, client_of, code_of
from tests.support.skills import is_badged, publish

LONG_AGO = "2020-01-01T00:00:00Z"
NEW_SKILL = {"name": "Pdf", "description": "Reads.", "content": "# Pdf\n"}


async def test_recording_a_view_takes_what_the_page_showed(ann: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    await publish(acme, content="two")
    rendered = datetime.now(UTC) - timedelta(seconds=10)
    body = {"version": 1, "viewed_at": rendered.isoformat()}
    response = await ann.post(f"/v1/skills/{skill.skill_id}/views", json=body)
    assert (response.status_code, response.content) == (204, b"")
    view = await acme.get_user_view("ann", skill.skill_id)
    assert view is not None
    assert (view.last_viewed_version, view.view_count) == (1, 1)
    assert abs(view.last_viewed_at - rendered) < timedelta(milliseconds=1)


GETS = ["/v1/skills", "/v1/skills/pdf", "/v1/whats-new", "/v1/whats-new/count", "/health/live", "/schema", "/metrics"]


@pytest.mark.parametrize("path", GETS)
async def test_head_answers_like_get_without_a_body(ann: httpx.AsyncClient, acme: Tenant, path: str) -> None:
    skill = await publish(acme)
    get, head = await ann.get(path), await ann.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "cache-control", "etag"):
        assert head.headers.get(name) == get.headers.get(name)
    assert await acme.get_user_view("ann", skill.skill_id) is None


async def test_recording_a_view_needs_no_body(ann: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    assert (await ann.post(f"/v1/skills/{skill.skill_id}/views")).status_code == 204
    assert await acme.get_user_view("ann", skill.skill_id) is not None


async def test_a_view_is_the_callers_own(ann: httpx.AsyncClient, admin: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    view = (await ann.get(f"/v1/skills/{skill.skill_id}/view")).json()
    assert (view["user_id"], view["last_viewed_version"], view["view_count"]) == ("ann", 1, 1)
    assert code_of(await admin.get(f"/v1/skills/{skill.skill_id}/view")) == "view_not_found"


@pytest.mark.parametrize("way", ["query", "body"])
async def test_views_come_by_skill_id_with_their_badge(ann: httpx.AsyncClient, acme: Tenant, way: str) -> None:
    changed, same = await publish(acme, "changed"), await publish(acme, "same")
    for skill in (changed, same):
        await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, "changed", "two")
    ids = [changed.skill_id, same.skill_id, "nothing", same.skill_id]
    if way == "query":
        response = await ann.get("/v1/views", params={"skill_id": ids})
    else:
        response = await ann.post("/v1/views/lookup", json={"skill_ids": ids})
    assert response.status_code == 200
    badges = {skill_id: view["is_updated"] for skill_id, view in response.json().items()}
    assert badges == {changed.skill_id: True, same.skill_id: False}


async def test_asking_for_no_views_gives_none(ann: httpx.AsyncClient) -> None:
    assert (await ann.get("/v1/views")).json() == {}


async def test_more_ids_than_a_call_may_name_are_refused(ann: httpx.AsyncClient) -> None:
    response = await ann.post("/v1/views/lookup", json={"skill_ids": [str(number) for number in range(10_001)]})
    assert response.status_code == 400


async def test_the_feed_pages_to_its_end(ann: httpx.AsyncClient, acme: Tenant) -> None:
    for slug in ("one", "two", "three"):
        skill = await publish(acme, slug)
        await acme.visit_skill("ann", skill.skill_id)
        await publish(acme, slug, "changed")
    first = (await ann.get("/v1/whats-new", params={"limit": 2})).json()
    rest = (await ann.get("/v1/whats-new", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [item["skill_slug"] for item in first["items"] + rest["items"]] == ["three", "two", "one"]
    assert rest["next_cursor"] is None
    assert (await ann.get("/v1/whats-new/count")).json() == {"count": 3}
    assert (await ann.get("/v1/whats-new/count?at_most=2")).json() == {"count": 2}


async def test_marking_as_seen_spares_what_came_after_the_list(ann: httpx.AsyncClient, acme: Tenant) -> None:
    listed, later = await publish(acme, "listed"), await publish(acme, "later")
    for skill in (listed, later):
        await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, "listed", "two")
    as_of = (await ann.get("/v1/whats-new")).json()["as_of"]
    await publish(acme, "later", "two")
    assert (await ann.post("/v1/whats-new/seen", json={"as_of": as_of})).json() == {"marked": 1}
    assert await is_badged(acme, "ann", later.skill_id)
    assert not await is_badged(acme, "ann", listed.skill_id)


async def test_changes_are_told_and_nothing_is_recorded(ann: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    for _ in range(2):
        [change, *_] = (await ann.get(f"/v1/skills/{skill.skill_id}/changes")).json()
        assert (change["type"], change["detail"]) == ("version_bump", "v1 → v2")


async def test_a_visit_tells_the_changes_once(ann: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, content="two")
    visits = [(await ann.post(f"/v1/skills/{skill.skill_id}/visit")).json() for _ in range(2)]
    assert [bool(visit["changes"]) for visit in visits] == [True, False]
    assert [visit["version"] for visit in visits] == [2, 2]


async def test_a_version_id_has_a_number(ann: httpx.AsyncClient, acme: Tenant) -> None:
    await publish(acme)
    version = (await acme.list_versions("pdf"))[0]
    assert (await ann.get(f"/v1/skill-versions/{version.id}/number")).json() == {"number": 1}
    assert code_of(await ann.get("/v1/skill-versions/none/number")) == "version_not_found"


async def test_feedback_is_added_in_the_callers_name_and_counted(ann: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    response = await ann.post(
        f"/v1/skills/{skill.skill_id}/feedback", json={"comment": "Good.", "sentiment": "positive"}
    )
    assert response.status_code == 201
    assert (response.json()["user_id"], response.json()["comment"]) == ("ann", "Good.")
    count = await ann.get(f"/v1/skills/{skill.skill_id}/feedback-count", params={"since": LONG_AGO})
    assert count.json() == {"count": 1}


async def test_the_list_is_filtered_paged_and_badged(ann: httpx.AsyncClient, acme: Tenant) -> None:
    for slug in ("alpha", "beta"):
        skill = await publish(acme, slug, category="docs")
        await acme.visit_skill("ann", skill.skill_id)
    await publish(acme, "other", category="data")
    await publish(acme, "beta", "two", category="docs")
    first = (await ann.get("/v1/skills", params={"category": "docs", "limit": 1})).json()
    rest = (await ann.get("/v1/skills", params={"category": "docs", "cursor": first["next_cursor"]})).json()
    shown = [(item["slug"], item["is_updated"]) for item in first["items"] + rest["items"]]
    assert shown == [("alpha", False), ("beta", True)]
    assert [item["slug"] for item in (await ann.get("/v1/skills", params={"text": "OTHER"})).json()["items"]] == [
        "other"
    ]


async def test_a_skill_is_read_by_slug_and_by_id_and_not_thereby_viewed(ann: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    by_slug, by_id = [(await ann.get(f"/v1/skills/{name}")).json() for name in ("pdf", skill.skill_id)]
    assert by_slug == by_id
    assert (by_slug["skill"]["slug"], by_slug["published"]["content"]) == ("pdf", "one")
    assert await acme.get_user_view("ann", skill.skill_id) is None


@pytest.mark.parametrize("name", ["ΟΔΟΣ", "İstanbul", "Straße", "100 %_"])
async def test_a_skill_is_found_by_its_own_name(ann: httpx.AsyncClient, acme: Tenant, name: str) -> None:
    await publish(acme, "named", name=name)
    await publish(acme, "other")
    found = (await ann.get("/v1/skills", params={"text": name})).json()["items"]
    assert [item["slug"] for item in found] == ["named"]


async def test_versions_come_newest_first_without_their_texts(ann: httpx.AsyncClient, acme: Tenant) -> None:
    await publish(acme)
    await publish(acme, content="two", author_id="bob")
    versions = (await ann.get("/v1/skills/pdf/versions")).json()
    assert [(version["version"], version["created_by"]) for version in versions] == [(2, "bob"), (1, None)]
    assert "content" not in versions[0]


async def test_versions_come_in_pages_of_at_most_a_hundred(ann: httpx.AsyncClient, acme: Tenant) -> None:
    for number in range(102):
        await publish(acme, content=f"{number}")
    newest = [version["version"] for version in (await ann.get("/v1/skills/pdf/versions")).json()]
    oldest = [version["version"] for version in (await ann.get("/v1/skills/pdf/versions?up_to=2&limit=9")).json()]
    assert (newest, oldest) == ([*range(102, 2, -1)], [2, 1])
    assert code_of(await ann.get("/v1/skills/pdf/versions?limit=101")) == "invalid_limit"


async def test_two_versions_are_compared_line_by_line(ann: httpx.AsyncClient, acme: Tenant) -> None:
    await publish(acme, content="same\nold")
    await publish(acme, content="same\nnew")
    [diff] = (await ann.get("/v1/skills/pdf/diff", params={"from": 1, "to": 2})).json()
    assert (diff["path"], diff["status"]) == ("SKILL.md", "changed")
    assert diff["lines"][1:] == [["context", "same"], ["removed", "old"], ["added", "new"]]
    assert code_of(await ann.get("/v1/skills/pdf/diff?from=1&to=9")) == "version_not_found"


async def test_an_admin_publishes_and_is_not_badged(admin: httpx.AsyncClient, acme: Tenant) -> None:
    other = {"path": "lib/check.py", "size": 3, "hash": "0" * 64}
    first = (await admin.put("/v1/skills/pdf", json=NEW_SKILL)).json()
    await acme.visit_skill("bob", first["skill_id"])
    second = (await admin.put("/v1/skills/pdf", json=NEW_SKILL | {"files": [other]})).json()
    again = (await admin.put("/v1/skills/pdf", json=NEW_SKILL | {"files": [other]})).json()
    outcomes = [(answer["outcome"], answer["version"]) for answer in (first, second, again)]
    assert outcomes == [("added", 1), ("updated", 2), ("unchanged", 2)]
    assert not await is_badged(acme, "bob", first["skill_id"])


async def test_the_body_of_a_member_who_publishes_is_not_read(ann: httpx.AsyncClient) -> None:
    response = await ann.put("/v1/skills/pdf", content=b"{", headers={"Content-Type": "application/json"})
    assert code_of(response) == "not_allowed"


@pytest.mark.parametrize(
    "path", ["/v1/views/lookup", "/v1/whats-new/seen", "/v1/skills/x/feedback", "/v1/skills/x/views"]
)
async def test_what_is_no_skill_has_a_mebibyte_at_most(ann: httpx.AsyncClient, path: str) -> None:
    body = b"[" + b"0," * (512 * 1024) + b"0]"
    response = await ann.post(path, content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, code_of(response)) == (413, "request_entity_too_large")


async def test_ten_thousand_ids_are_looked_up_at_once(ann: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.record_skill_view("ann", skill.skill_id, 1)
    ids = [skill.skill_id, *(str(uuid4()) for _ in range(9_999))]
    assert list((await ann.post("/v1/views/lookup", json={"skill_ids": ids})).json()) == [skill.skill_id]


async def test_a_member_does_not_publish(ann: httpx.AsyncClient, acme: Tenant) -> None:
    response = await ann.put("/v1/skills/pdf", json=NEW_SKILL)
    assert (response.status_code, code_of(response)) == (403, "not_allowed")
    assert (await acme.list_skills()).items == []


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../b", "a//b", "SKILL.md", "a\\b", "./a"])
async def test_no_file_lies_outside_of_its_folder(admin: httpx.AsyncClient, path: str) -> None:
    upload = NEW_SKILL | {"files": [{"path": path, "size": 1, "hash": "0" * 64}]}
    assert code_of(await admin.put("/v1/skills/pdf", json=upload)) == "invalid_text"


@pytest.mark.parametrize("slug", ["..", "%2e%2e", "a%2fb", "..%2f..%2fetc", "Upper", "a--b", "x" * 101])
async def test_no_slug_leads_elsewhere(admin: httpx.AsyncClient, acme: Tenant, slug: str) -> None:
    response = await admin.put(f"/v1/skills/{slug}", json=NEW_SKILL)
    assert response.status_code in {400, 404, 405}
    assert (await acme.list_skills()).items == []


# What is another tenant's


async def test_s15_another_tenants_skill_is_answered_like_none(
    ann: httpx.AsyncClient, globex: Tenant, owner: asyncpg.Connection
) -> None:
    theirs = await publish(globex)
    version = (await globex.list_versions("pdf"))[0]

    async def told(skill: str, slug: str, version_id: str) -> list[tuple[int, str]]:
        calls = [
            ann.post(f"/v1/skills/{skill}/views"),
            ann.get(f"/v1/skills/{skill}/view"),
            ann.get("/v1/views", params={"skill_id": skill}),
            ann.get(f"/v1/skills/{skill}/changes"),
            ann.post(f"/v1/skills/{skill}/visit"),
            ann.post(f"/v1/skills/{skill}/feedback", json={"comment": "x"}),
            ann.get(f"/v1/skills/{skill}/feedback-count", params={"since": LONG_AGO}),
            ann.get(f"/v1/skills/{skill}"),
            ann.get(f"/v1/skills/{slug}/versions"),
            ann.get(f"/v1/skills/{slug}/diff?from=1&to=1"),
            ann.get(f"/v1/skill-versions/{version_id}/number"),
        ]
        answers = await asyncio.gather(*calls)
        texts = [answer.text.replace(skill, "…").replace(slug, "…").replace(version_id, "…") for answer in answers]
        return [(answer.status_code, text) for answer, text in zip(answers, texts, strict=True)]

    missing = "00000000-0000-4000-8000-000000000000"
    assert await told(theirs.skill_id, "pdf", version.id) == await told(missing, "nil", missing.replace("8", "9"))
    assert await owner.fetchval("SELECT count(*) FROM user_skill_views") == 0


# Answers that somebody has already


@pytest.mark.parametrize(
    "path", ["whats-new", "whats-new/count", "skills", "skills/pdf", "skills/pdf/versions", "views?skill_id={}"]
)
async def test_what_is_known_already_is_not_sent_again(ann: httpx.AsyncClient, acme: Tenant, path: str) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    address = f"/v1/{path}".format(skill.skill_id)
    first = await ann.get(address)
    assert first.headers["cache-control"] == "private, no-cache"
    again = await ann.get(address, headers={"If-None-Match": f'"other", {first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


async def test_a_change_changes_the_tag(ann: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    await acme.visit_skill("ann", skill.skill_id)
    before = await ann.get("/v1/whats-new")
    await publish(acme, content="two")
    after = await ann.get("/v1/whats-new", headers={"If-None-Match": before.headers["etag"]})
    assert (after.status_code, len(after.json()["items"])) == (200, 1)


async def test_whether_more_follows_in_the_feed_changes_the_tag(ann: httpx.AsyncClient, acme: Tenant) -> None:
    older, newer = await publish(acme, "older"), await publish(acme, "newer")
    for skill in (older, newer):
        await acme.visit_skill("ann", skill.skill_id)
        await publish(acme, skill.slug, "two")
    before = await ann.get("/v1/whats-new?limit=1")
    await acme.visit_skill("ann", older.skill_id)
    after = await ann.get("/v1/whats-new?limit=1", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert before.json()["items"] == after.json()["items"]
    assert (bool(before.json()["next_cursor"]), after.json()["next_cursor"]) == (True, None)


async def test_what_was_written_is_stored_by_nobody(ann: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    response = await ann.post(f"/v1/skills/{skill.skill_id}/visit")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


# Bad input


JSON = {"content-type": "application/json"}
BAD: dict[str, tuple[str, str, dict[str, Any]]] = {
    "NUL in a path": ("GET", "/v1/skills/a%00b", {}),
    "over-long path": ("GET", f"/v1/skills/{'x' * 300}", {}),
    "huge number": ("GET", "/v1/skills/pdf/diff?from=1&to=" + "9" * 5_000, {}),
    "number beyond the column": ("GET", "/v1/skills/pdf/diff?from=1&to=2147483648", {}),
    "no number": ("GET", "/v1/skills/pdf/diff?from=one&to=2", {}),
    "missing parameter": ("GET", "/v1/skills/pdf/diff?from=1", {}),
    "limit 0": ("GET", "/v1/whats-new?limit=0", {}),
    "at most 0": ("GET", "/v1/whats-new/count?at_most=0", {}),
    "foreign cursor": ("GET", "/v1/whats-new?cursor=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzIzOjAwIiwgIngiXQ", {}),
    "no date": ("GET", "/v1/skills/pdf/feedback-count?since=yesterday", {}),
    "date without a zone": ("GET", "/v1/skills/pdf/feedback-count?since=2026-01-01T00:00:00", {}),
    "date before the calendar": ("GET", "/v1/skills/pdf/feedback-count?since=0001-01-01T00:00:00%2B23:59", {}),
    "date after the calendar": ("POST", "/v1/whats-new/seen", {"json": {"as_of": "9999-12-31T23:59:59.9-12:00"}}),
    "year 10000": ("POST", "/v1/whats-new/seen", {"json": {"as_of": "10000-01-01T00:00:00Z"}}),
    "number for a date": ("POST", "/v1/whats-new/seen", {"json": {"as_of": 120}}),
    "digits for a date": ("POST", "/v1/whats-new/seen", {"json": {"as_of": "120"}}),
    "number for the moment of a view": ("POST", "/v1/skills/x/views", {"json": {"viewed_at": 120.5}}),
    "number for a date in a query": ("GET", "/v1/skills/pdf/feedback-count?since=120", {}),
    "null for a number": ("GET", "/v1/whats-new/count?at_most=null", {}),
    "null for a limit": ("GET", "/v1/whats-new?limit=NULL", {}),
    "nothing for a number": ("GET", "/v1/whats-new/count?at_most=", {}),
    "number of many digits in a query": ("GET", "/v1/whats-new/count?at_most=" + "9" * 5_000, {}),
    "UTF-16": (
        "POST",
        "/v1/whats-new/seen",
        {
            "content": '{"as_of": "2026-01-01T00:00:00Z"}'.encode("utf-16"),
            "headers": {"content-type": "application/json; charset=utf-16"},
        },
    ),
    "broken JSON": ("POST", "/v1/whats-new/seen", {"content": b"{", "headers": JSON}),
    "no UTF-8": ("POST", "/v1/whats-new/seen", {"content": b'{"as_of": "\xff"}', "headers": JSON}),
    "deep JSON": ("POST", "/v1/whats-new/seen", {"content": b"[" * 500_000, "headers": JSON}),
    "number out of range": ("POST", "/v1/skills/x/views", {"content": b'{"version": 1e999}', "headers": JSON}),
    "number of many digits": (
        "POST",
        "/v1/skills/x/views",
        {"content": b'{"version": %s}' % (b"9" * 9_000), "headers": JSON},
    ),
    "lone surrogate": ("POST", "/v1/skills/x/feedback", {"content": b'{"comment": "\\ud800"}', "headers": JSON}),
    "NUL in a comment": ("POST", "/v1/skills/x/feedback", {"json": {"comment": "a\0b"}}),
    "feedback that says nothing": ("POST", "/v1/skills/x/feedback", {"json": {}}),
    "unknown sentiment": ("POST", "/v1/skills/x/feedback", {"json": {"sentiment": "meh"}}),
    "unknown field": ("POST", "/v1/skills/x/views", {"json": {"user_id": "bob"}}),
    "no body": ("POST", "/v1/whats-new/seen", {}),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_input_is_a_problem_of_the_caller(ann: httpx.AsyncClient, case: str) -> None:
    method, path, more = BAD[case]
    response = await ann.request(method, path, **more)
    assert response.status_code == 400, response.text
    assert code_of(response)


@pytest.mark.parametrize(
    ("path", "code", "name"),
    [
        ("skills?limt=1", "unknown_parameter", "limt"),
        ("skills/pdf?limit=1", "unknown_parameter", "limit"),
        ("views?skill_ids=a", "unknown_parameter", "skill_ids"),
        ("skills/pdf/diff?old=1&to=2", "unknown_parameter", "old"),
        ("whats-new?limit=1&limit=1", "repeated_parameter", "limit"),
    ],
)
async def test_a_parameter_that_a_call_does_not_take_is_named(
    ann: httpx.AsyncClient, path: str, code: str, name: str
) -> None:
    response = await ann.get(f"/v1/{path}")
    assert (response.status_code, code_of(response)) == (400, code)
    assert repr(name) in response.json()["detail"]


async def test_a_link_to_a_page_may_carry_parameters_of_others(ann: httpx.AsyncClient) -> None:
    assert (await ann.get("/skills?utm_source=mail", headers={"Accept": "text/html"})).status_code == 200


INVALID: dict[str, tuple[str, str, Any, dict[str, str]]] = {
    "query": ("GET", "/v1/whats-new?limit=ten", None, {"source": "query", "key": "limit"}),
    "query by another name": ("GET", "/v1/skills/pdf/diff?from=one&to=2", None, {"source": "query", "key": "from"}),
    "query of a page": ("GET", "/skills/pdf/diff?from=one&to=2", None, {"source": "query", "key": "from"}),
    "field": ("POST", "/v1/whats-new/seen", {"as_of": 3}, {"source": "body", "key": "as_of"}),
    "body of another kind": ("POST", "/v1/whats-new/seen", [3], {"source": "body"}),
    "no body": ("POST", "/v1/whats-new/seen", None, {"source": "body"}),
}


@pytest.mark.parametrize("case", INVALID)
async def test_what_is_invalid_is_named_as_the_client_knows_it(ann: httpx.AsyncClient, case: str) -> None:
    method, path, body, named = INVALID[case]
    [error] = (await ann.request(method, path, **({} if body is None else {"json": body}))).json()["errors"]
    assert error.pop("message").startswith("Expected ")
    assert error == named


@pytest.mark.parametrize("path", ["skills?cursor=No+such", "skills?cursor=WyIyMDI2", "whats-new?cursor=code-review"])
async def test_a_cursor_that_was_never_handed_out_is_refused(ann: httpx.AsyncClient, acme: Tenant, path: str) -> None:
    assert code_of(await ann.get(f"/v1/{path}")) == "invalid_cursor"


async def test_a_cursor_outlives_the_skill_that_it_names(ann: httpx.AsyncClient, acme: Tenant) -> None:
    for slug in ("one", "three", "two"):
        await publish(acme, slug)
    cursor = (await ann.get("/v1/skills?limit=2")).json()["next_cursor"]
    await acme.archive_skill("three")
    rest = (await ann.get("/v1/skills", params={"cursor": cursor})).json()
    assert [item["slug"] for item in rest["items"]] == ["two"]


ALLOWED = {
    "/v1/skills": "GET, HEAD, OPTIONS",
    "/v1/skills/pdf": "GET, HEAD, OPTIONS, PUT",
    "/v1/whats-new/seen": "OPTIONS, POST",
    "/sign-in": "GET, HEAD, OPTIONS, POST",
    "/metrics": "GET, HEAD, OPTIONS",
}


@pytest.mark.parametrize("path", ALLOWED)
async def test_a_route_says_which_methods_it_has(ann: httpx.AsyncClient, path: str) -> None:
    asked, refused = await ann.options(path), await ann.patch(path)
    assert (asked.status_code, asked.content, asked.headers["allow"]) == (204, b"", ALLOWED[path])
    assert (refused.status_code, refused.headers["allow"]) == (405, ALLOWED[path])


async def test_a_name_with_a_slash_is_no_skill(ann: httpx.AsyncClient, acme: Tenant) -> None:
    await publish(acme)
    assert code_of(await ann.get("/v1/skills/pdf%2Fother")) == "not_found"
    assert (await ann.get("/v1/skills/pdf/")).json() == (await ann.get("/v1/skills/pdf")).json()


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
async def test_a_body_of_another_kind_is_refused(ann: httpx.AsyncClient, kind: str) -> None:
    response = await ann.post(
        "/v1/whats-new/seen", content=b'{"as_of": "2026-01-01T00:00:00Z"}', headers={"content-type": kind}
    )
    assert (response.status_code, code_of(response)) == (415, "unsupported_media_type")


async def test_a_huge_body_is_refused(ann: httpx.AsyncClient) -> None:
    body = b'{"skill_ids": ["' + b"x" * SETTINGS.body_limit + b'"]}'
    response = await ann.post("/v1/views/lookup", content=body, headers=JSON)
    assert (response.status_code, code_of(response)) == (413, "request_entity_too_large")


async def test_a_body_has_the_size_that_the_operator_set(newest_server: None, database: Database, acme: Tenant) -> None:
    app = create_app(database, replace(SETTINGS, body_limit=1_000))
    async with client_of(app, bearer(role="admin")) as admin:

        async def publish(content: str) -> int:
            return (await admin.put("/v1/skills/pdf", json=NEW_SKILL | {"content": content})).status_code

        async def look_up(skill_id: str) -> int:
            return (await admin.post("/v1/views/lookup", json={"skill_ids": [skill_id]})).status_code

        assert [await publish("x" * length) for length in (900, 1_000)] == [200, 413]
        # Whatever publishes no skill may have a quarter.
        assert [await look_up("x" * length) for length in (200, 250)] == [200, 413]


async def test_a_huge_body_that_does_not_say_so_is_refused(ann: httpx.AsyncClient) -> None:
    async def drops() -> Any:
        for _ in range(SETTINGS.body_limit // 65_536 + 2):
            yield b" " * 65_536

    response = await ann.post("/v1/views/lookup", content=drops(), headers=JSON)
    assert response.status_code == 413


async def test_an_unknown_path_and_an_unknown_method_are_problems(ann: httpx.AsyncClient) -> None:
    assert code_of(await ann.get("/v1/nothing", headers={"Accept": "text/html"})) == "not_found"
    assert code_of(await ann.delete("/v1/skills/pdf")) == "method_not_allowed"


# The operator's side


async def test_a_request_id_comes_back_if_it_is_one(ann: httpx.AsyncClient) -> None:
    given = await ann.get("/health/live", headers={"X-Request-ID": "build-7.42"})
    forged = await ann.get("/v1/nothing", headers={"X-Request-ID": 'x" level="error'})
    assert given.headers["x-request-id"] == "build-7.42"
    assert len(forged.headers["x-request-id"]) == 32


async def test_metrics_name_routes_and_nobody(ann: httpx.AsyncClient, acme: Tenant) -> None:
    skill = await publish(acme)
    await ann.get(f"/v1/skills/{skill.skill_id}/view")
    metrics = (await ann.get("/metrics")).text
    assert 'path="/v1/skills/{skill_id}/view"' in metrics
    for secret in ("acme", '"ann', skill.skill_id):
        assert secret not in metrics


async def test_metrics_are_written_once_for_all_who_ask_and_beside_the_event_loop(ann: httpx.AsyncClient) -> None:
    class Noting(Collector):
        def collect(self) -> Iterator[Metric]:
            threads.append(threading.current_thread())
            may_go_on.wait(10)
            yield Metric("noted", "", "gauge")

    threads: list[threading.Thread] = []
    may_go_on = threading.Event()
    may_go_on.set()
    noting = Noting()
    prometheus_client.REGISTRY.register(noting)
    threads.clear()
    may_go_on.clear()
    try:
        asking = [asyncio.ensure_future(ann.get("/metrics")) for _ in range(5)]
        assert (await ann.get("/health/live")).status_code == 200
        may_go_on.set()
        assert [response.status_code for response in await asyncio.gather(*asking)] == [200] * 5
    finally:
        may_go_on.set()
        prometheus_client.REGISTRY.unregister(noting)
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


@pytest.mark.parametrize(("revision", "status", "errors"), [(None, 200, 0), ("9999_later", 503, 1)])
async def test_metrics_count_and_time_what_was_answered(
    ann: httpx.AsyncClient, owner: asyncpg.Connection, revision: str | None, status: int, errors: int
) -> None:
    if revision is not None:
        await owner.execute("UPDATE alembic_version SET version_num = $1", revision)
    labels = {"method": "GET", "path": "/health/ready", "status_code": str(status), "app_name": "everyskill"}

    def told(name: str) -> float:
        return prometheus_client.REGISTRY.get_sample_value(f"everyskill_{name}", labels) or 0

    names = ["requests_total", "request_duration_seconds_count", "requests_error_total"]
    before = [told(name) for name in names]
    seconds = told("request_duration_seconds_sum")
    assert (await ann.head("/health/ready")).status_code == status
    assert [told(name) - was for name, was in zip(names, before, strict=True)] == [1, 1, errors]
    assert 0 < told("request_duration_seconds_sum") - seconds < 10
    labels["status_code"] = "200"
    assert told("requests_in_progress") == 0


async def test_a_database_that_is_away_is_told_and_comes_back(ann: httpx.AsyncClient, clone: Clone) -> None:
    assert (await ann.get("/health/ready")).json() == {"status": "ok"}
    outside = await asyncpg.connect(clone.server.superuser_url)
    await outside.execute(f"ALTER DATABASE {clone.name} ALLOW_CONNECTIONS false")
    await outside.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", clone.name)
    away, ready, live = [await ann.get(path) for path in ("/v1/skills", "/health/ready", "/health/live")]
    assert (away.status_code, code_of(away)) == (503, "database_unreachable")
    assert int(away.headers["retry-after"]) > 0
    # The reason names the database: that is for the operator.
    with capture_logs() as log:
        again = await ann.get("/v1/skills")
    [warning] = [line for line in log if line["event"] == "database not ready"]
    assert (warning["code"], warning["reason"]) == ("database_unreachable", ready.json()["detail"])
    assert [clone.name in response.text for response in (again, away, ready)] == [False, False, True]
    assert away.json()["detail"] == again.json()["detail"] == "The database is not ready. Try again in a few seconds."
    assert (ready.status_code, code_of(ready)) == (503, "database_unreachable")
    assert live.status_code == 200
    await outside.execute(f"ALTER DATABASE {clone.name} ALLOW_CONNECTIONS true")
    await outside.close()
    assert (await ann.get("/v1/skills")).status_code == 200


async def test_readiness_says_which_revision_is_wrong(ann: httpx.AsyncClient, owner: asyncpg.Connection) -> None:
    await owner.execute("UPDATE alembic_version SET version_num = '9999_later'")
    response = await ann.get("/health/ready")
    assert (response.status_code, code_of(response)) == (503, "database_too_new")
    assert "9999_later" in response.json()["detail"]


async def test_all_who_ask_for_readiness_share_one_connection(
    ann: httpx.AsyncClient, owner: asyncpg.Connection
) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'alembic_version'::regclass"
    async with owner.transaction():
        await owner.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        asking = [asyncio.create_task(ann.get("/health/ready")) for _ in range(30)]
        while not await owner.fetchval(waiting):  # noqa: ASYNC110 - the database has no event for it
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        assert await owner.fetchval(waiting) == 1
    assert {(await answer).status_code for answer in asking} == {200}


async def test_who_hangs_up_ends_no_check_of_readiness_for_the_others(
    ann: httpx.AsyncClient, owner: asyncpg.Connection
) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'alembic_version'::regclass"
    async with owner.transaction():
        await owner.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        first, second = [asyncio.create_task(ann.get("/health/ready")) for _ in range(2)]
        while not await owner.fetchval(waiting):  # noqa: ASYNC110 - the database has no event for it
            await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.wait([first])
    assert (await second).status_code == 200


async def stands_still() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.sleep(60)


async def trickles() -> AsyncIterator[bytes]:
    for _ in range(100):
        yield b" "
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("body", [stands_still, trickles])
async def test_a_body_that_does_not_arrive_in_time_frees_its_place(
    app: Litestar, body: Callable[[], AsyncIterator[bytes]]
) -> None:
    narrow = create_app(app.state.database, replace(SETTINGS, busy_limit=1, body_timeout=0.5))
    async with client_of(narrow, bearer()) as client:
        headers = {"Content-Type": "application/json"}
        slow = await client.post("/v1/views/lookup", content=body(), headers=headers)
        assert (slow.status_code, code_of(slow)) == (408, "body_too_slow")
        assert (await client.get("/v1/whats-new")).status_code == 200


async def test_a_client_that_hangs_up_is_no_error_of_ours(app: Litestar, caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Message] = []
    token = bearer()["Authorization"].encode()
    headers = [(b"authorization", token), (b"content-type", b"application/json"), (b"content-length", b"10")]
    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": "/v1/views/lookup",
        "raw_path": b"/v1/views/lookup",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("skills.example.org", 443),
    }

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert [message["status"] for message in sent if message["type"] == "http.response.start"] == [400]
    assert "request failed" not in caplog.text


@pytest.mark.parametrize(
    ("comment", "status"),
    [("a\0", 400), ("a" * 9_999 + "\0", 400), ("\0a", 400), (" \n", 400), (" a \n", 201), ("a" * 10_000, 201)],
)
async def test_a_comment_is_some_text_that_can_be_stored(
    ann: httpx.AsyncClient, acme: Tenant, comment: str, status: int
) -> None:
    skill = await publish(acme)
    answer = await ann.post(f"/v1/skills/{skill.skill_id}/feedback", json={"comment": comment})
    assert answer.status_code == status


async def test_a_full_queue_is_answered_by_come_back(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERYSKILL_QUEUE_SIZE", "1")
    async with everyskill.connect(clone.service_url) as database:
        skill = await publish(await add_tenant(database, "acme"))
        async with client_of(create_app(database, SETTINGS), bearer()) as client:
            path = f"/v1/skills/{skill.skill_id}/views"
            await client.post(path)
            answers = await asyncio.gather(*(client.post(path) for _ in range(20)))
    refused = [answer for answer in answers if answer.status_code != 204]
    assert {code_of(answer) for answer in refused} == {"overloaded"}
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in refused} == {(503, "5")}


async def test_beyond_the_limit_requests_are_sent_away_to_come_back(app: Litestar, acme: Tenant) -> None:
    narrow = create_app(app.state.database, replace(SETTINGS, busy_limit=1))
    async with client_of(narrow, bearer()) as ann:
        *answers, probe = await asyncio.gather(*(ann.get("/v1/skills") for _ in range(5)), ann.get("/health/live"))
        assert probe.status_code == 200, "a process that is only busy is not restarted"
        busy = [answer for answer in answers if answer.status_code == 503]
        assert (len(busy), code_of(busy[0])) == (4, "too_busy")
        assert int(busy[0].headers["retry-after"]) > 0
        assert (await ann.get("/v1/skills")).status_code == 200


async def test_what_stands_in_the_front_matter_of_an_upload_is_kept(admin: httpx.AsyncClient, acme: Tenant) -> None:
    content = "---\nname: pdf\ndescription: Reads.\nlicense: MIT\nallowed-tools: Bash Read\n---\n# Pdf\n"
    await admin.put("/v1/skills/pdf", json={"name": "pdf", "description": "Reads.", "content": content})
    version = await acme.get_version("pdf", 1)
    assert version.front_matter is not None
    assert list(version.front_matter) == ["name", "description", "license", "allowed-tools"]
    assert version.capabilities is not None
    assert "3:tool:Bash" in version.capabilities
