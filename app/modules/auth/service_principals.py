"""From a credential to a caller: genuine (kernel), alive (one query), with rights that can't be stale.

Rights are cached under a key that contains the user's and the system's version from that same query: a set
that no longer holds can't be addressed, on any worker, whatever the cache says or has lost.
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from app.auth.api_keys import parse
from app.auth.principal import Principal, Rights
from app.auth.tokens import AccessTokens
from app.core.cache import Cache, MemoryCache
from app.core.clock import now
from app.core.coalesce import Coalescer
from app.core.database import Database
from app.core.errors import ApiKeyInvalid, AppError, TokenRevoked, Unavailable
from app.core.keys import Signer
from app.core.logging import logger
from app.core.module import Catalog
from app.core.transaction import UnitOfWork
from app.core.versioned import VersionedCache
from app.modules.auth.repository import Stamp, stamps
from app.modules.auth.repository_keys import ApiKeyRepository, KeyStamp, key_stamps
from app.modules.roles.service import RoleService

K = TypeVar("K")
V = TypeVar("V")
STAMP_SECONDS = 2.0
_RIGHTS_SECONDS = 3600
_DEAD_SECONDS = 60
_COARSE = timedelta(minutes=1)
_NO_KEY = "0" * 64


class PrincipalService:
    """Implements the kernel's port `Authenticator`. One for the process."""

    def __init__(
        self, database: Database, cache: Cache, signer: Signer, tokens: AccessTokens, catalog: Catalog
    ) -> None:
        """`cache` is shared with other workers, and others may write to it: what counts there is signed."""
        self._database = database
        self._tokens = tokens
        self._catalog = catalog
        self._rights = VersionedCache(cache, signer, Rights, ttl_seconds=_RIGHTS_SECONDS)
        self._stamps: Coalescer[UUID, Stamp] = Coalescer(self._load_stamps, STAMP_SECONDS)
        self._key_stamps: Coalescer[str, KeyStamp] = Coalescer(self._load_key_stamps, STAMP_SECONDS)
        self._noted = MemoryCache()
        self._dead = MemoryCache()

    async def authenticate(self, token: str) -> Principal:
        """The caller of an access token. Raises TokenInvalid, TokenExpired, TokenRevoked, Unavailable."""
        claims = self._tokens.read(token)
        if self._dead.peek(claims.jti):
            raise TokenRevoked
        stamp = await _in_time(self._stamps, claims.session_id)
        if stamp is None or stamp.user_id != claims.user_id:
            raise TokenRevoked
        if not stamp.is_alive(now()) or stamp.auth_version != claims.ver:
            self._dead.put(claims.jti, value=True, ttl_seconds=_DEAD_SECONDS)  # what ended never lives again
            raise TokenRevoked
        return Principal(
            user_id=claims.user_id,
            user_pk=stamp.user_pk,
            session_id=claims.session_id,
            rights=await self._rights_of(stamp),
            must_change_password=stamp.must_change_password,
            row_state=stamp.row_state,
        )

    async def authenticate_key(self, key: str) -> Principal:
        """The caller of an API key, with no more than key and owner both may. Raises ApiKeyInvalid, Unavailable.

        The password that an administrator has set is the owner's affair: keys go on working meanwhile.
        """
        presented = parse(key)
        if presented is None:
            raise ApiKeyInvalid
        stamp = await _in_time(self._key_stamps, presented.prefix)
        is_genuine = hmac.compare_digest(stamp.key_hash if stamp else _NO_KEY, presented.digest)
        if stamp is None or not is_genuine or not stamp.is_alive(now()):
            raise ApiKeyInvalid
        await self._note_use(stamp)
        rights = await self._rights_of(stamp)
        return Principal(
            user_id=stamp.user_id,
            user_pk=stamp.user_pk,
            session_id=None,
            rights=rights if stamp.privileges is None else rights.narrowed_to(frozenset(stamp.privileges)),
            method="api_key",
            api_key_id=stamp.id,
            row_state=stamp.row_state,
        )

    def forget(self) -> None:
        """Empties this process's memory; for tests that empty the database."""
        self._rights.forget()
        self._noted.clear()
        self._dead.clear()

    async def _load_stamps(self, ids: Sequence[UUID]) -> Mapping[UUID, Stamp]:
        return await stamps(UnitOfWork(self._database), ids)

    async def _load_key_stamps(self, prefixes: Sequence[str]) -> Mapping[str, KeyStamp]:
        return await key_stamps(UnitOfWork(self._database), prefixes)

    async def _rights_of(self, stamp: Stamp | KeyStamp) -> Rights:
        key = f"rights:{stamp.user_id}:{stamp.rights_version}:{stamp.rbac_epoch}"
        rights = self._rights.peek(key)
        if rights is not None:
            return rights

        async def load() -> Rights:
            return await RoleService(UnitOfWork(self._database), self._catalog).rights_of(stamp.user_pk)

        return await self._rights.get(key, load)

    async def _note_use(self, stamp: KeyStamp) -> None:
        """When a key was used last, to the minute: at most one write a minute for all workers together.

        What can't be written is told in the log; the request goes on.
        """
        moment, name = now(), str(stamp.pk)
        if not (_is_stale(stamp.last_used_at, moment) and _is_stale(self._noted.peek(name), moment)):
            return
        self._noted.put(name, moment, _COARSE.total_seconds())
        uow = UnitOfWork(self._database)
        try:
            async with uow.transaction():
                await ApiKeyRepository(uow).note_use(stamp.pk, moment, _COARSE)
        except AppError as error:
            logger("server").warning("auth.key_use_not_noted", reason=error.detail)


async def _in_time(coalescer: Coalescer[K, V], key: K) -> V | None:
    try:
        return await coalescer.get(key)
    except TimeoutError:
        raise Unavailable("The database can't answer at the moment.") from None


def _is_stale(last_used_at: datetime | None, moment: datetime) -> bool:
    return last_used_at is None or moment - last_used_at >= _COARSE
