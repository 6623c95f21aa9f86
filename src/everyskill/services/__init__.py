"""The questions and acts. Each takes the tenant first; `Tenant` in handles.py carries the same functions as methods."""

from everyskill.services.readings import read_skill_for_user
from everyskill.services.skill_feedback import add_feedback
from everyskill.services.skill_versions import compare_versions, list_versions, read_skill
from everyskill.services.skills import (
    archive_skill,
    get_skill,
    list_categories,
    list_skills,
    publish_skill,
    restore_skill,
)
from everyskill.services.tenants import create_tenant, get_tenant
from everyskill.services.user_skill_views import (
    count_feedback_since,
    get_updated_skill_ids,
    get_user_view,
    get_user_views_for_skills,
    get_version_number,
    get_view_states,
    get_whats_new_for_user,
    record_skill_view,
)
from everyskill.services.users import add_user, admit_user, get_active_user, get_user, list_users
from everyskill.services.visits import get_changes, get_changes_for_skills, visit_skill
from everyskill.services.whats_new import count_whats_new, get_whats_new_page, mark_all_seen

__all__ = [
    "add_feedback",
    "add_user",
    "admit_user",
    "archive_skill",
    "compare_versions",
    "count_feedback_since",
    "count_whats_new",
    "create_tenant",
    "get_active_user",
    "get_changes",
    "get_changes_for_skills",
    "get_skill",
    "get_tenant",
    "get_updated_skill_ids",
    "get_user",
    "get_user_view",
    "get_user_views_for_skills",
    "get_version_number",
    "get_view_states",
    "get_whats_new_for_user",
    "get_whats_new_page",
    "list_categories",
    "list_skills",
    "list_users",
    "list_versions",
    "mark_all_seen",
    "publish_skill",
    "read_skill",
    "read_skill_for_user",
    "record_skill_view",
    "restore_skill",
    "visit_skill",
]
