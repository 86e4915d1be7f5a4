"""From a token to a caller: genuine (kernel), alive (one query), with rights that can't be stale.

Rights are cached under a key that contains the user's and the system's version from that same query: a set
that no longer holds can't be addressed, on any worker, whatever the cache says or has lost.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import orjson

from app.auth.principal import Principal, Rights
from app.auth.tokens import AccessTokens
from app.core.cache import Cache, MemoryCache
from app.core.clock import now
from app.core.coalesce import Coalescer
from app.core.database import Database
from app.core.errors import TokenRevoked, Unavailable
from app.core.keys import Signer
from app.core.module import Catalog
from app.core.transaction import UnitOfWork
from app.modules.auth.repository import Stamp, stamps
from app.modules.roles.service import RoleService

STAMP_SECONDS = 2.0
_RIGHTS_SECONDS = 3600


class PrincipalService:
    """Implements the kernel's port `Authenticator`. One for the process."""

    def __init__(
        self, database: Database, cache: Cache, signer: Signer, tokens: AccessTokens, catalog: Catalog
    ) -> None:
        """`cache` is shared with other workers, and others may write to it: what counts there is signed."""
        self._database = database
        self._cache = cache
        self._signer = signer
        self._tokens = tokens
        self._catalog = catalog
        self._near = MemoryCache()
        self._stamps: Coalescer[UUID, Stamp] = Coalescer(self._load_stamps, STAMP_SECONDS)

    async def authenticate(self, token: str) -> Principal:
        """The caller. Raises TokenInvalid, TokenExpired, TokenRevoked, Unavailable."""
        claims = self._tokens.read(token)
        try:
            stamp = await self._stamps.get(claims.session_id)
        except TimeoutError:
            raise Unavailable("The database can't answer at the moment.") from None
        if stamp is None or not stamp.is_alive(now()) or stamp.auth_version != claims.ver:
            raise TokenRevoked
        if stamp.user_id != claims.user_id:
            raise TokenRevoked
        return Principal(
            user_id=claims.user_id,
            user_pk=stamp.user_pk,
            session_id=claims.session_id,
            rights=await self._rights(stamp),
        )

    def forget(self) -> None:
        """Empties this process's memory of rights; for tests that empty the database."""
        self._near.clear()

    async def _load_stamps(self, ids: Sequence[UUID]) -> Mapping[UUID, Stamp]:
        return await stamps(UnitOfWork(self._database), ids)

    async def _rights(self, stamp: Stamp) -> Rights:
        key = f"rights:{stamp.user_id}:{stamp.rights_version}:{stamp.rbac_epoch}"
        rights: Rights | None = self._near.peek(key)
        if rights is None:
            rights = self._opened(key, await self._cache.get(key))
            if rights is None:
                rights = await RoleService(UnitOfWork(self._database), self._catalog).rights_of(stamp.user_pk)
                await self._cache.set(key, self._sealed(key, rights), _RIGHTS_SECONDS)
            self._near.put(key, rights, _RIGHTS_SECONDS)
        return rights

    def _sealed(self, key: str, rights: Rights) -> str:
        """Signed together with its key: nobody's rights can be filed under somebody else's."""
        value = [key, rights.roles, rights.is_superuser, sorted(rights.privileges)]
        return self._signer.sign(orjson.dumps(value))

    def _opened(self, key: str, value: object) -> Rights | None:
        """None for what isn't ours: a poisoned value is a miss."""
        payload = self._signer.unsign(value) if isinstance(value, str) else None
        if payload is None:
            return None
        filed, roles, is_superuser, privileges = orjson.loads(payload)
        return Rights(tuple(roles), is_superuser, frozenset(privileges)) if filed == key else None
