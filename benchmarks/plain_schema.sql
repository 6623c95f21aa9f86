-- The tables as they are usually made: ids alone as keys, a B-tree over what a user saw last, no row-level security.
CREATE TABLE tenants (
    id text PRIMARY KEY, name text NOT NULL, slug text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE users (
    tenant_id text NOT NULL REFERENCES tenants (id), id text NOT NULL, email text, name text, role text NOT NULL DEFAULT 'member',
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (tenant_id, id)
);
CREATE TABLE skills (
    id text PRIMARY KEY, tenant_id text NOT NULL REFERENCES tenants (id), name text NOT NULL, slug text NOT NULL,
    description text NOT NULL, category text NOT NULL, status text NOT NULL, published_version_id text, published_version integer,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), UNIQUE (tenant_id, slug)
);
CREATE INDEX skills_tenant_id_idx ON skills (tenant_id);
CREATE INDEX skills_updated_at_idx ON skills (updated_at);
CREATE TABLE skill_versions (
    id text PRIMARY KEY, tenant_id text NOT NULL REFERENCES tenants (id), skill_id text NOT NULL REFERENCES skills (id),
    version integer NOT NULL, name text NOT NULL, description text NOT NULL, content text NOT NULL, content_hash text NOT NULL,
    files jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), UNIQUE (skill_id, version)
);
CREATE TABLE skill_feedback (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text, tenant_id text NOT NULL REFERENCES tenants (id),
    skill_id text NOT NULL REFERENCES skills (id), feedback_type text NOT NULL, comment text, status text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX skill_feedback_skill_id_idx ON skill_feedback (skill_id, created_at);
CREATE TABLE user_skill_views (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text, tenant_id text NOT NULL REFERENCES tenants (id),
    user_id text NOT NULL, skill_id text NOT NULL REFERENCES skills (id) ON DELETE CASCADE,
    last_viewed_at timestamptz NOT NULL DEFAULT now(), last_viewed_version integer, view_count integer NOT NULL DEFAULT 1,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT user_skill_views_tenant_user_skill_unique UNIQUE (tenant_id, user_id, skill_id)
);
CREATE INDEX user_skill_views_user_id_idx ON user_skill_views (user_id);
CREATE INDEX user_skill_views_skill_id_idx ON user_skill_views (skill_id);
CREATE INDEX user_skill_views_tenant_id_idx ON user_skill_views (tenant_id);
CREATE INDEX user_skill_views_user_viewed_idx ON user_skill_views (user_id, last_viewed_at);
