"""Creates the tables of the catalog: tenants, users, skills, skill_versions and skill_feedback.

What it locks and for how long: no existing table. It creates new ones, in well under a second.
Does the old program keep working: there is none. The roles everyskill_app and everyskill_operator belong to the whole
    server, so they are created only where they are missing. That needs CREATEROLE; without it, an administrator must
    create them before.
How to undo it: downgrade to base drops the five tables with their rows. The two roles remain, because other databases
    of the server may use them.
"""

from alembic import op

revision = "0038_skill_catalog"
down_revision = None
branch_labels = None
depends_on = None

CURRENT_TENANT = "current_setting('app.current_tenant_id', true)"

ROLES = """
DO $$
BEGIN
    IF to_regrole('everyskill_app') IS NULL THEN
        CREATE ROLE everyskill_app NOLOGIN;
    END IF;
    IF to_regrole('everyskill_operator') IS NULL THEN
        CREATE ROLE everyskill_operator NOLOGIN;
        -- No percent sign: alembic doubles each one in the SQL that it prints.
        EXECUTE 'GRANT everyskill_operator TO ' || quote_ident(current_user);
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database of this server made them at the same moment
END
$$
"""

TABLES = [
    """
    CREATE TABLE tenants (
        id text NOT NULL,
        name text NOT NULL,
        slug text NOT NULL,
        is_active boolean DEFAULT true NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        updated_at timestamptz DEFAULT now() NOT NULL,
        CONSTRAINT tenants_pkey PRIMARY KEY (id),
        CONSTRAINT tenants_slug_unique UNIQUE (slug),
        CONSTRAINT tenants_id_check CHECK (id <> '')
    )
    """,
    """
    CREATE TABLE users (
        tenant_id text NOT NULL,
        id text NOT NULL,
        email text,
        name text,
        role text DEFAULT 'member' NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        updated_at timestamptz DEFAULT now() NOT NULL,
        CONSTRAINT users_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT users_tenant_id_email_unique UNIQUE (tenant_id, email),
        CONSTRAINT users_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
        CONSTRAINT users_role_check CHECK (role IN ('admin', 'member'))
    )
    """,
    """
    CREATE TABLE skills (
        tenant_id text NOT NULL,
        id text DEFAULT gen_random_uuid() NOT NULL,
        name text NOT NULL,
        slug text NOT NULL,
        description text NOT NULL,
        category text NOT NULL,
        status text DEFAULT 'draft' NOT NULL,
        published_version_id text,
        published_version integer,
        author_id text,
        created_at timestamptz(3) DEFAULT now() NOT NULL,
        updated_at timestamptz(3) DEFAULT now() NOT NULL,
        visible_at timestamptz(3) DEFAULT now() NOT NULL,
        CONSTRAINT skills_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT skills_tenant_id_slug_unique UNIQUE (tenant_id, slug),
        CONSTRAINT skills_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
        CONSTRAINT skills_tenant_id_author_id_fkey FOREIGN KEY (tenant_id, author_id)
            REFERENCES users (tenant_id, id) ON DELETE SET NULL (author_id),
        CONSTRAINT skills_status_check CHECK (status IN ('draft', 'published', 'archived')),
        CONSTRAINT skills_published_version_check
            CHECK ((published_version_id IS NULL) = (published_version IS NULL))
    )
    """,
    """
    CREATE INDEX skills_recent_updates_idx ON skills (tenant_id, updated_at DESC, id) WHERE status = 'published'
    """,
    """
    CREATE INDEX skills_visible_idx ON skills (tenant_id, visible_at)
    """,
    """
    CREATE TABLE skill_versions (
        tenant_id text NOT NULL,
        id text DEFAULT gen_random_uuid() NOT NULL,
        skill_id text NOT NULL,
        version integer NOT NULL,
        name text NOT NULL,
        description text NOT NULL,
        content text NOT NULL,
        content_hash text NOT NULL,
        files jsonb NOT NULL,
        created_by text,
        created_at timestamptz(3) DEFAULT now() NOT NULL,
        CONSTRAINT skill_versions_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT skill_versions_tenant_id_id_version_unique UNIQUE (tenant_id, id, version),
        CONSTRAINT skill_versions_tenant_id_skill_id_version_unique UNIQUE (tenant_id, skill_id, version),
        CONSTRAINT skill_versions_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
        CONSTRAINT skill_versions_tenant_id_skill_id_fkey FOREIGN KEY (tenant_id, skill_id)
            REFERENCES skills (tenant_id, id) ON DELETE CASCADE,
        CONSTRAINT skill_versions_tenant_id_created_by_fkey FOREIGN KEY (tenant_id, created_by)
            REFERENCES users (tenant_id, id) ON DELETE SET NULL (created_by),
        CONSTRAINT skill_versions_version_check CHECK (version >= 1)
    )
    """,
    """
    ALTER TABLE skills ADD CONSTRAINT skills_tenant_id_published_version_id_published_version_fkey
        FOREIGN KEY (tenant_id, published_version_id, published_version)
        REFERENCES skill_versions (tenant_id, id, version)
        ON DELETE SET NULL (published_version_id, published_version)
    """,
    """
    CREATE TABLE skill_feedback (
        tenant_id text NOT NULL,
        id text DEFAULT gen_random_uuid() NOT NULL,
        skill_id text NOT NULL,
        skill_version_id text,
        user_id text,
        feedback_type text DEFAULT 'comment' NOT NULL,
        sentiment text,
        comment text,
        status text DEFAULT 'open' NOT NULL,
        created_at timestamptz(3) DEFAULT now() NOT NULL,
        CONSTRAINT skill_feedback_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT skill_feedback_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
        CONSTRAINT skill_feedback_tenant_id_skill_id_fkey FOREIGN KEY (tenant_id, skill_id)
            REFERENCES skills (tenant_id, id) ON DELETE CASCADE,
        CONSTRAINT skill_feedback_tenant_id_skill_version_id_fkey FOREIGN KEY (tenant_id, skill_version_id)
            REFERENCES skill_versions (tenant_id, id) ON DELETE SET NULL (skill_version_id),
        CONSTRAINT skill_feedback_tenant_id_user_id_fkey FOREIGN KEY (tenant_id, user_id)
            REFERENCES users (tenant_id, id) ON DELETE SET NULL (user_id),
        CONSTRAINT skill_feedback_feedback_type_check CHECK (feedback_type IN ('comment', 'bug', 'idea', 'praise')),
        CONSTRAINT skill_feedback_sentiment_check CHECK (sentiment IN ('positive', 'neutral', 'negative')),
        CONSTRAINT skill_feedback_status_check CHECK (status IN ('open', 'resolved'))
    )
    """,
    """
    CREATE INDEX skill_feedback_skill_created_idx ON skill_feedback (tenant_id, skill_id, created_at)
    """,
]

