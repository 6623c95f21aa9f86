"""Keeps whole skills: the contents of files, and of each version who made it, why, and what it may do.

Creates skill_file_contents, skill_redirects and skill_sources, and adds columns to skills and skill_versions.

What it locks and for how long: an ACCESS EXCLUSIVE lock on skills and skill_versions, whose readers wait too, until the
    migration commits: well under a second, since no row is rewritten or read. If it does not get a lock within five
    seconds, the migration fails and has changed nothing: run it again.
Does the old program keep working: one that is running does; what it publishes has no category and no front matter,
    and no contents, which the next import fills in. One that starts afterwards refuses the newer database.
How to undo it: downgrade to 0044_plan_for_the_largest_tenant drops tables and columns, and with them the contents of
    all files but SKILL.md, notes, old slugs and sources. Who has not seen a quiet version is then badged for it. Dump
    before.
"""

from alembic import op

revision = "0045_keep_whole_skills"
down_revision = "0044_plan_for_the_largest_tenant"
branch_labels = None
depends_on = None

CURRENT_TENANT = "current_setting('app.current_tenant_id', true)"

TABLES = {
    # Each content once a tenant, whichever skills, versions and paths have it.
    "skill_file_contents": """
        CREATE TABLE skill_file_contents (
            tenant_id text NOT NULL,
            hash text NOT NULL,
            is_text boolean NOT NULL,
            content bytea NOT NULL,
            CONSTRAINT skill_file_contents_pkey PRIMARY KEY (tenant_id, hash),
            CONSTRAINT skill_file_contents_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
            CONSTRAINT skill_file_contents_hash_check CHECK (hash = encode(sha256(content), 'hex'))
        )
    """,
    "skill_redirects": """
        CREATE TABLE skill_redirects (
            tenant_id text NOT NULL,
            slug text NOT NULL,
            skill_id text NOT NULL,
            created_at timestamptz(3) DEFAULT now() NOT NULL,
            CONSTRAINT skill_redirects_pkey PRIMARY KEY (tenant_id, slug),
            CONSTRAINT skill_redirects_tenant_id_skill_id_fkey FOREIGN KEY (tenant_id, skill_id)
                REFERENCES skills (tenant_id, id) ON DELETE CASCADE
        )
    """,
    "skill_sources": """
        CREATE TABLE skill_sources (
            tenant_id text NOT NULL,
            address text NOT NULL,
            ref text,
            revision text,
            synced_at timestamptz(3) DEFAULT now() NOT NULL,
            CONSTRAINT skill_sources_pkey PRIMARY KEY (tenant_id, address),
            CONSTRAINT skill_sources_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id)
        )
    """,
}
# Contents are immutable, as versions are.
PRIVILEGES = {
    "skill_file_contents": "SELECT, INSERT, DELETE",
    "skill_redirects": "SELECT, INSERT, UPDATE, DELETE",
    "skill_sources": "SELECT, INSERT, UPDATE, DELETE",
}

COLUMNS = [
    """
    ALTER TABLE skill_versions
        ADD COLUMN category text,
        ADD COLUMN front_matter json,
        ADD COLUMN capabilities text[],
        ADD COLUMN author_name text,
        ADD COLUMN note text,
        ADD COLUMN authored_at timestamptz(3),
        ADD COLUMN is_quiet boolean DEFAULT false NOT NULL
    """,
    """
    ALTER TABLE skills
        ADD COLUMN announced_version integer,
        ADD COLUMN successor_id text,
        ADD COLUMN source text,
        ADD COLUMN source_path text,
        ADD CONSTRAINT skills_announced_version_check CHECK (announced_version <= published_version),
        ADD CONSTRAINT skills_tenant_id_successor_id_fkey FOREIGN KEY (tenant_id, successor_id)
            REFERENCES skills (tenant_id, id) ON DELETE SET NULL (successor_id),
        ADD CONSTRAINT skills_tenant_id_source_fkey FOREIGN KEY (tenant_id, source)
            REFERENCES skill_sources (tenant_id, address) ON DELETE SET NULL (source)
    """,
    "CREATE INDEX skills_successor_idx ON skills (tenant_id, successor_id) WHERE successor_id IS NOT NULL",
    "CREATE INDEX skills_source_idx ON skills (tenant_id, source) WHERE source IS NOT NULL",
    "CREATE INDEX skill_redirects_skill_idx ON skill_redirects (tenant_id, skill_id)",
]

