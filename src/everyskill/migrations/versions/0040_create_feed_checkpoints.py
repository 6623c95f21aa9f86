"""Creates feed_checkpoints: how far each user's feed is known, so that it is not read again from its beginning.

What it locks and for how long: its foreign key takes a SHARE ROW EXCLUSIVE lock on users until the migration commits,
    well under a second, since the new table is empty. Writers of users wait; readers do not. If it does not get the
    lock within five seconds, the migration fails and has changed nothing: run it again.
Does the old program keep working: one that is running does, but it does not invalidate checkpoints, so stop it before
    the new one serves. One that starts afterwards refuses the newer database.
How to undo it: downgrade to 0039_create_user_skill_views drops the table. No information is lost: its rows are derived
    from the other tables, and are created again as users read their feeds.
"""

from alembic import op

revision = "0040_create_feed_checkpoints"
down_revision = "0039_create_user_skill_views"
branch_labels = None
depends_on = None

CURRENT_TENANT = "current_setting('app.current_tenant_id', true)"

STATEMENTS = [
    """
    CREATE TABLE feed_checkpoints (
        tenant_id text NOT NULL,
        user_id text NOT NULL,
        visible_at timestamptz(3),
        pending_skill_ids text[] DEFAULT '{}' NOT NULL,
        complete_above timestamptz(3),
        token text DEFAULT gen_random_uuid() NOT NULL,
        CONSTRAINT feed_checkpoints_pkey PRIMARY KEY (tenant_id, user_id),
        CONSTRAINT feed_checkpoints_tenant_id_user_id_fkey FOREIGN KEY (tenant_id, user_id)
            REFERENCES users (tenant_id, id) ON DELETE CASCADE
    )
    """,
    "ALTER TABLE feed_checkpoints ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE feed_checkpoints FORCE ROW LEVEL SECURITY",
    f"""
    CREATE POLICY tenant_isolation ON feed_checkpoints AS RESTRICTIVE FOR ALL
        USING (tenant_id = {CURRENT_TENANT}) WITH CHECK (tenant_id = {CURRENT_TENANT})
    """,
    f"""
    CREATE POLICY tenant_access ON feed_checkpoints AS PERMISSIVE FOR ALL TO everyskill_app
        USING (tenant_id = {CURRENT_TENANT}) WITH CHECK (tenant_id = {CURRENT_TENANT})
    """,
    "GRANT SELECT, INSERT, UPDATE, DELETE ON feed_checkpoints TO everyskill_app",
]


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TABLE feed_checkpoints")
