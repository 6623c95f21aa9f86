"""Caches for half a minute which user belongs to which tenant, so that not every request asks the database."""

from collections.abc import Callable
from time import monotonic

from cachetools import TTLCache

from everyskill.handles import Database
from everyskill.model.tenants import User

CACHE_SECONDS = 30.0
MAX_CACHED = 10_000


class UserCache:
    """Users by tenant. One whose tenant was closed meanwhile is let in until the entry expires."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = monotonic) -> None:
        self._database = database
        self._users: TTLCache[tuple[str, str], User] = TTLCache(MAX_CACHED, CACHE_SECONDS, timer=clock)

    async def admit(self, tenant_id: str, user_id: str, *, email: str | None, name: str | None) -> User:
        """The user. One who does not exist yet is added as a member, whatever role a token gives while it lives.

        Raises TenantNotFound or TenantInactive.
        """
        user = self._users.get((tenant_id, user_id))
        if user is None:
            user = await self._database.tenant(tenant_id).admit_user(user_id, email=email, name=name)
            self._users[tenant_id, user_id] = user
        return user

    async def find(self, tenant_id: str, user_id: str) -> User:
        """The user, who must exist. Raises TenantNotFound, TenantInactive or UserNotFound."""
        user = self._users.get((tenant_id, user_id))
        if user is None:
            user = await self._database.tenant(tenant_id).get_active_user(user_id)
            self._users[tenant_id, user_id] = user
        return user