# A version that another program publishes is announced, unless it is one that was published quietly before (S17).
KEEP_ANNOUNCED = [
    """
    CREATE FUNCTION everyskill_keep_announced() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
    $$
    BEGIN
        IF NEW.published_version IS NULL OR NOT coalesce(
               (SELECT v.is_quiet FROM public.skill_versions AS v
                 WHERE v.tenant_id = NEW.tenant_id AND v.id = NEW.published_version_id), false) THEN
            NEW.announced_version := NULL;
        END IF;
        RETURN NEW;
    END
    $$
    """,
    # Triggers of one kind run by name: after skills_keep_version, which may make the version.
    """
    CREATE TRIGGER skills_keep_version_announced BEFORE UPDATE ON skills FOR EACH ROW
        WHEN (OLD.announced_version = NEW.announced_version)
        EXECUTE FUNCTION everyskill_keep_announced()
    """,
]


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table, creation in TABLES.items():
        op.execute(creation)
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        predicate = f"USING (tenant_id = {CURRENT_TENANT}) WITH CHECK (tenant_id = {CURRENT_TENANT})"
        op.execute(f"CREATE POLICY tenant_isolation ON {table} AS RESTRICTIVE FOR ALL {predicate}")
        op.execute(f"CREATE POLICY tenant_access ON {table} AS PERMISSIVE FOR ALL TO everyskill_app {predicate}")
        op.execute(f"GRANT {PRIVILEGES[table]} ON {table} TO everyskill_app")
        op.execute(f"ALTER TABLE {table} ALTER COLUMN tenant_id SET (n_distinct = 1)")
    for statement in [*COLUMNS, *KEEP_ANNOUNCED]:
        op.execute(statement)
    op.execute(keep_version(more=["front_matter", "capabilities"], named=["category"]))
    op.execute(keep_moments("v.skill_id = s.id AND v.version = coalesce(s.announced_version, s.published_version)"))
    refuse_change("category", "front_matter::text", "capabilities", "author_name", "note", "authored_at", "is_quiet")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(keep_version(more=[], named=[]))
    op.execute(keep_moments("v.id = s.published_version_id"))
    refuse_change()
    op.execute("DROP TRIGGER skills_keep_version_announced ON skills")
    op.execute("DROP FUNCTION everyskill_keep_announced()")
    op.execute(
        "ALTER TABLE skills DROP COLUMN announced_version, DROP COLUMN successor_id, DROP COLUMN source,"
        " DROP COLUMN source_path"
    )
    op.execute(
        "ALTER TABLE skill_versions DROP COLUMN category, DROP COLUMN front_matter, DROP COLUMN capabilities,"
        " DROP COLUMN author_name, DROP COLUMN note, DROP COLUMN authored_at, DROP COLUMN is_quiet"
    )
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE {table}")


def keep_version(*, more: list[str], named: list[str]) -> str:
    """The function of 0043_keep_moments, whose versions have more columns: copied, and as the change says."""
    columns = "".join(f", {column}" for column in [*more, *named])
    values = "".join([*(f", v.{column}" for column in more), *(f", NEW.{column}" for column in named)])
    return f"""
    CREATE OR REPLACE FUNCTION everyskill_keep_version() RETURNS trigger
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
                   (tenant_id, skill_id, version, name, description, content, content_hash, files, created_at{columns})
            SELECT v.tenant_id, v.skill_id,
                   (SELECT max(known.version) + 1 FROM public.skill_versions AS known
                     WHERE known.tenant_id = v.tenant_id AND known.skill_id = v.skill_id),
                   NEW.name, NEW.description, v.content, v.content_hash, v.files,
                   greatest(clock_timestamp(), OLD.updated_at + interval '1 millisecond'){values}
              FROM public.skill_versions AS v
             WHERE v.tenant_id = OLD.tenant_id AND v.id = OLD.published_version_id
            RETURNING made.id, made.version INTO NEW.published_version_id, NEW.published_version;
        END IF;
        RETURN NEW;
    END
    $$
    """


def keep_moments(shown_version: str) -> str:
    """The function of 0043_keep_moments, that moves updated_at where this version is newer."""
    return f"""
    CREATE OR REPLACE FUNCTION everyskill_keep_moments() RETURNS trigger
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
                                       WHERE v.tenant_id = s.tenant_id AND {shown_version}
                                         AND v.created_at > s.updated_at)
                                 THEN moment ELSE s.updated_at END
         WHERE s.tenant_id = NEW.tenant_id AND s.id = NEW.id AND s.status = 'published';
        PERFORM set_config('app.current_tenant_id', entered, true);
        RETURN NULL;
    END
    $$
    """


def refuse_change(*more: str) -> None:
    """Recreates the trigger of 0043_keep_moments, with more columns that cannot be changed."""
    columns = ["tenant_id", "id", "skill_id", "version", "name", "description", "content", "content_hash", "files"]
    new, old = ([f"{row}.{column}" for column in [*columns, *more]] for row in ("NEW", "OLD"))
    op.execute("DROP TRIGGER skill_versions_refuse_change ON skill_versions")
    op.execute(
        "CREATE TRIGGER skill_versions_refuse_change BEFORE UPDATE ON skill_versions FOR EACH ROW"
        f" WHEN (({', '.join(new)}) IS DISTINCT FROM ({', '.join(old)}))"
        " EXECUTE FUNCTION everyskill_refuse_change()"
    )
