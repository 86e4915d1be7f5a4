"""What clients say and get about ${v.many}."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool

from app.core.clock import now
from app.core.decimals import IN_TEXT, Exact
from app.core.documents import Document
from app.core.instants import IN_UTC, PLAIN_DATE, PLAIN_INSTANT, Day, Instant
from app.core.links import Ids
from app.core.numbers import ONE_ZERO, Finite, FiniteFilter, Int32, Int32Filter, Int64, Int64Filter
from app.core.pagination import Flag, PageQuery, RecordQuery
from app.core.text import Email, Question, Text, Url

% for attribute in [attribute for attribute in v.attributes if attribute.name in v.aliases]:
${v.aliases[attribute.name]} = ${kinds.given_type(attribute)}
% endfor


class ${v.name}Create(BaseModel):
    """A new ${v.one}${"; it belongs to the caller" if v.owned else ""}."""

    model_config = ConfigDict(extra="forbid")

% for attribute in v.attributes:
    ${v.create_field(attribute)}
% endfor
% for ref in v.references:
    ${ref.field}: UUID${" | None = None" if ref.is_nullable else ""}
% endfor
% for link in v.links:
    ${link.field}: Ids = []
% endfor


class ${v.name}Update(BaseModel):
    """Changes; what is left out stays.${" Lists of ids are replaced as a whole." if v.links else ""}"""

    model_config = ConfigDict(extra="forbid")

% for attribute in v.attributes:
    ${v.update_field(attribute)}
% endfor
% for ref in v.references:
    ${ref.field}: UUID${" | None = None" if ref.is_nullable else " = UUID(int=0)"}
% endfor
% for link in v.links:
    ${link.field}: Ids = []
% endfor
% if v.owned:


class ${v.name}OwnerRef(BaseModel):
    """Whose ${v.one} it is."""

    id: UUID
    full_name: str | None
% endif


class ${v.name}Summary(BaseModel):
    """${capital(v.a_one)} in a list."""

    id: UUID
% for attribute in v.summary:
    ${v.shown_field(attribute)}
% endfor
% for ref in v.references:
    ${ref.field}: UUID${" | None" if ref.is_nullable else ""}
% endfor
% if v.owned:
    owner_id: UUID
% endif
    created_at: datetime


class ${v.name}${"Columns" if v.links else "Read"}(${v.name}Summary):
    """${capital(v.a_one)} with its ${"owner" if v.owned else "stamps"}."""

% for attribute in v.detail:
    ${v.shown_field(attribute)}
% endfor
% if v.owned:
    owner: ${v.name}OwnerRef
% else:
    created_by: UUID | None
% endif
    updated_at: datetime
    version: int
% if v.links:


class ${v.name}Row(${v.name}Columns):
    """With the integer key, to ask for more; it never leaves the program."""

    pk: int


class ${v.name}Read(${v.name}Columns):
    """${capital(v.a_one)} with what it is linked to; what is deleted there is left out."""

% for link in v.links:
    ${link.field}: list[UUID]
% endfor
% endif


% if v.owned:
class My${v.name}Query(${v.query_base}):
    """${"Filters and order" if v.filterable or v.references else "Order"} of a list of one's own ${v.many}."""

    sortable: ClassVar[tuple[str, ...]] = (${quoted(v.sortable)})

% for attribute in v.filterable:
    ${attribute.name}: ${v.asked(attribute)} | None = None
% endfor
% for ref in v.references:
    ${ref.field}: UUID | None = None
% endfor


class ${v.name}Query(My${v.name}Query):
    """The same for everybody's."""

    owner_id: UUID | None = None
% else:
class ${v.name}Query(${v.query_base}):
    """Filters and order of a list of ${v.many}."""

    sortable: ClassVar[tuple[str, ...]] = (${quoted(v.sortable)})

% for attribute in v.filterable:
    ${attribute.name}: ${v.asked(attribute)} | None = None
% endfor
% for ref in v.references:
    ${ref.field}: UUID | None = None
% endfor
% endif
% if v.searchable:


class ${v.name}Search(${v.name}Query):
    """Each word of `q` must begin a word of ${v.search_words}${"; hits in the " + v.searchable[0].replace("_", " ") + " come first" if len(v.searchable) > 1 else ""}."""

    q: Question
% endif
