"""The rules of "changed" as SQL, each written once, over the aliases that every statement uses: v a view, s a skill.

S1, S2 … in this package are the rules of docs/semantics.md.

A test holds IS_UPDATED against `model.changes.is_updated`, which is the same rule for values at hand.
"""

from datetime import timedelta

from everyskill.model.whats_new import WINDOW

# Whether anybody can see the skill. Spelled out: only so can the planner use the partial index on published skills.
IS_PUBLISHED = "s.status = 'published'"

# Rule S1: "updated for a user". Where the version of the view is not known (NULL), the time alone decides. What was
# published quietly (S17) is not announced.
IS_UPDATED = f"""(
    {IS_PUBLISHED}
    AND (coalesce(s.announced_version, s.published_version) > v.last_viewed_version OR s.updated_at > v.last_viewed_at)
)"""

# The highest severity of what the published version may do and the version that was seen could not, as
# compare_capabilities in model/capabilities.py says; NULL where that is nothing, or not known. By skill_versions_pkey
# and skill_versions_tenant_id_skill_id_version_unique. EXCEPT, not <> ALL, which takes quadratic time.
NEW_SEVERITY = """(
    SELECT CASE max(left(asked.capability, 1)) WHEN '3' THEN 'high' WHEN '2' THEN 'medium' WHEN '1' THEN 'low' END
      FROM (SELECT versions.capabilities
              FROM skill_versions AS versions
             WHERE versions.tenant_id = :tenant_id AND versions.id = s.published_version_id
            OFFSET 0) AS published
      JOIN (SELECT versions.capabilities
              FROM skill_versions AS versions
             WHERE versions.tenant_id = :tenant_id AND versions.skill_id = s.id
               AND versions.version = v.last_viewed_version AND versions.capabilities IS NOT NULL
            OFFSET 0) AS seen ON true
      JOIN LATERAL (
          SELECT unnest(published.capabilities) EXCEPT SELECT unnest(seen.capabilities)
      ) AS asked (capability) ON true
     WHERE asked.capability ~ '^[123]:[a-z]+:'
       AND (strpos(asked.capability, '(') = 0
            OR NOT coalesce(split_part(asked.capability, '(', 1) = ANY (seen.capabilities), false))
)"""

# The skill of a view, with what S1 and S8 ask: by skills_pkey, whatever the statistics say. By its key alone, or a
# partial index would tempt the planner.
SKILL_OF_VIEW = """JOIN LATERAL (
    SELECT skills.status, skills.updated_at, skills.visible_at, skills.published_version, skills.announced_version
      FROM skills
     WHERE skills.tenant_id = :tenant_id AND skills.id = v.skill_id
    OFFSET 0
) AS s ON true"""

# Rule S7: the window is about the change, never about the view. now() is stable, so an index scan can start at it.
# In hours: a day of the session's time zone may have 23 or 25.
IN_WINDOW = f"s.updated_at >= now() - interval '{WINDOW // timedelta(hours=1)} hours'"
