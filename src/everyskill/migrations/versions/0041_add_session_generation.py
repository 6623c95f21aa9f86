"""Adds users.session_generation: how often a user signed out, so that sessions from before the last time are over.

What it locks and for how long: an ACCESS EXCLUSIVE lock on users until the migration commits, well under a second,
    since the column and its default are written to the catalog alone. Readers and writers of users wait. If it does not
    get the lock within five seconds, the migration fails and has changed nothing: run it again.
Does the old program keep working: one that is running does, but a session that was signed out goes on being good there,
    so stop it once the new one serves. One that starts afterwards refuses the newer database. Sessions from before the
    upgrade stay good until their users sign out.
How to undo it: downgrade to 0040_create_feed_checkpoints drops the column. Sessions that were signed out are good again
    until they expire, a week at most; another EVERYSKILL_SESSION_SECRET ends them all at once.
"""

from alembic import op

revision = "0041_add_session_generation"
down_revision = "0040_create_feed_checkpoints"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE users ADD COLUMN session_generation integer DEFAULT 0 NOT NULL")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE users DROP COLUMN session_generation")
