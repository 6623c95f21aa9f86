"""What two versions differ in is read and computed once for all, and says who published and why."""

import asyncpg

from everyskill.database.views.comparisons import FIND_FACTS, MAX_CONTENT
from everyskill.handles import Database, Tenant
from everyskill.model import Severity, describe
from tests.support.skills import publish


async def publish_twice(tenant: Tenant, slug: str = "pdf", **fields: str) -> str:
    """A skill whose first version ann and bob saw, and whose second one they did not."""
    skill = await publish(tenant, slug)
    for user in ("ann", "bob"):
        await tenant.record_skill_view(user, skill.skill_id, 1)
    await publish(tenant, slug, "two", **fields)
    return skill.skill_id


async def tell(owner: asyncpg.Connection, skill_id: str, version: int, **columns: object) -> None:
    """Sets what a version says of itself, which the triggers would not let change."""
    await owner.execute("SET session_replication_role = replica")
    for column, value in columns.items():
        await owner.execute(
            f"UPDATE skill_versions SET {column} = $1 WHERE skill_id = $2 AND version = $3", value, skill_id, version
        )
    await owner.execute("RESET session_replication_role")


def reads(queries: list[str]) -> int:
    return queries.count(FIND_FACTS.text)


async def test_a_pair_of_versions_is_read_once_for_all_users_of_a_process(acme: Tenant, queries: list[str]) -> None:
    skill_id = await publish_twice(acme)
    queries.clear()
    first = await acme.visit_skill("ann", skill_id)
    asked = len(queries)
    assert reads(queries) == 1
    queries.clear()
    second = await acme.visit_skill("bob", skill_id)
    assert [item.type for item in second.changes] == ["version_bump", "instructions_changed"]
    assert second.changes == first.changes
    assert (reads(queries), len(queries)) == (0, asked - 1)


async def test_many_pairs_are_read_in_one_query_and_then_in_none(acme: Tenant, queries: list[str]) -> None:
    ids = [await publish_twice(acme, f"skill-{number}") for number in range(5)]
    queries.clear()
    for expected in (1, 0):
        page = await acme.get_whats_new_page("ann")
        assert [[item.type for item in item.changes][1:] for item in page.items] == [["instructions_changed"]] * 5
        assert reads(queries) == expected
        queries.clear()
    assert (await acme.get_changes_for_skills("ann", ids)).keys() == set(ids)
    assert (await acme.get_skill_page("ann", ids[0])).changes == (await acme.get_changes("ann", ids[0]))
    assert reads(queries) == 0


async def test_a_page_reads_the_pair_that_nobody_asked_for_before(acme: Tenant, queries: list[str]) -> None:
    skill_id = await publish_twice(acme)
    queries.clear()
    changes = (await acme.get_skill_page("ann", skill_id)).changes
    assert [item.type for item in changes] == ["version_bump", "instructions_changed"]
    assert reads(queries) == 1
    assert await acme.get_changes("ann", skill_id) == changes


async def test_of_texts_that_are_too_many_it_is_said_that_they_changed_and_each_is_compared_when_asked_for(
    acme: Tenant,
) -> None:
    size = MAX_CONTENT // 8 // 2
    ids = []
    for number in range(10):
        skill = await publish(acme, f"skill-{number}", "x" * size)
        await acme.record_skill_view("ann", skill.skill_id, 1)
        await publish(acme, f"skill-{number}", "y" * size)
        ids.append(skill.skill_id)
    many = await acme.get_changes_for_skills("ann", ids)
    told = [[(item.type, item.detail) for item in many[skill_id]][1:] for skill_id in ids]
    counted = [("instructions_changed", "+1 \N{MINUS SIGN}1")]
    assert told == [counted] * 8 + [[("instructions_changed", None)]] * 2
    last = await acme.get_changes("ann", ids[-1])
    assert [(item.type, item.detail) for item in last][1:] == counted


async def test_who_saw_what_is_published_has_nothing_read(acme: Tenant, queries: list[str]) -> None:
    skill_id = await publish_twice(acme)
    await acme.visit_skill("ann", skill_id)
    queries.clear()
    assert (await acme.visit_skill("ann", skill_id)).changes == []
    assert reads(queries) == 0


