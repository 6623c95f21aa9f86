"""Keeps versions and moments of skills right for other programs too, by triggers on skills and skill_versions.

What it locks and for how long: a SHARE ROW EXCLUSIVE lock on skills and skill_versions, whose writers wait, and an
    ACCESS EXCLUSIVE lock on feed_checkpoints, whose readers wait too, until the migration commits: well under a second,
    since triggers are written to the catalog alone. If it does not get a lock within five seconds, the migration fails
    and has changed nothing: run it again.
Does the old program keep working: yes, one that is running; its own publications meet no trigger. One that starts
    afterwards refuses the newer database. Checkpoints from before may lack what other programs wrote, so it empties
    them: each user's next feed is walked once or twice.
How to undo it: downgrade to 0042_analyze_new_tables drops triggers and functions. No information is lost.
"""

from alembic import op

revision = "0043_keep_moments"
down_revision = "0042_analyze_new_tables"
branch_labels = None
depends_on = None

STATEMENTS = [
    # The moment at which what this transaction publishes becomes visible: docs/decisions/0002. One a transaction and
    # tenant, kept in a setting that ends with it, as the lock does. One setting for all tenants, " <key>:<epoch>" of
    # each: a session never forgets the name of one.
    """
    CREATE FUNCTION everyskill_allocate_visible_at(tenant text) RETURNS timestamptz
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
    $$
    DECLARE
        key bigint := hashtextextended('everyskill:visible_at:' || tenant, 0);
        name text := ' ' || to_hex(key) || ':';
        kept text := coalesce(current_setting('everyskill.visible_at', true), '');
        clock timestamptz;
        moment timestamptz(3) :=
            to_timestamp(nullif(split_part(split_part(kept, name, 2), ' ', 1), '')::double precision);
    BEGIN
        IF moment IS NOT NULL THEN
            RETURN moment;
        END IF;
        PERFORM pg_advisory_xact_lock(key);
        moment := clock_timestamp();
        moment := moment + interval '1 millisecond';
        -- Not pg_sleep_until: where the clock is set back meanwhile, that goes on until it is there again.
        LOOP
            clock := clock_timestamp();
            EXIT WHEN clock >= moment OR clock < moment - interval '2 milliseconds';
        END LOOP;
        -- Read in a statement of its own, and so in a snapshot that was taken under the lock.
        moment := greatest(moment, (SELECT max(s.visible_at) + interval '1 millisecond'
                                      FROM public.skills AS s WHERE s.tenant_id = tenant));
        PERFORM set_config('everyskill.visible_at', kept || name || extract(epoch FROM moment), true);
        RETURN moment;
    END
    $$
    """,
    # Makes of a change what a publication would have made of it, before the row is written.
    """
    CREATE FUNCTION everyskill_keep_version() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
    $$
    DECLARE
        has_other_id boolean;
        has_other_number boolean;
    BEGIN
        IF TG_OP = 'INSERT' THEN
            NEW.visible_at := 'epoch';
            RETURN NEW;
        END IF;
        NEW.visible_at := greatest(NEW.visible_at, OLD.visible_at);
        has_other_id := NEW.published_version_id IS DISTINCT FROM OLD.published_version_id;
        has_other_number := NEW.published_version IS DISTINCT FROM OLD.published_version;
        IF has_other_id AND NEW.published_version_id IS NULL OR has_other_number AND NEW.published_version IS NULL THEN
            NEW.published_version_id := NULL;
            NEW.published_version := NULL;
        ELSIF has_other_id <> has_other_number THEN
            SELECT v.id, v.version INTO NEW.published_version_id, NEW.published_version
              FROM public.skill_versions AS v
             WHERE v.tenant_id = NEW.tenant_id AND v.skill_id = NEW.id
               AND CASE WHEN has_other_id THEN v.id = NEW.published_version_id
                        ELSE v.version = NEW.published_version END;
            IF NOT FOUND THEN
                RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
                    MESSAGE = 'skill ' || NEW.id || ' has no such version to publish',
                    HINT = 'Insert it into skill_versions before.';
            END IF;
        ELSIF NOT has_other_id AND NEW.published_version_id IS NOT NULL
              AND (NEW.name, NEW.description, NEW.category)
                  IS DISTINCT FROM (OLD.name, OLD.description, OLD.category) THEN
            INSERT INTO public.skill_versions AS made
                   (tenant_id, skill_id, version, name, description, content, content_hash, files, created_at)
            SELECT v.tenant_id, v.skill_id,
                   (SELECT max(known.version) + 1 FROM public.skill_versions AS known
                     WHERE known.tenant_id = v.tenant_id AND known.skill_id = v.skill_id),
                   NEW.name, NEW.description, v.content, v.content_hash, v.files,
                   greatest(clock_timestamp(), OLD.updated_at + interval '1 millisecond')
              FROM public.skill_versions AS v
             WHERE v.tenant_id = OLD.tenant_id AND v.id = OLD.published_version_id
            RETURNING made.id, made.version INTO NEW.published_version_id, NEW.published_version;
        END IF;
        RETURN NEW;
    END
    $$
    """,
    # Runs at the commit, so that the moment is not earlier than views that were recorded meanwhile, the tenant's lock
    # is held for no longer than a commit takes, and no row is waited for under it.
    """
    CREATE FUNCTION everyskill_keep_moments() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
    $$
    DECLARE
        entered text := coalesce(current_setting('app.current_tenant_id', true), '');
        is_changed boolean := TG_OP = 'UPDATE' AND (NEW.name, NEW.description, NEW.category, NEW.published_version_id)
                              IS DISTINCT FROM (OLD.name, OLD.description, OLD.category, OLD.published_version_id);
        moment timestamptz(3);
    BEGIN
        -- The tenant of the row: by now another one may be set, or none.
        PERFORM set_config('app.current_tenant_id', NEW.tenant_id, true);
        moment := public.everyskill_allocate_visible_at(NEW.tenant_id);
        UPDATE public.skills AS s
           SET visible_at = moment,
               -- What is shown again unchanged keeps it (S11).
               updated_at = CASE WHEN is_changed OR EXISTS (
                                      SELECT FROM public.skill_versions AS v
                                       WHERE v.tenant_id = s.tenant_id AND v.id = s.published_version_id
                                         AND v.created_at > s.updated_at)
                                 THEN moment ELSE s.updated_at END
         WHERE s.tenant_id = NEW.tenant_id AND s.id = NEW.id AND s.status = 'published';
        PERFORM set_config('app.current_tenant_id', entered, true);
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE FUNCTION everyskill_refuse_change() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
    $$
    BEGIN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = 'version ' || OLD.version || ' of skill ' || OLD.skill_id || ' cannot be changed: none ever is',
            HINT = 'Insert the next version, and set published_version_id of the skill to its id.';
    END
    $$
    """,
    # The conditions are false for all that this package writes: a draft that was never visible, and both columns of a
    # version together with a later visible_at.
    """
    CREATE TRIGGER skills_keep_version_of_new BEFORE INSERT ON skills FOR EACH ROW
        WHEN (NEW.status <> 'published' AND NEW.visible_at <> 'epoch')
        EXECUTE FUNCTION everyskill_keep_version()
    """,
    """
    CREATE TRIGGER skills_keep_version BEFORE UPDATE ON skills FOR EACH ROW
        WHEN (coalesce(NEW.visible_at < OLD.visible_at, true)
              OR (NEW.published_version_id IS DISTINCT FROM OLD.published_version_id)
                 <> (NEW.published_version IS DISTINCT FROM OLD.published_version)
              OR (NEW.published_version_id IS NOT DISTINCT FROM OLD.published_version_id
                  AND (NEW.name, NEW.description, NEW.category)
                      IS DISTINCT FROM (OLD.name, OLD.description, OLD.category)))
        EXECUTE FUNCTION everyskill_keep_version()
    """,
    """
    CREATE CONSTRAINT TRIGGER skills_keep_moments_of_new AFTER INSERT ON skills
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        WHEN (NEW.status = 'published')
        EXECUTE FUNCTION everyskill_keep_moments()
    """,
    """
    CREATE CONSTRAINT TRIGGER skills_keep_moments AFTER UPDATE ON skills
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        WHEN (NEW.status = 'published' AND NEW.visible_at = OLD.visible_at
              AND (OLD.status <> 'published' OR NEW.updated_at > OLD.updated_at
                   OR (NEW.published_version IS NOT NULL
                       AND NEW.published_version IS DISTINCT FROM OLD.published_version)
                   OR (NEW.name, NEW.description, NEW.category)
                      IS DISTINCT FROM (OLD.name, OLD.description, OLD.category)))
        EXECUTE FUNCTION everyskill_keep_moments()
    """,
    """
    CREATE TRIGGER skill_versions_refuse_change BEFORE UPDATE ON skill_versions FOR EACH ROW
        WHEN ((NEW.tenant_id, NEW.id, NEW.skill_id, NEW.version, NEW.name, NEW.description, NEW.content,
               NEW.content_hash, NEW.files)
              IS DISTINCT FROM (OLD.tenant_id, OLD.id, OLD.skill_id, OLD.version, OLD.name, OLD.description,
                                OLD.content, OLD.content_hash, OLD.files))
        EXECUTE FUNCTION everyskill_refuse_change()
    """,
    "TRUNCATE feed_checkpoints",
]

UNDO = [
    "DROP TRIGGER skill_versions_refuse_change ON skill_versions",
    "DROP TRIGGER skills_keep_moments ON skills",
    "DROP TRIGGER skills_keep_moments_of_new ON skills",
    "DROP TRIGGER skills_keep_version ON skills",
    "DROP TRIGGER skills_keep_version_of_new ON skills",
    "DROP FUNCTION everyskill_refuse_change()",
    "DROP FUNCTION everyskill_keep_moments()",
    "DROP FUNCTION everyskill_keep_version()",
    "DROP FUNCTION everyskill_allocate_visible_at(text)",
]


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in UNDO:
        op.execute(statement)
