"""What can be asked and done, one file a noun. Each function takes the tenant first; `handles.Tenant` has them all."""

from everyskill.services.feedback import add_feedback, count_feedback_since, list_feedback
from everyskill.services.files import get_archive, list_files, prune_files, read_file
from everyskill.services.publishing import publish_skill, publish_skills
from everyskill.services.skill_names import find_new_slug, rename_skill
from everyskill.services.skill_pages import get_skill_page
from everyskill.services.skills import (
    archive_skill,
    get_skill,
    list_categories,
    list_skills,
    list_slugs,
    restore_skill,
)
from everyskill.services.sources import (
    get_skill_source,
    list_sourced_skills,
    mark_vanished_skills,
    save_skill_source,
)
from everyskill.services.tenants import create_tenant, get_tenant
from everyskill.services.users import (
    add_user,
    admit_user,
    end_sessions,
    get_active_user,
    get_session_generation,
    get_user,
    list_users,
)
from everyskill.services.versions import compare_versions, get_version, get_version_number, list_versions
from everyskill.services.views import (
    get_updated_skill_ids,
    get_user_view,
    get_user_views_for_skills,
    get_view_states,
    record_skill_view,
)
from everyskill.services.visits import get_changes, get_changes_for_skills, visit_skill
from everyskill.services.whats_new import (
    count_whats_new,
    get_whats_new_for_user,
    get_whats_new_page,
    mark_all_seen,
)

__all__ = [
    "add_feedback",
    "add_user",
    "admit_user",
    "archive_skill",
    "compare_versions",
    "count_feedback_since",
    "count_whats_new",
    "create_tenant",
    "end_sessions",
    "find_new_slug",
    "get_active_user",
    "get_archive",
    "get_changes",
    "get_changes_for_skills",
    "get_session_generation",
    "get_skill",
    "get_skill_page",
    "get_skill_source",
    "get_tenant",
    "get_updated_skill_ids",
    "get_user",
    "get_user_view",
    "get_user_views_for_skills",
    "get_version",
    "get_version_number",
    "get_view_states",
    "get_whats_new_for_user",
    "get_whats_new_page",
    "list_categories",
    "list_feedback",
    "list_files",
    "list_skills",
    "list_slugs",
    "list_sourced_skills",
    "list_users",
    "list_versions",
    "mark_all_seen",
    "mark_vanished_skills",
    "prune_files",
    "publish_skill",
    "publish_skills",
    "read_file",
    "record_skill_view",
    "rename_skill",
    "restore_skill",
    "save_skill_source",
    "visit_skill",
]
