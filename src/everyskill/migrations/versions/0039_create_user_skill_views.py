"""Creates user_skill_views: when each user last viewed a skill, in which version, and how often.

What it locks and for how long: its foreign keys take a SHARE ROW EXCLUSIVE lock on tenants, users and skills until the
    migration commits, well under a second, since the new table is empty. Writers of the three wait; readers do not. If
    it does not get a lock within five seconds, the migration fails and has changed nothing: run it again.
Does the old program keep working: yes; no existing table is changed.
How to undo it: downgrade to 0038_skill_catalog drops the table, and with it all users' views. Copy it before:
    CREATE TABLE user_skill_views_copy AS TABLE user_skill_views.
"""

from alembic import op

revision = "0039_create_user_skill_views"
down_revision = "0038_skill_catalog"
branch_labels = None
depends_on = None

CURRENT_TENANT = "current_setting('app.current_tenant_id', true)"

STATEMENTS = [
    """
    CREATE TABLE user_skill_views (
        id text DEFAULT gen_random_uuid() NOT NULL,
        tenant_id text NOT NULL,
        user_id text NOT NULL,
        skill_id text NOT NULL,
        last_viewed_at timestamptz(3) DEFAULT now() NOT NULL,
        last_viewed_version integer,
        view_count integer DEFAULT 1 NOT NULL,
        CONSTRAINT user_skill_views_pkey PRIMARY KEY (id),
        CONSTRAINT user_skill_views_tenant_user_skill_unique UNIQUE (tenant_id, user_id, skill_id),
        CONSTRAINT user_skill_views_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
        CONSTRAINT user_skill_views_tenant_id_user_id_fkey FOREIGN KEY (tenant_id, user_id)
            REFERENCES users (tenant_id, id) ON DELETE CASCADE,
        CONSTRAINT user_skill_views_tenant_id_skill_id_fkey FOREIGN KEY (tenant_id, skill_id)
            REFERENCES skills (tenant_id, id) ON DELETE CASCADE
    ) WITH (fillfactor = 85)
    """,
    "CREATE INDEX user_skill_views_user_id_idx ON user_skill_views (user_id)",
    "CREATE INDEX user_skill_views_skill_id_idx ON user_skill_views (skill_id)",
    "CREATE INDEX user_skill_views_tenant_id_idx ON user_skill_views (tenant_id)",
    "CREATE INDEX user_skill_views_user_viewed_idx ON user_skill_views USING brin (user_id, last_viewed_at)",
    "ALTER TABLE user_skill_views ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE user_skill_views FORCE ROW LEVEL SECURITY",
    f"""
    CREATE POLICY tenant_isolation ON user_skill_views AS RESTRICTIVE FOR ALL
        USING (tenant_id = {CURRENT_TENANT}) WITH CHECK (tenant_id = {CURRENT_TENANT})
    """,
    f"""
    CREATE POLICY tenant_access ON user_skill_views AS PERMISSIVE FOR ALL TO everyskill_app
        USING (tenant_id = {CURRENT_TENANT}) WITH CHECK (tenant_id = {CURRENT_TENANT})
    """,
    "GRANT SELECT, INSERT, UPDATE, DELETE ON user_skill_views TO everyskill_app",
]


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TABLE user_skill_views")
