"""Has the planner take every tenant for the largest one, and every user and skill for one with many views.

What it locks and for how long: a SHARE UPDATE EXCLUSIVE lock on users, skills, skill_versions, skill_feedback and
    user_skill_views until the migration commits. Readers and writers go on; VACUUM, ANALYZE and other migrations wait.
    It analyzes the five tables, which reads 30,000 pages of each at most: seconds. If it does not get a lock within
    five seconds, the migration fails and has changed nothing: run it again.
Does the old program keep working: one that is running does, and gains as much. One that starts afterwards refuses the
    newer database.
How to undo it: downgrade to 0043_keep_moments takes the settings back and analyzes again. No information is lost.
"""

from alembic import op

revision = "0044_plan_for_the_largest_tenant"
down_revision = "0043_keep_moments"
branch_labels = None
depends_on = None

# PostgreSQL takes each value for one that rows / n_distinct rows have, but for no more than the most common value has.
# With 1 that is what the largest tenant has. With 100 an index on user_id or skill_id alone never looks as good as the
# key of one view, and is still the way to find all views of a skill that is deleted.
N_DISTINCT = {
    "users": {"tenant_id": 1},
    "skills": {"tenant_id": 1},
    "skill_versions": {"tenant_id": 1},
    "skill_feedback": {"tenant_id": 1},
    "user_skill_views": {"tenant_id": 1, "user_id": 100, "skill_id": 100},
}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table, columns in N_DISTINCT.items():
        for column, number in columns.items():
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET (n_distinct = {number})")
        _analyze(table)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table, columns in N_DISTINCT.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} RESET (n_distinct)")
        _analyze(table)


def _analyze(table: str) -> None:
    # Not an empty one: the planner then takes it for one that stays so.
    op.execute(f"DO $$ BEGIN IF pg_relation_size('{table}') > 0 THEN ANALYZE {table}; END IF; END $$")
