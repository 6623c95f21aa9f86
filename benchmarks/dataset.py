"""The data that is measured on: ten tenants, made in SQL from numbers, so that every run and contender has the same."""

import hashlib
import json
import random
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

LARGE, EXTREME = "large", "extreme"
SMALL = [f"small-{number}" for number in range(8)]
BADGES = 50


@dataclass(frozen=True)
class Scale:
    """How much of everything there is. Users of the large tenant have from 10 views to all its skills."""

    large_skills: int = 20_000
    large_users: int = 200
    extreme_skills: int = 200_000
    extreme_views: int = 100_000
    small_skills: int = 500

    @property
    def small_users_of_a_million(self) -> int:
        """Users of each small tenant, each of whom saw every skill, that bring the table to about a million rows."""
        return 40


SMOKE = Scale(large_skills=400, large_users=20, extreme_skills=2_000, extreme_views=1_000, small_skills=20)


def skill_id(tenant: str, number: int) -> str:
    """The id of a skill; the same is computed in SQL."""
    return str(uuid.UUID(hashlib.md5(f"{tenant}-{number}".encode()).hexdigest()))


def views_of(scale: Scale, user: int) -> int:
    """How many skills a user of the large tenant saw: from 10 to all, evenly on a logarithmic scale."""
    return round(10 * (scale.large_skills / 10) ** (user / (scale.large_users - 1)))


def viewed(scale: Scale, user: int, position: int) -> int:
    """The number of the skill that a user of the large tenant saw at this position of their history."""
    return (user * 977 + position * 3) % scale.large_skills


# $1 tenant, $2 number of skills, $3 every how manieth was updated within the window.
_SKILLS = """
INSERT INTO skills (tenant_id, id, name, slug, description, category, status, published_version_id, published_version,
                    created_at, updated_at)
SELECT $1, md5($1 || '-' || n)::uuid::text, 'Skill ' || n, 'skill-' || n, 'What skill ' || n || ' does.',
       'category-' || n % 20, 'published',
       md5($1 || '-' || n || '-' || CASE WHEN n % $3 = 0 THEN 2 ELSE 1 END)::uuid::text,
       CASE WHEN n % $3 = 0 THEN 2 ELSE 1 END, now() - interval '400 days',
       now() - CASE WHEN n % $3 = 0 THEN interval '29 days' * n / $2
                    ELSE interval '60 days' + interval '300 days' * n / $2 END
  FROM generate_series(0, $2::int - 1) AS n
"""
_VERSIONS = """
INSERT INTO skill_versions (tenant_id, id, skill_id, version, name, description, content, content_hash, files,
                            created_at)
SELECT $1, md5($1 || '-' || n || '-' || version)::uuid::text, md5($1 || '-' || n)::uuid::text, version, 'Skill ' || n,
       'What skill ' || n || ' does.', repeat('Text of the skill. ', 20), md5(n || '-' || version), '[]', now()
  FROM generate_series(0, $2::int - 1) AS n, generate_series(1, CASE WHEN n % $3 = 0 THEN 2 ELSE 1 END) AS version
"""
_FEEDBACK = """
INSERT INTO skill_feedback (tenant_id, skill_id, feedback_type, comment, status, created_at)
SELECT $1, md5($1 || '-' || n)::uuid::text, 'comment', 'Good.', 'open', now() - interval '40 days' * random()
  FROM generate_series(0, $2::int - 1, 10) AS n
"""
_USERS = "INSERT INTO users (tenant_id, id) SELECT $1, $2 || n FROM generate_series($3::int, $4::int - 1) AS n"
# $1 tenant, $2 user, $3 offset, $4 step, $5 views, $6 skills, $7 every how manieth was updated, $8 the youngest view's
# and $9 the oldest view's age in days.
_VIEWS = """
INSERT INTO user_skill_views (tenant_id, user_id, skill_id, last_viewed_at, last_viewed_version)
SELECT $1, $2, md5($1 || '-' || no)::uuid::text, now() - age,
       CASE WHEN no % $7 = 0 AND age < interval '29 days' * no / $6 THEN 2 ELSE 1 END
  FROM (SELECT ($3::int + n * $4::int) % $6::int AS no,
               interval '1 day' * ($8::float + ($9::float - $8::float) * random()) AS age
          FROM generate_series(0, $5::int - 1) AS n) AS seen
"""
_FILLER = """
INSERT INTO user_skill_views (tenant_id, user_id, skill_id, last_viewed_at, last_viewed_version)
SELECT $1, 'f' || u, md5($1 || '-' || n)::uuid::text, now() - interval '60 days' * random(), 1
  FROM generate_series($2::int, $3::int - 1) AS u, generate_series(0, $4::int - 1) AS n
"""
_LOADING = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "'32GB'", "maintenance_work_mem": "'2GB'"}