TENANT_TABLES = ["users", "skills", "skill_versions", "skill_feedback"]

GRANTS = [
    "GRANT SELECT, INSERT ON tenants TO everyskill_app",
    "GRANT SELECT ON tenants TO everyskill_operator",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON users TO everyskill_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON skills TO everyskill_app",
    "GRANT SELECT, INSERT ON skill_versions TO everyskill_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON skill_feedback TO everyskill_app",
    "GRANT SELECT ON alembic_version TO everyskill_app, everyskill_operator",
]


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(ROLES)
    for statement in TABLES:
        op.execute(statement)
    isolate("tenants", f"id = {CURRENT_TENANT}", restricted_role="everyskill_app")
    op.execute("CREATE POLICY tenant_directory ON tenants AS PERMISSIVE FOR SELECT TO everyskill_operator USING (true)")
    for table in TENANT_TABLES:
        isolate(table, f"tenant_id = {CURRENT_TENANT}", restricted_role="public")
    for statement in GRANTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE skills DROP CONSTRAINT skills_tenant_id_published_version_id_published_version_fkey")
    for table in ["skill_feedback", "skill_versions", "skills", "users", "tenants"]:
        op.execute(f"DROP TABLE {table}")
    op.execute("REVOKE SELECT ON alembic_version FROM everyskill_app, everyskill_operator")


def isolate(table: str, predicate: str, *, restricted_role: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant_isolation ON {table} AS RESTRICTIVE FOR ALL TO {restricted_role}"
        f" USING ({predicate}) WITH CHECK ({predicate})"
    )
    op.execute(
        f"CREATE POLICY tenant_access ON {table} AS PERMISSIVE FOR ALL TO everyskill_app"
        f" USING ({predicate}) WITH CHECK ({predicate})"
    )
