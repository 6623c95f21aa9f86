"""Renamed and archived skills over HTTP, feedback in pages, and who is asking."""

from datetime import datetime

import httpx
import pytest

from everyskill.handles import Tenant
from tests.support.http_clients import code_of
from tests.support.skills import publish


@pytest.mark.parametrize("rest", ["", "/versions?limit=3", "/diff?from=1&to=2", "/feedback", "/view", "/changes"])
async def test_a_get_by_an_old_slug_is_answered_by_the_new_address(
    ann: httpx.AsyncClient, acme: Tenant, rest: str
) -> None:
    await publish(acme, "old")
    await acme.visit_skill("ann", "old")
    await publish(acme, "old", "two")
    direct = await ann.get(f"/v1/skills/old{rest}")
    await acme.rename_skill("old", "new")
    for method in ("GET", "HEAD"):
        moved = await ann.request(method, f"/v1/skills/old{rest}")
        assert (moved.status_code, moved.headers["location"]) == (308, f"/v1/skills/new{rest}")
        assert moved.headers["cache-control"] == "no-store"
    followed = await ann.get(moved.headers["location"])
    assert (followed.status_code, len(followed.content)) == (200, len(direct.content))
    # A skill that has the slug is found there, and an id never moves.
    await publish(acme, "old")
    await acme.visit_skill("ann", "old")
    assert (await ann.get("/v1/skills/old")).json()["skill"]["slug"] == "old"


async def test_a_write_by_an_old_slug_is_done(ann: httpx.AsyncClient, acme: Tenant) -> None:
    await publish(acme, "old")
    await acme.rename_skill("old", "new")
    assert (await ann.post("/v1/skills/old/views", json={"version": 1})).status_code == 204
    assert (await ann.post("/v1/skills/old/visit")).json()["version"] == 1
    assert (await ann.post("/v1/skills/old/feedback", json={"comment": "Good."})).status_code == 201
    view = (await ann.get("/v1/skills/new/view")).json()
    assert view["view_count"] == 2
    badges = (await ann.post("/v1/views/lookup", json={"skill_ids": ["old", "new"]})).json()
    assert badges["old"] == badges["new"]


async def test_admins_rename_archive_and_restore(
    admin: httpx.AsyncClient, ann: httpx.AsyncClient, acme: Tenant
) -> None:
    await publish(acme, "old")
    await publish(acme, "other")
    assert (await admin.post("/v1/skills/old/rename", json={"slug": "new"})).json()["slug"] == "new"
    refused = await admin.post("/v1/skills/new/rename", json={"slug": "other"})
    assert (refused.status_code, code_of(refused)) == (409, "slug_taken")
    assert (await admin.post("/v1/skills/old/archive")).json()["status"] == "archived"
    assert (await ann.get("/v1/skills/new")).status_code == 404
    assert (await admin.post("/v1/skills/new/restore")).json()["status"] == "published"
    for call, body in (("rename", {"slug": "x"}), ("archive", None), ("restore", None)):
        refused = await ann.post(f"/v1/skills/new/{call}", json=body)
        assert (refused.status_code, code_of(refused)) == (403, "not_allowed")
    assert (await ann.get("/v1/skills/new")).status_code == 200


async def test_who_viewed_an_archived_skill_is_told_what_to_use(
    admin: httpx.AsyncClient, ann: httpx.AsyncClient, acme: Tenant
) -> None:
    await publish(acme, "old")
    await publish(acme, "other")
    await acme.visit_skill("ann", "old")
    await admin.post("/v1/skills/old/archive", json={"successor": "other"})
    for told in (await ann.get("/v1/skills/old"), await ann.post("/v1/skills/old/visit")):
        assert (told.status_code, code_of(told), told.json()["successor"]) == (410, "skill_archived", "other")
    page = await ann.get("/skills/old", headers={"Accept": "text/html"})
    assert page.status_code == 410
    assert "The skill &#39;Old&#39; is archived." in page.text
    assert 'href="/skills/other"' in page.text
    # bob never saw it.
    for path, accept in (("/v1/skills/old", "*/*"), ("/skills/old", "text/html")):
        assert (await admin.get(path, headers={"Accept": accept})).status_code == 404


async def test_a_successor_that_is_not_there_is_refused(admin: httpx.AsyncClient, acme: Tenant) -> None:
    await publish(acme, "old")
    assert (await admin.post("/v1/skills/old/archive", json={"successor": "nowhere"})).status_code == 404
    assert (await admin.post("/v1/skills/old/archive", json={"successor": "old"})).status_code == 400
    assert (await admin.get("/v1/skills/old")).status_code == 200


@pytest.mark.parametrize("rest", ["", "/diff?from=1&to=2"])
async def test_pages_of_an_old_slug_lead_to_the_new_one(ann: httpx.AsyncClient, acme: Tenant, rest: str) -> None:
    await publish(acme, "old")
    await publish(acme, "old", "two")
    await acme.rename_skill("old", "new")
    moved = await ann.get(f"/skills/old{rest}")
    assert (moved.status_code, moved.headers["location"]) == (308, f"/skills/new{rest}")
    assert moved.headers["cache-control"] == "no-store"
    assert (await ann.get(moved.headers["location"])).status_code == 200


async def test_feedback_comes_in_pages_with_names(ann: httpx.AsyncClient, acme: Tenant) -> None:
    await publish(acme)
    await acme.add_user("carl", name="Carl")
    for number in range(3):
        await acme.add_feedback("pdf", user_id="carl", comment=f"{number}")
    first = (await ann.get("/v1/skills/pdf/feedback?limit=2")).json()
    rest = await ann.get("/v1/skills/pdf/feedback", params={"limit": 2, "cursor": first["next_cursor"]})
    items = first["items"] + rest.json()["items"]
    moments = [datetime.fromisoformat(item["created_at"]) for item in items]
    assert moments == sorted(moments, reverse=True)
    assert {(item["user_name"], item["comment"]) for item in items} == {("Carl", "0"), ("Carl", "1"), ("Carl", "2")}
    assert rest.json()["next_cursor"] is None
    again = await ann.get("/v1/skills/pdf/feedback", headers={"If-None-Match": rest.headers["etag"]})
    assert again.status_code == 200
    assert (await ann.get(rest.request.url, headers={"If-None-Match": rest.headers["etag"]})).status_code == 304
    assert code_of(await ann.get("/v1/skills/pdf/feedback?cursor=x")) == "invalid_cursor"


async def test_me_says_who_is_asking_and_how_much_is_new(
    ann: httpx.AsyncClient, admin: httpx.AsyncClient, acme: Tenant
) -> None:
    for slug in ("one", "two"):
        await publish(acme, slug)
        await acme.visit_skill("ann", slug)
        await publish(acme, slug, "two")
    me = (await ann.get("/v1/me")).json()
    assert me == {
        "user_id": "ann",
        "user_name": me["user_name"],
        "tenant_id": "acme",
        "tenant_name": (await acme.get()).name,
        "role": "member",
        "whats_new": 2,
    }
    other = (await admin.get("/v1/me")).json()
    assert (other["user_id"], other["role"], other["whats_new"]) == ("bob", "admin", 0)
