"""What a user last saw of a skill."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeAlias

from msgspec import Struct

from everyskill.model.severity import Severity


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


# Lists of skills show many of these at once, and none of them can be part of a reference cycle.
class ViewState(Struct, frozen=True, gc=False):
    """A user's view of a skill, whether the skill was updated since (S1), and how much more it may do, if it may."""

    skill_id: str
    last_viewed_at: datetime
    last_viewed_version: int | None
    view_count: int
    is_updated: bool
    severity: Severity | None = None


class PreviousView(Struct, frozen=True):
    """When a user saw a skill, and in which version, where that is known. The time is aware."""

    last_viewed_at: datetime
    last_viewed_version: int | None


class ViewBeforeVisit(PreviousView, frozen=True):
    """The last view before a visit, and the moment at which that visit was recorded. Both times are aware."""

    visited_at: datetime


AnyView: TypeAlias = UserSkillView | PreviousView


class NewUserSkillView(Struct, frozen=True, kw_only=True):
    """Views to be recorded. The fields with a default are the ones the table fills in by itself."""

    tenant_id: str
    user_id: str
    skill_id: str
    id: str | None = None
    last_viewed_at: datetime | None = None
    last_viewed_version: int | None = None
    view_count: int = 1


ViewKey: TypeAlias = tuple[str, str]


def combine_views(views: Iterable[NewUserSkillView]) -> dict[ViewKey, NewUserSkillView]:
    """For each user id and skill id one view that is worth all of theirs: counts added, greatest time and version (S4).

    They are all of one tenant.
    """
    combined: dict[ViewKey, NewUserSkillView] = {}
    for view in views:
        key = (view.user_id, view.skill_id)
        other = combined.get(key)
        combined[key] = view if other is None else _combine_two(other, view)
    return combined


def _combine_two(one: NewUserSkillView, two: NewUserSkillView) -> NewUserSkillView:
    return NewUserSkillView(
        tenant_id=one.tenant_id,
        user_id=one.user_id,
        skill_id=one.skill_id,
        last_viewed_at=_later(one.last_viewed_at, two.last_viewed_at),
        last_viewed_version=max(one.last_viewed_version or 0, two.last_viewed_version or 0) or None,
        view_count=one.view_count + two.view_count,
    )


def _later(one: datetime | None, two: datetime | None) -> datetime | None:
    # None is now, and nothing is later: a moment in the future counts as now (S5).
    return None if one is None or two is None else max(one, two)
