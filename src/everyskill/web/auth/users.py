"""Caches users and the generations of their sessions for half a minute, so that not every request asks the database."""

from collections.abc import Callable
from time import monotonic

from cachetools import TTLCache

from everyskill.handles import Database
from everyskill.model.tenants import User

CACHE_SECONDS = 30.0
MAX_CACHED = 10_000


class UserCache:
    """Users by tenant. One whose tenant was closed meanwhile is let in until the entry expires.

    Nor is a session over before that where its user signed out in another process; in this one it is at once.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = monotonic) -> None:
        self._database = database
        self._users: TTLCache[tuple[str, str], User] = TTLCache(MAX_CACHED, CACHE_SECONDS, timer=clock)
        self._generations: TTLCache[tuple[str, str], int] = TTLCache(MAX_CACHED, CACHE_SECONDS, timer=clock)

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

    async def find_session_generation(self, tenant_id: str, user_id: str) -> int:
        """The generation below which a session of the user is over. Raises UserNotFound."""
        generation = self._generations.get((tenant_id, user_id))
        if generation is None:
            found = await self.read_session_generation(tenant_id, user_id)
            # The user may have signed out here while the database was asked.
            generation = self._generations.setdefault((tenant_id, user_id), found)
        return generation

    async def read_session_generation(self, tenant_id: str, user_id: str) -> int:
        """The generation of a session that is opened now: never a cached one, or the session could be over already."""
        return await self._database.tenant(tenant_id).get_session_generation(user_id)

    async def end_sessions(self, tenant_id: str, user_id: str) -> None:
        """Ends all sessions of the user. Raises UserNotFound."""
        self._generations[tenant_id, user_id] = await self._database.tenant(tenant_id).end_sessions(user_id)
