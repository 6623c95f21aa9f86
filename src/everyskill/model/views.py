"""What a user last saw of a skill."""

from datetime import datetime
from typing import TypeAlias

from msgspec import Struct


class UserSkillView(Struct, frozen=True):
    """A row of `user_skill_views`: when this user last saw this skill, in which version, and how often.

    `last_viewed_at` is aware, in UTC, to the millisecond. `last_viewed_version` is None where the views named none.
    """

    id: str
    tenant_id: str
    user_id: str
    skill_id: str
    last_viewed_at: datetime
    last_viewed_version: int | None
    view_count: int


class LastLook(Struct, frozen=True):
    """When somebody last looked, and at which version, where that is known. The time is aware."""

    last_viewed_at: datetime
    last_viewed_version: int | None


AnyLook: TypeAlias = UserSkillView | LastLook


class NewUserSkillView(Struct, frozen=True, kw_only=True):
    """Views to be recorded. The fields with a default are the ones the table fills in by itself."""

    tenant_id: str
    user_id: str
    skill_id: str
    id: str | None = None
    last_viewed_at: datetime | None = None
    last_viewed_version: int | None = None
    view_count: int = 1
