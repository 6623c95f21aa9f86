"""Rows of a tenant, and of its neighbours that have the same ids and say something else."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import asyncpg
import msgspec

from tests.support.skills import folder

NOW = datetime.now(UTC).replace(microsecond=0)
TWINS = ("abel", "globex")


def ago(**span: float) -> str:
    return (NOW - timedelta(**span)).isoformat()


Rows = dict[str, list[dict[str, Any]]]

# Each skill with its published version, its status, and the hours since it changed.
SKILLS = [
    ("a", 2, "published", 1),
    ("b", 1, "published", 48),
    ("c", 1, "archived", 7),
    ("d", 1, "published", 960),
    ("f", 3, "published", 5),
]
# Whose view of which skill, in which version, how many hours ago.
VIEWS = [
    ("ann", "a", 1, 3),
    ("ann", "b", 1, 24),
    ("ann", "c", 1, 24),
    ("ann", "f", 1, 9),
    ("bob", "a", 2, 0.5),
    ("carl", "a", 1, 3),
    ("carl", "b", 1, 72),
    ("carl", "f", 2, 9),
    ("eve", "a", 1, 3),
    ("eve", "f", 2, 9),
]
USERS = ("ann", "bob", "carl", "dora", "eve")


def rows_of_acme() -> Rows:
    versions = [(skill, number) for skill, latest, *_ in SKILLS for number in range(1, latest + 1)]
    return {
        "tenants": [{"id": "acme", "name": "Acme", "slug": "acme", "is_active": True}],
        "users": [{"id": user, "email": f"{user}@example.org", "name": user, "role": "member"} for user in USERS],
        "skills": [
            {"id": skill, "slug": f"slug-{skill}", "name": skill.title(), "description": f"What {skill} does."}
            | {"category": "general"}
            | {"status": status, "published_version_id": f"{skill}{version}", "published_version": version}
            | {"author_id": "bob", "updated_at": ago(hours=hours), "visible_at": ago(hours=hours)}
            for skill, version, status, hours in SKILLS
        ],
        "skill_versions": [
            {"id": f"{skill}{number}", "skill_id": skill, "version": number, "name": skill, "content": f"{number}"}
            | {"description": "as before" if skill == "f" else f"{number}"}
            | {"content_hash": folder(skill, f"{number}").content_hash}
            | {"files": [], "created_by": "bob", "author_name": None, "note": f"why {number}", "category": "general"}
            | {"capabilities": [f"3:tool:{number}"]}
            for skill, number in versions
        ],
        "skill_redirects": [{"slug": f"old-{skill}", "skill_id": skill} for skill, *_ in SKILLS],
        "skill_feedback": [
            {"id": f"{skill} {hours}", "skill_id": skill, "user_id": "bob", "comment": f"{skill} {hours}"}
            | {"feedback_type": "comment", "status": "open", "created_at": ago(hours=hours)}
            for skill, hours in (("a", 2), ("a", 10), ("b", 10), ("f", 30))
        ],
        "user_skill_views": [
            {"id": f"{user} {skill}", "user_id": user, "skill_id": skill, "last_viewed_version": version}
            | {"last_viewed_at": ago(hours=hours), "view_count": 1}
            for user, skill, version, hours in VIEWS
        ],
        "skill_file_contents": [
            # What is spare is in no version.
            {"hash": sha256(text).hexdigest(), "is_text": True, "content": f"\\x{text.hex()}"}
            for text in (b"theirs", b"spare")
        ],
        "skill_sources": [{"address": "here", "ref": "main", "synced_at": ago(hours=1)}],
        "feed_checkpoints": [
            # It does not know of f, so a feed that looks f up has learned of it from somebody else.
            {"user_id": "ann", "visible_at": ago(hours=1.5), "pending_skill_ids": [], "token": "of ann"},
            {"user_id": "carl", "visible_at": None, "pending_skill_ids": [], "token": "of carl"},
            {"user_id": "dora", "visible_at": ago(hours=1), "pending_skill_ids": [], "token": "of dora"},
        ],
    }


def rows_of_twin(tenant_id: str) -> Rows:
    """The same ids. Everything of abel is later and shown; nothing of globex is, and it has greater versions too."""
    more = tenant_id == "abel"
    rows = rows_of_acme()
    hours = 0.4 if more else 900
    changes: dict[str, dict[str, Any]] = {
        "tenants": {"id": tenant_id, "name": "Theirs", "slug": tenant_id, "is_active": more},
        "users": {"name": "theirs", "role": "admin", "session_generation": 7},
        "skills": {"name": "theirs", "category": "theirs", "status": "published" if more else "archived"}
        | {"updated_at": ago(hours=hours), "visible_at": ago(days=-1 if more else 40), "author_id": None},
        "skill_versions": {"description": "theirs", "content": "theirs", "content_hash": "theirs", "created_by": None}
        | {"author_name": "theirs", "note": "theirs", "category": "theirs", "capabilities": ["1:tool:theirs"]},
        "skill_redirects": {"skill_id": "b" if more else "d"},
        "skill_feedback": {"comment": "theirs", "user_id": None, "created_at": ago(hours=hours)},
        "user_skill_views": {"last_viewed_at": ago(hours=2 if more else 0.2), "view_count": 100}
        | ({} if more else {"last_viewed_version": None}),
        "skill_sources": {"ref": "theirs"},
        "skill_file_contents": {},
        "feed_checkpoints": {"visible_at": ago(hours=hours), "pending_skill_ids": ["b", "d", "f"]},
    }
    rows = {table: [row | changes[table] for row in rows[table]] for table in rows}
    if not more:
        rows["skill_versions"] += [
            row | {"id": f"{row['id']}+", "version": row["version"] + 10} for row in rows["skill_versions"]
        ]
    for user in USERS:
        seen = {row["skill_id"] for row in rows["user_skill_views"] if row["user_id"] == user}
        rows["user_skill_views"] += [
            rows["user_skill_views"][0] | {"id": f"{user} {skill}", "user_id": user, "skill_id": skill}
            for skill, *_ in SKILLS
            if skill not in seen
        ]
    for row in rows["user_skill_views"]:
        row["id"] = f"{tenant_id} {row['id']}"
    return {table: [*each, *_only_there(table, each[0])] for table, each in rows.items()}


def _only_there(table: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    """A user x, a skill x and all that belongs to them, which acme does not have."""
    own: dict[str, dict[str, Any]] = {
        "users": {"id": "x", "email": "x@example.org"},
        "skills": {"id": "x", "slug": "slug-x", "published_version_id": "x1", "published_version": 1},
        "skill_versions": {"id": "x1", "skill_id": "x", "version": 1},
        "skill_redirects": {"slug": "old-x", "skill_id": "x"},
        "skill_feedback": {"id": "x", "skill_id": "x"},
        "feed_checkpoints": {"user_id": "x", "token": "of x"},
        "skill_file_contents": {"hash": sha256(b"one more").hexdigest(), "content": f"\\x{b'one more'.hex()}"},
    }
    if table == "user_skill_views":
        return [row | {"id": f"{row['id']} {user} x", "user_id": user, "skill_id": "x"} for user in (*USERS, "x")]
    return [row | own[table]] if table in own else []


async def put(connection: asyncpg.Connection, tenant_id: str, rows: Rows) -> None:
    """Inserts rows as they are, whatever order their references would want."""
    await connection.execute("SET session_replication_role = replica")
    for table, each in rows.items():
        owned = [row if table == "tenants" else row | {"tenant_id": tenant_id} for row in each]
        columns = ", ".join(owned[0])
        await connection.execute(
            f"INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, $1)",
            msgspec.json.encode(owned).decode(),
        )
