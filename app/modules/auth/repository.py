"""Queries about sessions and refresh tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, Table, bindparam
from sqlalchemy import select as sa_select
from sqlmodel import col, delete, select, update

from app.core.clock import now
from app.core.entity import referenced, table_of
from app.core.faults import translated
from app.core.listing import Where
from app.core.query import Query, among, id_list, type_of
from app.core.repository import BaseRepository
from app.core.transaction import UnitOfWork
from app.modules.auth.models import AuthSession, RefreshToken
from app.modules.auth.schemas import SessionSummary
from app.modules.privileges.service import PrivilegeService


@cache
def accounts() -> Table:
    """The module below is joined through its foreign key: its models are not imported."""
    return referenced(table_of(AuthSession).c.user_pk)


def account_columns() -> list[ColumnElement[Any]]:
    """What every stamp tells of the account behind a credential, in the order of the fields of `AccountStamp`."""
    users = accounts()
    return [
        users.c.id.label("user_id"),
        users.c.pk.label("user_pk"),
        users.c.is_blocked,
        users.c.deleted_at,
        users.c.rights_version,
        users.c.version.label("user_version"),
        users.c.updated_at.label("user_updated_at"),
        users.c.last_login_at,
        PrivilegeService.epoch().label("rbac_epoch"),
    ]


@dataclass(frozen=True, slots=True)
class AccountStamp:
    """The present truth about the account behind a credential."""

    user_id: UUID
    user_pk: int
    is_blocked: bool
    deleted_at: datetime | None
    rights_version: int
    user_version: int
    user_updated_at: datetime
    last_login_at: datetime | None
    rbac_epoch: int

    @property
    def row_state(self) -> tuple[int, datetime, datetime | None]:
        """What changes whenever anything changes that the user's own account shows."""
        return self.user_version, self.user_updated_at, self.last_login_at


@dataclass(frozen=True, slots=True)
class Stamp(AccountStamp):
    """The same with that about a session, as one query tells it."""

    session_id: UUID
    revoked_at: datetime | None
    expires_at: datetime
    session_auth_version: int
    auth_version: int
    must_change_password: bool

    def is_alive(self, moment: datetime) -> bool:
        """Whether session and account are in order at this moment."""
        return (
            self.revoked_at is None
            and self.expires_at > moment
            and not self.is_blocked
            and self.deleted_at is None
            and self.session_auth_version == self.auth_version
        )


@cache
def _stamp_query(*, is_sqlite: bool) -> Query:
    session, users = AuthSession, accounts()
    return Query(
        sa_select(
            *account_columns(),
            col(session.id),
            col(session.revoked_at),
            col(session.expires_at),
            col(session.auth_version).label("session_auth_version"),
            users.c.auth_version,
            users.c.must_change_password,
        )
        .select_from(session)
        .join(users, users.c.pk == col(session.user_pk))
        .where(among(col(session.id), "ids", is_sqlite=is_sqlite))
    )


async def stamps(uow: UnitOfWork, ids: Sequence[UUID]) -> Mapping[UUID, Stamp]:
    """The stamps of these sessions, in one query; unknown ones are left out."""
    is_sqlite = uow.database.is_sqlite
    rows = await uow.fetch(_stamp_query(is_sqlite=is_sqlite), {"ids": id_list(ids, is_sqlite=is_sqlite)})
    return {stamp.session_id: stamp for stamp in (Stamp(*row) for row in rows)}


