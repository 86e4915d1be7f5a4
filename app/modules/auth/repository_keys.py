"""Queries about API keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

from sqlalchemy import BigInteger, bindparam, func
from sqlalchemy import select as sa_select
from sqlmodel import col, select, update
from sqlmodel.sql.expression import SelectOfScalar

from app.core.errors import NotFound
from app.core.listing import Where
from app.core.query import Query, among, id_list, type_of
from app.core.repository import BaseRepository
from app.core.transaction import UnitOfWork
from app.modules.auth.models import ApiKey
from app.modules.auth.repository import AccountStamp, account_columns, accounts
from app.modules.auth.schemas import ApiKeySummary


@dataclass(frozen=True, slots=True)
class KeyStamp(AccountStamp):
    """The same with that about an API key, as one query tells it."""

    prefix: str
    id: UUID
    pk: int
    key_hash: str
    privileges: list[str] | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def is_alive(self, moment: datetime) -> bool:
        """Whether key and owner are in order at this moment."""
        is_over = self.expires_at is not None and self.expires_at <= moment
        return not (is_over or self.revoked_at or self.is_blocked or self.deleted_at)


@cache
def _stamp_query(*, is_sqlite: bool) -> Query:
    key, users = ApiKey, accounts()
    return Query(
        sa_select(
            *account_columns(),
            col(key.prefix),
            col(key.id),
            col(key.pk),
            col(key.key_hash),
            col(key.privileges),
            col(key.expires_at),
            col(key.revoked_at),
            col(key.last_used_at),
        )
        .select_from(key)
        .join(users, users.c.pk == col(key.user_pk))
        .where(among(col(key.prefix), "prefixes", is_sqlite=is_sqlite))
    )


async def key_stamps(uow: UnitOfWork, prefixes: Sequence[str]) -> Mapping[str, KeyStamp]:
    """The stamps of the keys with these prefixes, in one query; unknown ones are left out."""
    is_sqlite = uow.database.is_sqlite
    values = {"prefixes": id_list(prefixes, is_sqlite=is_sqlite)}
    rows = await uow.fetch(_stamp_query(is_sqlite=is_sqlite), values)
    return {stamp.prefix: stamp for stamp in (KeyStamp(*row) for row in rows)}


class ApiKeyRepository(BaseRepository[ApiKey]):
    """API keys by owner."""

    model = ApiKey
    summaries = (ApiKeySummary,)

    def owned_by(self, user_pk: int) -> Where:
        """The condition for one owner."""
        owner = bindparam("user_pk", type_=BigInteger)
        return Where("user_pk", lambda: col(ApiKey.user_pk) == owner, {"user_pk": user_pk})

    def owned(self, user_pk: int, id: UUID) -> Where:
        """The condition for one key of one owner."""
        owner, key = bindparam("user_pk", type_=BigInteger), bindparam("id", type_=type_of(col(ApiKey.id)))
        values = {"user_pk": user_pk, "id": id}
        return Where("owned", lambda: (col(ApiKey.user_pk) == owner) & (col(ApiKey.id) == key), values)

    def statement(self, *, deleted: bool | None = False) -> SelectOfScalar[ApiKey]:
        """Locked: of two who end the same key at once, the second one finds it ended."""
        return super().statement(deleted=deleted).with_for_update()

    def not_found(self) -> NotFound:
        """The same for no key and for somebody else's."""
        return NotFound("You have no such API key.")

    async def find_own(self, user_pk: int, id: UUID) -> ApiKey | None:
        """The entity, if it is this user's."""
        return await self.find(col(ApiKey.user_pk) == user_pk, col(ApiKey.id) == id)

    async def find_by_prefix(self, user_pk: int, prefix: str) -> ApiKey | None:
        """The entity, if it is this user's."""
        return await self.find(col(ApiKey.user_pk) == user_pk, col(ApiKey.prefix) == prefix)

    async def count_usable(self, user_pk: int, moment: datetime) -> int:
        """How many keys of a user are neither revoked nor expired; nobody makes another one meanwhile."""
        await self.uow.lock(f"api_keys:{user_pk}")
        is_over = col(ApiKey.expires_at) <= moment
        usable = select(func.count()).where(
            ApiKey.user_pk == user_pk, col(ApiKey.revoked_at).is_(None), is_over.is_not(True)
        )
        return int((await self.uow.session.exec(usable)).one())

    async def note_use(self, pk: int, moment: datetime, coarse: timedelta) -> None:
        """Keeps when a key was used last, unless that was told less than `coarse` ago. Bookkeeping."""
        stale = col(ApiKey.last_used_at).is_(None) | (col(ApiKey.last_used_at) <= moment - coarse)
        await self.uow.session.exec(
            update(ApiKey).where(col(ApiKey.pk) == pk, stale).values(last_used_at=moment)
        )
