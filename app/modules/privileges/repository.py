"""Queries about privileges."""

from collections.abc import Iterable, Sequence
from random import SystemRandom

from sqlalchemy import ColumnElement, bindparam, func
from sqlalchemy import select as sa_select
from sqlmodel import col, select, update

from app.core.listing import Where
from app.core.query import Query
from app.core.repository import BaseRepository
from app.modules.privileges.models import Privilege, RbacEpoch
from app.modules.privileges.schemas import PrivilegeSummary

_EPOCH_PK = 1
_random = SystemRandom()
_LIVE_CODES = Query(sa_select(col(Privilege.code)).where(col(Privilege.deleted_at).is_(None)))
_SYSTEM = Query(
    sa_select(col(Privilege.code), col(Privilege.description)).where(
        col(Privilege.is_system).is_(True), col(Privilege.deleted_at).is_(None)
    )
)


def epoch_column() -> ColumnElement[int]:
    """The present epoch as a scalar subquery; 0 where there is no row yet."""
    stored = sa_select(col(RbacEpoch.value)).where(col(RbacEpoch.pk) == _EPOCH_PK).scalar_subquery()
    return func.coalesce(stored, 0)


class PrivilegeRepository(BaseRepository[Privilege]):
    """Privileges by code; codes are unique among the live ones."""

    model = Privilege
    summaries = (PrivilegeSummary,)

    def with_code(self, code: str) -> Where:
        """The condition for one code."""
        return Where("code", lambda: col(Privilege.code) == bindparam("code"), {"code": code})

    async def get_by_code(self, code: str, *, deleted: bool | None = False) -> Privilege:
        """The privilege, the live one first, else the one deleted last. Raises NotFound."""
        statement = self.statement(deleted=deleted).where(col(Privilege.code) == code)
        order = (col(Privilege.deleted_at).desc().nulls_first(), col(Privilege.pk).desc())
        found = (await self.uow.session.exec(statement.order_by(*order).limit(1))).first()
        if found is None:
            raise self.not_found()
        return found

    async def by_codes(self, codes: Iterable[str]) -> Sequence[Privilege]:
        """The live ones among these codes, in no particular order."""
        return await self.all(col(Privilege.code).in_(sorted(codes)))

    async def declared(self) -> Sequence[Privilege]:
        """Privileges that modules declare or declared, and live ones whose code a module may declare now.

        Of several with one code the live one comes last.
        """
        statement = self.statement(deleted=None).where(
            col(Privilege.is_system).is_(True) | col(Privilege.deleted_at).is_(None)
        )
        order = (col(Privilege.deleted_at).is_(None), col(Privilege.pk))
        return (await self.uow.session.exec(statement.order_by(*order))).all()

    async def system_codes(self) -> dict[str, str]:
        """Descriptions of the live privileges that modules declared, by code."""
        return {str(code): str(text) for code, text in await self.uow.fetch(_SYSTEM, {})}

    async def live_codes(self) -> set[str]:
        """The codes of all live privileges, those of modules and the team's own."""
        return {str(row[0]) for row in await self.uow.fetch(_LIVE_CODES, {})}

    async def renew_epoch(self) -> None:
        """Gives the epoch a new stamp: every cached set of rights is out of reach from the commit on."""
        await self.uow.lock("rbac_epoch")
        stamp = _random.getrandbits(62)
        session = self.uow.session
        # Bookkeeping: a Core statement, so that neither version nor change log move.
        if (await session.exec(select(RbacEpoch.pk).where(RbacEpoch.pk == _EPOCH_PK))).first() is None:
            session.add(RbacEpoch(pk=_EPOCH_PK, value=stamp))
            await self.flush()
        else:
            await session.exec(update(RbacEpoch).where(col(RbacEpoch.pk) == _EPOCH_PK).values(value=stamp))
