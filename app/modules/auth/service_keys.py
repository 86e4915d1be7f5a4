"""API keys: made, shown once, narrowed, revoked, deleted. Only by their owner, and never by a key."""

import hmac
from datetime import timedelta
from uuid import UUID

from app.auth.api_keys import mint, parse
from app.auth.principal import Principal
from app.core.clock import now
from app.core.config import Environment
from app.core.errors import Conflict, Forbidden, Invalid
from app.core.listing import Listing
from app.core.logging import logger
from app.core.transaction import UnitOfWork
from app.modules.auth.models import ApiKey
from app.modules.auth.repository_keys import ApiKeyRepository
from app.modules.auth.schemas import ApiKeyCreate, ApiKeyCreated, ApiKeyQuery, ApiKeyRead, ApiKeySummary
from app.modules.privileges.service import PrivilegeService

MAX_KEYS = 50
MAX_KEPT = 1000
_LONGEST = timedelta(days=36_525)  # a century: a slip of the keyboard is refused, long plans are not
_log = logger("activity")


class ApiKeyService:
    """Every public write is one transaction."""

    def __init__(self, uow: UnitOfWork, environment: Environment) -> None:
        """`environment` is written into new keys, so that a leaked one says where it opens."""
        self.uow = uow
        self.keys = ApiKeyRepository(uow)
        self._environment = environment

    async def page(self, query: ApiKeyQuery, caller: Principal) -> Listing[ApiKeySummary]:
        """A page of the caller's own keys, revoked ones included."""
        return await self.keys.page(query, ApiKeySummary, self.keys.owned_by(caller.user_pk))

    async def read(self, id: UUID, caller: Principal) -> ApiKeyRead:
        """One of the caller's own keys. Raises NotFound."""
        found = await self.keys.read_where(ApiKeyRead, self.keys.owned(caller.user_pk, id))
        if found is None:
            raise self.keys.not_found()
        return found

    async def create(self, data: ApiKeyCreate, caller: Principal) -> ApiKeyCreated:
        """A new key with its text, which nobody ever sees again. Raises Invalid, Forbidden, Conflict."""
        moment = now()
        if data.expires_at is not None and not moment < data.expires_at < moment + _LONGEST:
            raise Invalid.field("expires_at", "must lie in the future, and within a century.", "out_of_range")
        minted = mint(self._environment)
        async with self.uow.transaction():
            await self._may_hold(data.privileges, caller)
            if await self.keys.count_usable(caller.user_pk, moment) >= MAX_KEYS:
                raise Conflict(f"You have {MAX_KEYS} keys that can be used; revoke one first.")
            if await self.keys.count(self.keys.owned_by(caller.user_pk)) >= MAX_KEPT:
                raise Conflict(f"You have {MAX_KEPT} keys with those that ended; delete some of them first.")
            row = await self.keys.add(
                ApiKey(
                    user_pk=caller.user_pk,
                    name=data.name,
                    prefix=minted.prefix,
                    last_four=minted.last_four,
                    key_hash=minted.digest,
                    privileges=None if data.privileges is None else sorted(set(data.privileges)),
                    expires_at=data.expires_at,
                )
            )
        _log.info("auth.key_created", key_id=str(row.id))
        made = await self.read(row.id, caller)
        return ApiKeyCreated(**made.model_dump(), key=minted.text)

    async def revoke(self, id: UUID, caller: Principal) -> None:
        """Ends a key from the next request on; it stays in the list. May be repeated. Raises NotFound."""
        async with self.uow.transaction():
            await self._revoke(await self.keys.find_own(caller.user_pk, id))

    async def revoke_by_key(self, text: str, caller: Principal) -> None:
        """The same, for who has the key but not its id. Raises NotFound, also for somebody else's."""
        presented = parse(text)
        if presented is None:
            raise self.keys.not_found()
        async with self.uow.transaction():
            row = await self.keys.find_by_prefix(caller.user_pk, presented.prefix)
            is_whole = row is not None and hmac.compare_digest(row.key_hash, presented.digest)
            await self._revoke(row if is_whole else None)

    async def delete(self, id: UUID, caller: Principal) -> None:
        """Removes a key for good. Raises NotFound."""
        async with self.uow.transaction():
            row = await self.keys.find_own(caller.user_pk, id)
            if row is None:
                raise self.keys.not_found()
            await self.keys.purge(row)
        _log.info("auth.key_deleted", key_id=str(id))

    async def _revoke(self, row: ApiKey | None) -> None:
        if row is None:
            raise self.keys.not_found()
        if row.revoked_at is None:
            await self.keys.update(row, {"revoked_at": now()})
            _log.info("auth.key_revoked", key_id=str(row.id))

    async def _may_hold(self, codes: list[str] | None, caller: Principal) -> None:
        """Raises Invalid for unknown privileges, Forbidden for those that the caller lacks."""
        if not codes:
            return
        await PrivilegeService(self.uow).keys_of(codes, "privileges")
        if lacking := sorted(code for code in codes if not caller.can(code)):
            raise Forbidden(f"No key gets what its owner lacks: {', '.join(lacking)}.", required=lacking[0])