async def load(admin: asyncpg.Connection, scale: Scale) -> None:
    """Fills an empty database, as its superuser."""
    await admin.execute("SET session_replication_role = replica")
    tenants = {LARGE: (scale.large_skills, 10), EXTREME: (scale.extreme_skills, 14)}
    tenants |= dict.fromkeys(SMALL, (scale.small_skills, 10))
    for tenant, (skills, every) in tenants.items():
        await admin.execute("INSERT INTO tenants (id, name, slug) VALUES ($1, $1, $1)", tenant)
        for statement in (_SKILLS, _VERSIONS):
            await admin.execute(statement, tenant, skills, every)
        await admin.execute(_FEEDBACK, tenant, skills)
    await admin.execute(_USERS, LARGE, "u", 0, scale.large_users)
    for user in range(scale.large_users):
        facts = (f"u{user}", user * 977, 3, views_of(scale, user), scale.large_skills, 10)
        await admin.execute(_VIEWS, LARGE, *facts, 0.0, 60.0)
    for user, tenant, skills, every, views, ages in special_users(scale):
        await admin.execute("INSERT INTO users (tenant_id, id) VALUES ($1, $2)", tenant, user)
        await admin.execute(_VIEWS, tenant, user, 0, 1, views, skills, every, *ages)
    await admin.execute("SET session_replication_role = origin")
    await grow(admin, scale, 0, scale.small_users_of_a_million)
    await admin.execute("VACUUM ANALYZE")


def special_users(scale: Scale) -> list[tuple[str, str, int, int, int, tuple[float, float]]]:
    """Who is caught up, who saw nothing since, and the histories of the extreme tenant: user, tenant, its skills, every
    how manieth of them was updated, views, and the ages of these in days.
    """
    large = (LARGE, scale.large_skills, 10)
    extreme = (EXTREME, scale.extreme_skills, 14)
    now, long_ago, mixed = (0.0, 0.0), (90.0, 120.0), (0.0, 60.0)
    found = [("caught-up", *large, scale.large_skills, now), ("stale", *large, scale.large_skills, long_ago)]
    found += [("caught-up", *extreme, scale.extreme_views, now), ("stale", *extreme, scale.extreme_views, long_ago)]
    views = 10
    while views <= scale.extreme_views:
        found.append((f"views-{views}", *extreme, views, mixed))
        views *= 10
    return found


async def grow(admin: asyncpg.Connection, scale: Scale, first: int, last: int) -> None:
    """Adds users to the small tenants, each of whom saw every skill; makes the indexes anew, as that is quicker."""
    for name, value in _LOADING.items():
        await admin.execute(f"ALTER SYSTEM SET {name} = {value}")
    await admin.execute("SELECT pg_reload_conf()")
    await admin.execute("SET session_replication_role = replica")
    again = await _drop_indexes(admin)
    for tenant in SMALL:
        await admin.execute(_USERS, tenant, "f", first, last)
        await admin.execute(_FILLER, tenant, first, last, scale.small_skills)
    for statement in again:
        await admin.execute(statement)
    await admin.execute("SET session_replication_role = origin")
    for name in _LOADING:
        await admin.execute(f"ALTER SYSTEM RESET {name}")
    await admin.execute("SELECT pg_reload_conf()")
    await admin.execute("VACUUM ANALYZE user_skill_views")
    await admin.execute("CHECKPOINT")


async def _drop_indexes(admin: asyncpg.Connection) -> list[str]:
    constraints = await admin.fetch(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = 'user_skill_views'::regclass AND contype IN ('p', 'u')"
    )
    for name, _ in constraints:
        await admin.execute(f"ALTER TABLE user_skill_views DROP CONSTRAINT {name}")
    indexes = await admin.fetch("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'user_skill_views'")
    for name, _ in indexes:
        await admin.execute(f"DROP INDEX {name}")
    made = [f"ALTER TABLE user_skill_views ADD CONSTRAINT {name} {definition}" for name, definition in constraints]
    return made + [definition for _, definition in indexes]


def write_workload(scale: Scale, file: Path) -> None:
    """What the contenders are asked, drawn once for all of them: re-views, lists of 50 skills, and whose feed."""
    chance = random.Random(20_261_121)

    def seen() -> tuple[str, str]:
        user = chance.randrange(scale.large_users)
        return f"u{user}", skill_id(LARGE, viewed(scale, user, chance.randrange(views_of(scale, user))))

    def listed() -> tuple[str, list[str]]:
        first = chance.randrange(scale.large_skills - BADGES)
        user = chance.randrange(scale.large_users)
        return f"u{user}", [skill_id(LARGE, first + number) for number in range(BADGES)]

    asked: dict[str, Any] = {
        "record": [(*seen(), 1) for _ in range(20_000)],
        "badges": [listed() for _ in range(2_000)],
        "visit": [seen() for _ in range(20_000)],
        "whats_new": [(f"u{chance.randrange(scale.large_users)}",) for _ in range(2_000)],
    }
    file.write_text(json.dumps(asked))
