"""Who is asking, as a verified token or session says it."""

from msgspec import Struct

from everyskill.model.tenants import Role


class Identity(Struct, frozen=True):
    """A person of one tenant. `name` is what people call the person, where that is known."""

    tenant_id: str
    user_id: str
    role: Role
    name: str | None = None
