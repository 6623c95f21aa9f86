"""Knows, for half a minute, who belongs to which tenant, so that not every request has to ask."""

from collections.abc import Callable
from time import monotonic

from everyskill.handles import Database
from everyskill.model.tenants import User

KNOWN_SECONDS = 30.0
MOST_KNOWN = 10_000


class Members:
    """The people seen of late. One whose tenant is closed is let in until what is known of them runs out."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = monotonic) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[User, float]] = {}

    async def admit(self, tenant_id: str, user_id: str, *, email: str | None, name: str | None) -> User:
        """The user, added on first sight as a member, whatever role a token gives for its own time.

        Raises TenantNotFound or TenantInactive.
        """
        user, until = self._known.get((tenant_id, user_id), (None, 0.0))
        if user is not None and self._clock() < until:
            return user
        tenant = self._database.tenant(tenant_id)
        return self._remember(tenant_id, await tenant.admit_user(user_id, email=email, name=name))

    async def find(self, tenant_id: str, user_id: str) -> User:
        """The user, if there is one. Raises TenantNotFound, TenantInactive or UserNotFound."""
        user, until = self._known.get((tenant_id, user_id), (None, 0.0))
        if user is not None and self._clock() < until:
            return user
        return self._remember(tenant_id, await self._database.tenant(tenant_id).get_active_user(user_id))

    def _remember(self, tenant_id: str, user: User) -> User:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[tenant_id, user.id] = (user, self._clock() + KNOWN_SECONDS)
        return user
