"""Who is asking, as a verified token or session says it."""

from msgspec import Struct

from everyskill.model.tenants import Role


class Identity(Struct, frozen=True):
    """A person of one tenant. `name` is what people call the person, where that is known.

    `claimed_role` is the role that a token gave, for as long as the token lives: until `until`, in seconds since 1970.
    """

    tenant_id: str
    user_id: str
    role: Role
    name: str | None = None
    claimed_role: Role | None = None
    until: float | None = None