class SessionRepository:
    """Sessions and their tokens; writing needs an open transaction."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Works on the transaction that is open when a method is called."""
        self.uow = uow

    async def add(self, row: AuthSession | RefreshToken) -> None:
        """Inserts."""
        self.uow.session.add(row)
        with translated:
            await self.uow.session.flush()

    async def find_token(self, token_hash: str) -> RefreshToken | None:
        """The token with this hash, spent or not."""
        wanted = select(RefreshToken).where(RefreshToken.token_hash == token_hash)
        fresh = wanted.execution_options(populate_existing=True)
        return (await self.uow.session.exec(fresh)).first()

    async def find_child(self, parent_hash: str) -> RefreshToken | None:
        """The successor of a token."""
        wanted = select(RefreshToken).where(RefreshToken.parent_hash == parent_hash)
        return (await self.uow.session.exec(wanted)).first()

    async def lock_session(self, pk: int) -> tuple[AuthSession, UUID] | None:
        """The session as stored now and its user's public id; nobody else changes it until the transaction ends."""
        users = accounts()
        wanted = (
            select(AuthSession, users.c.id)
            .join(users, users.c.pk == col(AuthSession.user_pk))
            .where(AuthSession.pk == pk)
            .with_for_update(of=AuthSession)
        )
        found = (await self.uow.session.exec(wanted.execution_options(populate_existing=True))).first()
        return (found[0], found[1]) if found is not None else None

    async def find_by_id(self, id: UUID) -> AuthSession | None:
        """The session with this public id."""
        return (await self.uow.session.exec(select(AuthSession).where(AuthSession.id == id))).first()

    async def spend(self, token_hash: str, moment: datetime) -> bool:
        """Marks a token as used; False where it was used already. Only one caller ever gets True."""
        unused = update(RefreshToken).where(
            col(RefreshToken.token_hash) == token_hash, col(RefreshToken.used_at).is_(None)
        )
        return bool((await self.uow.session.exec(unused.values(used_at=moment))).rowcount)

    async def count_replay(self, pk: int) -> None:
        """One more retry of a spent token inside the grace period."""
        again = update(RefreshToken).where(col(RefreshToken.pk) == pk)
        await self.uow.session.exec(again.values(replays=col(RefreshToken.replays) + 1))

    async def touch(self, pk: int, moment: datetime) -> None:
        """Keeps when a session was used last. Bookkeeping."""
        await self.uow.session.exec(
            update(AuthSession).where(col(AuthSession.pk) == pk).values(last_used_at=moment)
        )

    async def revoke(self, row: AuthSession, reason: str) -> None:
        """Ends one session; the first reason stays."""
        if row.revoked_at is None:
            row.revoked_at, row.revoked_reason = now(), reason
            with translated:
                await self.uow.session.flush()

    async def revoke_all(self, user_pk: int, reason: str, except_id: UUID | None) -> None:
        """Ends the living sessions of a user, but for one if named. In the order of their keys: no deadlocks."""
        living = select(AuthSession).where(
            AuthSession.user_pk == user_pk, col(AuthSession.revoked_at).is_(None)
        )
        ordered = living.order_by(col(AuthSession.pk)).with_for_update()
        for row in (await self.uow.session.exec(ordered)).all():
            if row.id != except_id:
                await self.revoke(row, reason)

    async def end_surplus(self, user_pk: int, keep: int, reason: str) -> int:
        """Ends the living sessions of a user beyond so many, those unused for longest first; returns how many."""
        living = select(AuthSession).where(
            AuthSession.user_pk == user_pk, col(AuthSession.revoked_at).is_(None)
        )
        newest_first = living.order_by(col(AuthSession.last_used_at).desc(), col(AuthSession.pk).desc())
        surplus = (await self.uow.session.exec(newest_first.offset(keep).with_for_update())).all()
        for row in surplus:
            await self.revoke(row, reason)
        return len(surplus)

    async def addresses_of(self, user_pk: int) -> set[str]:
        """The addresses from which a user has ever logged in, as far as sessions are kept."""
        return {row[0] for row in await self.uow.fetch(_ADDRESSES, {"user_pk": user_pk}) if row[0]}

    async def forget_tokens_before(self, moment: datetime, limit: int) -> int:
        """Removes up to so many refresh tokens that are over, or whose session is, since `moment`."""
        dead = col(RefreshToken.session_pk).in_(self._dead(moment))
        over = (
            sa_select(col(RefreshToken.pk)).where((col(RefreshToken.expires_at) < moment) | dead).limit(limit)
        )
        found = await self.uow.session.exec(delete(RefreshToken).where(col(RefreshToken.pk).in_(over)))
        return int(found.rowcount)

    async def forget_sessions_before(self, moment: datetime, limit: int) -> int:
        """Removes up to so many sessions that are over since `moment`; their tokens must be gone already."""
        dead = self._dead(moment).limit(limit)
        found = await self.uow.session.exec(delete(AuthSession).where(col(AuthSession.pk).in_(dead)))
        return int(found.rowcount)

    @staticmethod
    def _dead(moment: datetime) -> Select[int | None]:
        """The keys of the sessions that ended, by themselves or by somebody, before `moment`."""
        ended = (col(AuthSession.expires_at) < moment) | (col(AuthSession.revoked_at) < moment)
        return sa_select(col(AuthSession.pk)).where(ended)


_ADDRESSES = Query(
    sa_select(col(AuthSession.ip))
    .distinct()
    .where(col(AuthSession.user_pk) == bindparam("user_pk", type_=BigInteger))
)


class OwnSessions(BaseRepository[AuthSession]):
    """The living sessions of one user, as a list."""

    model = AuthSession
    summaries = (SessionSummary,)

    def living(self, user_pk: int, moment: datetime, idle: timedelta) -> Where:
        """The condition: neither ended nor over, and used within `idle`."""

        def build() -> ColumnElement[bool]:
            kind = type_of(col(AuthSession.expires_at))
            return (
                (col(AuthSession.user_pk) == bindparam("user_pk", type_=BigInteger))
                & col(AuthSession.revoked_at).is_(None)
                & (col(AuthSession.expires_at) > bindparam("moment", type_=kind))
                & (col(AuthSession.last_used_at) > bindparam("idle_since", type_=kind))
            )

        values = {"user_pk": user_pk, "moment": moment, "idle_since": moment - idle}
        return Where("living", build, values, is_moving=True)

    async def find_own(self, id: UUID, living: Where) -> AuthSession | None:
        """The entity, if it is among the living: what the list leaves out, nobody ends either."""
        statement = self.statement().where(living.build(), col(AuthSession.id) == id)
        return (await self.uow.session.exec(statement, params=living.values)).first()
