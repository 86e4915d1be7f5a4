"""Queries about ${v.many}."""

from sqlalchemy import BigInteger, bindparam
from sqlmodel import col

from app.core.links import Links
from app.core.listing import Where
from app.core.repository import BaseRepository
from app.core.transaction import UnitOfWork
from app.modules.${v.code}.models import ${v.name}${v.link_imports}
from app.modules.${v.code}.schemas import ${v.name}Summary


class ${v.name}Repository(BaseRepository[${v.name}]):
% if v.owned or v.links:
    """${capital(v.many)}${", also by owner" if v.owned else ""}${", with their links" if v.links else ""}."""
% else:
    """${capital(v.many)} by id; everything it needs is inherited."""
% endif

    model = ${v.name}
    summaries = (${v.name}Summary,)
% if v.links:

    def __init__(self, uow: UnitOfWork) -> None:
        """The links are tables of their own."""
        super().__init__(uow)
% for link in v.links:
        self.${link.many} = Links(uow, ${link.link_class}, "${v.single}_pk", "${link.name}_pk")
% endfor
% endif
% if v.owned:

    def owned_by(self, user_pk: int) -> Where:
        """The condition for one owner."""
        owner = bindparam("owner_pk", type_=BigInteger)
        return Where("owner_pk", lambda: col(${v.name}.owner_pk) == owner, {"owner_pk": user_pk})
% endif
