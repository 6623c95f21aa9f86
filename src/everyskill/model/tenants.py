"""A company and the people in it."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class Role(StrEnum):
    """What a user may do: a member reads and gives feedback, an admin also publishes."""

    ADMIN = "admin"
    MEMBER = "member"


class TenantInfo(Struct, frozen=True):
    """A company whose catalog is kept apart from all others. Times are aware, in UTC."""

    id: str
    name: str
    slug: str
    is_active: bool
    created_at: datetime
    updated_at: datetime


class User(Struct, frozen=True):
    """A person of one tenant. `id` is whatever the identity provider calls the person."""

    id: str
    email: str | None
    name: str | None
    role: Role
    created_at: datetime
    updated_at: datetime
