"""Creates everyskill_analyze_new_tables(), by which the application keeps the statistics of young tables.

What it locks and for how long: nothing; it adds a function that nobody knows yet.
Does the old program keep working: one that is running does. One that starts afterwards refuses the newer database.
How to undo it: downgrade to 0041_add_session_generation drops the function. No information is lost.
"""

from alembic import op

revision = "0042_analyze_new_tables"
down_revision = "0041_add_session_generation"
branch_labels = None
depends_on = None

STATEMENTS = [
    # Runs as the owner, who alone may ANALYZE before PostgreSQL 17. A table of one page is read as fast without
    # statistics; one that has four times the pages of the last time has other rows; one of more than 64 MB would keep
    # its caller waiting, and is left to autovacuum.
    """
    CREATE FUNCTION everyskill_analyze_new_tables() RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
    $$
    DECLARE
        new_table regclass;
    BEGIN
        FOR new_table IN
            SELECT oid
              FROM pg_class
             WHERE relnamespace = to_regnamespace('public') AND relkind = 'r'
               AND relname IN ('users', 'skills', 'skill_versions', 'skill_feedback', 'user_skill_views',
                               'feed_checkpoints')
               AND pg_relation_size(oid) > 8192 AND pg_relation_size(oid) <= 67108864
               AND pg_relation_size(oid) / (4 * 8192) >= relpages
               AND NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'
        LOOP
            -- Where somebody else just does it, or locks the table, nobody waits.
            EXECUTE 'ANALYZE (SKIP_LOCKED) ' || new_table;
        END LOOP;
    END
    $$
    """,
    "REVOKE EXECUTE ON FUNCTION everyskill_analyze_new_tables() FROM public",
    "GRANT EXECUTE ON FUNCTION everyskill_analyze_new_tables() TO everyskill_app",
]


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP FUNCTION everyskill_analyze_new_tables()")
