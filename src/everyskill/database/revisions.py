"""The revisions this program knows, oldest first. The newest is the one it works with."""

REVISIONS: tuple[str, ...] = (
    "0038_skill_catalog",
    "0039_create_user_skill_views",
    "0040_create_feed_checkpoints",
    "0041_add_session_generation",
    "0042_analyze_new_tables",
    "0043_keep_moments",
    "0044_plan_for_the_largest_tenant",
    "0045_keep_whole_skills",
)
HEAD = REVISIONS[-1]
