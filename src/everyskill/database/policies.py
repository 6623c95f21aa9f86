"""The wanted policies, grants, references and triggers, as data: `db check` compares them."""

from msgspec import Struct

TENANT_SETTING = "app.current_tenant_id"
APP_ROLE = "everyskill_app"
OPERATOR_ROLE = "everyskill_operator"

_CURRENT_TENANT = f"current_setting('{TENANT_SETTING}'::text, true)"


class Policy(Struct, frozen=True, order=True):
    """A policy as PostgreSQL's catalogs print it. `check` is None where a command has no WITH CHECK."""

    table: str
    name: str
    permissive: bool
    role: str
    command: str
    using: str
    check: str | None

    def ddl(self) -> str:
        """The statement that creates it."""
        kind = "PERMISSIVE" if self.permissive else "RESTRICTIVE"
        check = "" if self.check is None else f" WITH CHECK ({self.check})"
        return (
            f"CREATE POLICY {self.name} ON {self.table} AS {kind} FOR {self.command} TO {self.role}"
            f" USING ({self.using}){check}"
        )


class Grant(Struct, frozen=True, order=True):
    """One privilege of one role on one table."""

    table: str
    role: str
    privilege: str

    def ddl(self) -> str:
        """The statement that grants it."""
        return f"GRANT {self.privilege} ON {self.table} TO {self.role}"


# Each tenant table, and the column that names the tenant.
TENANT_COLUMNS = {
    "tenants": "id",
    "users": "tenant_id",
    "skills": "tenant_id",
    "skill_versions": "tenant_id",
    "skill_feedback": "tenant_id",
    "user_skill_views": "tenant_id",
    "feed_checkpoints": "tenant_id",
    "skill_file_contents": "tenant_id",
    "skill_redirects": "tenant_id",
    "skill_sources": "tenant_id",
}

# Versions are immutable: the application may neither update nor delete one; a deleted skill takes its own along. So are
# contents, which are deleted where no version has them.
_PRIVILEGES = dict.fromkeys(TENANT_COLUMNS, ("SELECT", "INSERT", "UPDATE", "DELETE")) | {
    "skill_versions": ("SELECT", "INSERT"),
    "skill_file_contents": ("SELECT", "INSERT", "DELETE"),
    "tenants": ("SELECT", "INSERT"),
    "alembic_version": ("SELECT",),
}


def _policies_of(table: str, column: str) -> tuple[Policy, Policy]:
    predicate = f"({column} = {_CURRENT_TENANT})"
    # The operator lists all tenants, so on that one table the restrictive policy names the application's role alone.
    restricted = APP_ROLE if table == "tenants" else "public"
    return (
        Policy(table, "tenant_isolation", False, restricted, "ALL", predicate, predicate),
        # The same predicate, never `true`: Citus drops the word RESTRICTIVE on its shards, and then only this holds.
        Policy(table, "tenant_access", True, APP_ROLE, "ALL", predicate, predicate),
    )


POLICIES: tuple[Policy, ...] = tuple(
    sorted(
        [
            *(policy for table, column in TENANT_COLUMNS.items() for policy in _policies_of(table, column)),
            Policy("tenants", "tenant_directory", True, OPERATOR_ROLE, "SELECT", "true", None),
        ]
    )
)

GRANTS: tuple[Grant, ...] = tuple(
    sorted(
        [
            *(Grant(table, APP_ROLE, privilege) for table, names in _PRIVILEGES.items() for privilege in names),
            Grant("tenants", OPERATOR_ROLE, "SELECT"),
            Grant("alembic_version", OPERATOR_ROLE, "SELECT"),
        ]
    )
)

# The functions that run with their owner's privileges: signature and settings, of which search_path holds off others'.
DEFINER_FUNCTIONS = {"everyskill_analyze_new_tables() search_path=pg_catalog, pg_temp"}

# What each table refers to. All carry the tenant: PostgreSQL checks references past every policy.
FOREIGN_KEYS = {
    "users": {"(tenant_id) REFERENCES tenants(id)"},
    "skills": {
        "(tenant_id) REFERENCES tenants(id)",
        "(tenant_id, author_id) REFERENCES users(tenant_id, id) ON DELETE SET NULL (author_id)",
        "(tenant_id, published_version_id, published_version) REFERENCES skill_versions(tenant_id, id, version)"
        " ON DELETE SET NULL (published_version_id, published_version)",
        "(tenant_id, successor_id) REFERENCES skills(tenant_id, id) ON DELETE SET NULL (successor_id)",
        "(tenant_id, source) REFERENCES skill_sources(tenant_id, address) ON DELETE SET NULL (source)",
    },
    "skill_versions": {
        "(tenant_id) REFERENCES tenants(id)",
        "(tenant_id, skill_id) REFERENCES skills(tenant_id, id) ON DELETE CASCADE",
        "(tenant_id, created_by) REFERENCES users(tenant_id, id) ON DELETE SET NULL (created_by)",
    },
    "skill_feedback": {
        "(tenant_id) REFERENCES tenants(id)",
        "(tenant_id, skill_id) REFERENCES skills(tenant_id, id) ON DELETE CASCADE",
        "(tenant_id, skill_version_id) REFERENCES skill_versions(tenant_id, id) ON DELETE SET NULL (skill_version_id)",
        "(tenant_id, user_id) REFERENCES users(tenant_id, id) ON DELETE SET NULL (user_id)",
    },
    "user_skill_views": {
        "(tenant_id) REFERENCES tenants(id)",
        "(tenant_id, user_id) REFERENCES users(tenant_id, id) ON DELETE CASCADE",
        "(tenant_id, skill_id) REFERENCES skills(tenant_id, id) ON DELETE CASCADE",
    },
    "feed_checkpoints": {"(tenant_id, user_id) REFERENCES users(tenant_id, id) ON DELETE CASCADE"},
    "skill_file_contents": {"(tenant_id) REFERENCES tenants(id)"},
    "skill_redirects": {"(tenant_id, skill_id) REFERENCES skills(tenant_id, id) ON DELETE CASCADE"},
    "skill_sources": {"(tenant_id) REFERENCES tenants(id)"},
}

# The triggers that keep the rules whoever writes, each with its table (docs/decisions/0011).
TRIGGERS = {
    "skills_keep_version_of_new": "skills",
    "skills_keep_version": "skills",
    "skills_keep_version_announced": "skills",
    "skills_keep_moments_of_new": "skills",
    "skills_keep_moments": "skills",
    "skill_versions_refuse_change": "skill_versions",
}
