"""Visits: what changed since the user's last view, computed before the new view is recorded (S6)."""

from collections.abc import Iterable, Mapping, Sequence

from everyskill.database.transactions import TenantConnection
from everyskill.database.views.comparisons import StoredPair
from everyskill.database.views.lookups import Lookup
from everyskill.database.views.visits import SkillChanges, find_changes
from everyskill.errors import SkillNotFound
from everyskill.model.changes import ChangeItem, Visit, compare_facts, detect_changes
from everyskill.model.comparisons import Comparison, Pair
from everyskill.model.inputs import check_id, check_ids
from everyskill.services.skill_names import find_skill_id
from everyskill.services.skills import require_skill
from everyskill.services.tenant_scope import TenantScope
from everyskill.services.views import missing_error

# Up to 20 ms of work: of the files of versions, as JSON, and of lines that may have to be searched for each other.
_MAX_FILES_HERE = 256 * 1024
_MAX_LINES_HERE = 200 * 200


async def get_changes(tenant: TenantScope, user_id: str, skill_id: str) -> list[ChangeItem]:
    """What changed about the skill since the user last saw it; nothing on a first visit. Records nothing.

    Raises SkillNotFound for a skill that is not there, hidden, or another tenant's, and SkillArchived for one that the
    user viewed; InvalidIdentifier.
    """
    user_id = check_id("user_id", user_id)
    skill_id = check_id("skill_id", skill_id)
    async with tenant._transactions.read() as connection:
        found = await _find(tenant, connection, user_id, skill_id)
    [summary] = await _summarize(tenant, [found])
    return summary


async def get_changes_for_skills(
    tenant: TenantScope, user_id: str, skill_ids: Iterable[str]
) -> dict[str, list[ChangeItem]]:
    """What get_changes gives, for many skills in one query, by the ids or slugs asked; one not there is not in it.

    No ids take no query (S12). Raises TooManyIds above 10,000, and InvalidIdentifier.
    """
    user_id = check_id("user_id", user_id)
    unique = check_ids("skill_id", skill_ids)
    if not unique:
        return {}
    async with tenant._transactions.read() as connection:
        [found] = await find_changes(connection, [Lookup.of(user_id, unique)], tenant._comparisons)
    return dict(zip(found, await _summarize(tenant, list(found.values())), strict=True))


async def visit_skill(tenant: TenantScope, user_id: str, skill_id: str) -> Visit:
    """Shows what changed since the user last saw the skill, then records this view of the published version.

    Both in one transaction, which concurrent visits share. When this returns, it is committed (S14).

    Raises SkillNotFound for a skill that is not there, hidden, or another tenant's, and SkillArchived for one that the
    user viewed; UserNotFound, TenantNotFound, InvalidIdentifier, Overloaded.
    """
    user_id = check_id("user_id", user_id)
    skill_id = check_id("skill_id", skill_id)
    found = await tenant._batched.visit(tenant.tenant_id, user_id, skill_id)
    if found == "skill":
        # Not an id, then: maybe a slug.
        skill_id = await find_skill_id(tenant, skill_id, user_id)
        found = await tenant._batched.visit(tenant.tenant_id, user_id, skill_id)
    if isinstance(found, str):
        raise missing_error(found, tenant.tenant_id, user_id, skill_id)
    [summary] = await _summarize(tenant, [found])
    return Visit(found.previous, summary, found.published_version, found.as_of)


async def _find(tenant: TenantScope, connection: TenantConnection, user_id: str, skill_id: str) -> SkillChanges:
    [found] = await find_changes(connection, [Lookup.of(user_id, [skill_id])], tenant._comparisons)
    if skill_id not in found:
        await require_skill(connection, skill_id, user_id=user_id)
        raise SkillNotFound(skill_id)
    return found[skill_id]


async def compare(tenant: TenantScope, pairs: Mapping[Pair, StoredPair]) -> dict[Pair, Comparison]:
    """What each pair differs in, in a thread where that takes long. It is kept, and so computed once for all users."""
    if _is_quick(pairs.values()):
        return {pair: _compare(tenant, pair, stored) for pair, stored in pairs.items()}
    return await tenant.run_in_worker(lambda: {pair: _compare(tenant, pair, stored) for pair, stored in pairs.items()})


def _is_quick(pairs: Iterable[StoredPair]) -> bool:
    files = lines = 0
    for pair in pairs:
        files += len(pair.seen.files_json) + len(pair.published.files_json)
        lines += (pair.seen.content or "").count("\n") * (pair.published.content or "").count("\n")
    return files <= _MAX_FILES_HERE and lines <= _MAX_LINES_HERE


def _compare(tenant: TenantScope, pair: Pair, stored: StoredPair) -> Comparison:
    known = tenant._comparisons.find(pair)
    if known is not None:
        return known
    comparison = tuple(compare_facts(stored.seen.read(), stored.published.read(), tenant._diff_lines))
    # A text that was too much for one answer may be read for another.
    if stored.seen.content is not None and stored.published.content is not None:
        tenant._comparisons.keep(pair, comparison)
    return comparison


async def _summarize(tenant: TenantScope, found: Sequence[SkillChanges]) -> list[list[ChangeItem]]:
    stored = {changes.pair: changes.stored for changes in found if changes.pair and changes.stored}
    compared = await compare(tenant, stored) if stored else {}
    return [_summary(changes, compared) for changes in found]


def _summary(found: SkillChanges, compared: Mapping[Pair, Comparison]) -> list[ChangeItem]:
    comparison = found.comparison
    if comparison is None:
        comparison = () if found.pair is None else compared.get(found.pair, ())
    return detect_changes(found.previous, found, found.feedback_count, compared=comparison, publishers=found.publishers)
