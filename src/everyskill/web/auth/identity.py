"""The authenticated sender of a request."""

from msgspec import Struct

from everyskill.model.tenants import Role


class Identity(Struct, frozen=True):
    """A user of one tenant. `name` is what people call the user, where that is known.

    `claimed_role` is the role that a bearer token gave; it is good until the token expires at `expires_at`, a Unix
    time. Both are None for a session.
    """

    tenant_id: str
    user_id: str
    role: Role
    name: str | None = None
    claimed_role: Role | None = None
    expires_at: float | None = None