async def test_tenants_share_no_comparison(database: Database, acme: Tenant, globex: Tenant) -> None:
    mine = await publish_twice(acme)
    assert await acme.get_changes("ann", mine)
    assert (acme.tenant_id, mine, 1, 2) in {tuple(pair) for pair in database._comparisons._known}
    theirs = await publish_twice(globex, description="Theirs.")
    assert "description_updated" in {item.type for item in await globex.get_changes("ann", theirs)}
    assert "description_updated" not in {item.type for item in await acme.get_changes("ann", mine)}


async def test_a_summary_says_who_published_since_and_the_newest_reason(
    acme: Tenant, owner: asyncpg.Connection
) -> None:
    skill_id = await publish_twice(acme)
    await publish(acme, content="three", author_id="bob")
    await owner.execute("UPDATE users SET name = 'Bob' WHERE id = 'bob'")
    await tell(owner, skill_id, 1, author_name="Nobody", note="first")
    await tell(owner, skill_id, 2, author_name="Ann of elsewhere", note="pins the API version", is_quiet=True)
    changes = await acme.get_changes("ann", skill_id)
    assert (changes[0].author, changes[0].note) == ("Bob and Ann of elsewhere", "pins the API version")
    assert (await acme.get_skill_page("ann", skill_id)).changes == changes
    told = "Bob and Ann of elsewhere edited the instructions, +1 \N{MINUS SIGN}1: “pins the API version”"
    assert describe(changes) == told


async def test_capabilities_are_compared_and_an_older_version_says_nothing_of_them(
    acme: Tenant, owner: asyncpg.Connection
) -> None:
    skill_id = await publish_twice(acme)
    await tell(owner, skill_id, 1, capabilities=["1:tool:Read"], category="office")
    await tell(owner, skill_id, 2, capabilities=["1:tool:Read", "3:tool:Bash"], category="docs")
    await publish(acme, content="three")
    await tell(owner, skill_id, 3, capabilities=None, category=None)
    assert not {"capabilities_added", "category_changed"} & {
        item.type for item in await acme.get_changes("ann", skill_id)
    }
    await tell(owner, skill_id, 3, capabilities=["3:tool:Bash"], category="docs")
    await acme.record_skill_view("ann", skill_id, 2)
    await publish(acme, content="four")
    await tell(owner, skill_id, 4, capabilities=["3:tool:Bash", "2:host:a.io"], category="qa")
    by_type = {item.type: item for item in await acme.get_changes("ann", skill_id)}
    assert (by_type["category_changed"].old, by_type["category_changed"].detail) == ("docs", "qa")
    assert (by_type["capabilities_added"].detail, by_type["capabilities_added"].severity) == ("host a.io", "medium")


async def test_a_badge_says_how_much_more_an_update_asks_for(acme: Tenant, owner: asyncpg.Connection) -> None:
    asking, same, quiet, unknown = [await publish_twice(acme, slug) for slug in ("asking", "same", "quiet", "unknown")]
    for skill_id, new in ((asking, ["2:host:a.io", "3:tool:Bash"]), (same, ["1:tool:Read"])):
        await tell(owner, skill_id, 1, capabilities=["1:tool:Read"])
        await tell(owner, skill_id, 2, capabilities=new)
    await tell(owner, unknown, 1, capabilities=None)
    await tell(owner, quiet, 1, capabilities=[])
    await tell(owner, quiet, 2, capabilities=["3:tool:Bash"], is_quiet=True)
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(
        "UPDATE skills SET announced_version = 1, updated_at = updated_at - interval '1 day' WHERE id = $1", quiet
    )
    await owner.execute("RESET session_replication_role")
    badges = {asking: (True, Severity.HIGH), same: (True, None), quiet: (False, None), unknown: (True, None)}

    states = await acme.get_view_states("ann", badges)
    listed = (await acme.list_skills("ann")).items
    assert {skill_id: (state.is_updated, state.severity) for skill_id, state in states.items()} == badges
    assert {item.id: (item.is_updated, item.severity) for item in listed} == badges
    assert {item.severity for item in (await acme.list_skills()).items} == {None}
    await acme.visit_skill("ann", asking)
    assert (await acme.get_view_states("ann", [asking]))[asking].severity is None


async def test_an_author_who_has_no_name_is_told_by_the_id(acme: Tenant) -> None:
    skill_id = await publish_twice(acme)
    await publish(acme, content="three", author_id="bob")
    assert describe(await acme.get_changes("ann", skill_id)).startswith("bob edited the instructions")
