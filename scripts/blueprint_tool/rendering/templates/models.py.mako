"""The table${"s" if v.links else ""} of the ${v.many}${" and of their links" if v.links else ""}."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field, SQLModel

from app.core.audit.policy import ${", ".join(name if v.policy(name) == name else f"{name} as {v.policy(name)}" for name in v.policies)}
from app.core.decimals import ExactDecimal
from app.core.documents import Json
from app.core.entity import Entity, Key, Stamped, live_index
from app.core.faults import taken
from app.core.search import Searchable


class ${v.name}(${v.base}${", Searchable" if v.searchable else ""}, table=True):
    """${v.table_sentence}"""

    __tablename__ = "${v.table}"
    __table_args__ = (
% for index in v.uniques + v.indexes:
        ${"live_index" if index.is_live else "Index"}("${index.name}", ${quoted(index.columns)}${index.rule}),
% endfor
    )
% if v.searchable:
    searchable: ClassVar[tuple[str, ...]] = (${quoted(v.searchable)})
% endif

% for attribute in v.attributes:
    ${v.column(attribute)}
% endfor
% for ref in v.references:
    ${ref.name}_pk: int${" | None" if ref.is_nullable else ""} = Field(${"default=None, " if ref.is_nullable else ""}foreign_key="${ref.relation.target_table}.pk", ${ref.on_delete}sa_type=Key)
% endfor
% if v.owned:
    owner_pk: int = Field(foreign_key="users.pk", ondelete="CASCADE", sa_type=Key)
% endif
% for link in v.links:


class ${link.link_class}(SQLModel, table=True):
    """What ${v.a_one} is linked with: ${link.target_many}${"" if link.words == link.target_one else ", as " + link.words}."""

    __tablename__ = "${link.link_table}"

    ${v.single}_pk: int = Field(primary_key=True, foreign_key="${v.table}.pk", ondelete="CASCADE", sa_type=Key)
    ${link.name}_pk: int = Field(
        primary_key=True, foreign_key="${link.relation.target_table}.pk", ondelete="CASCADE", index=True, sa_type=Key
    )
% endfor
