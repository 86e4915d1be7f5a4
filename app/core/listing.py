"""Lists: one statement for a page with its total, keyset cursors, and bytes made once.

The statement for each (table, shape, order, filters) is built once and compiled to the driver. The total is
counted up to a bound, so that a page costs the same over ten thousand rows and over ten million.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic, TypeVar, cast
from uuid import UUID

import orjson
from pydantic import BaseModel
from sqlalchemy import (
    ColumnElement,
    Integer,
    Label,
    Select,
    Table,
    Uuid,
    and_,
    bindparam,
    case,
    false,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy import cast as cast_sql
from starlette.requests import Request
from starlette.responses import Response

from app.core.decimals import fixed_point
from app.core.pagination import MAX_DEPTH, Page, PageQuery, pages_of
from app.core.query import PublicId, Query, Row, has_few_rows
from app.core.shape import Plan

S = TypeVar("S", bound=BaseModel)
_JSON = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


@dataclass(frozen=True, slots=True)
class Where:
    """A condition with its values; `key` names its form, so that the statement is built once for each form.

    `is_moving`: the values change by themselves (the present moment), and make no other question of it.
    """

    key: object
    build: Callable[[], ColumnElement[bool]]
    values: Mapping[str, Any] = field(default_factory=dict)
    is_moving: bool = False


@dataclass(frozen=True, slots=True)
class SortKey:
    """One step of an order. Rows without a value come last in both directions."""

    column: ColumnElement[Any]
    descending: bool
    nullable: bool

    @property
    def clause(self) -> ColumnElement[Any]:
        """For ORDER BY."""
        ordered = self.column.desc() if self.descending else self.column.asc()
        return ordered.nulls_last() if self.nullable else ordered

    def equal(self, name: str, value: Any) -> ColumnElement[bool]:
        """The rows with the same value as the cursor's."""
        return self.column.is_(None) if value is None else self.column == self._bind(name)

    def after(self, name: str, value: Any) -> ColumnElement[bool]:
        """The rows that come later than the cursor's value."""
        if value is None:
            return false()
        later = self.column < self._bind(name) if self.descending else self.column > self._bind(name)
        return or_(later, self.column.is_(None)) if self.nullable else later

    def _bind(self, name: str) -> ColumnElement[Any]:
        return bindparam(name, type_=self.column.type)


@dataclass(frozen=True, slots=True)
class Lead:
    """An order that comes before the one that was asked for, with the values it needs."""

    key: SortKey
    values: Mapping[str, Any]


def after_cursor(keys: Sequence[SortKey], values: Sequence[Any]) -> ColumnElement[bool]:
    """`(a, b, id)` lies behind the cursor, written out so that it holds with mixed directions and NULLs."""
    steps = []
    for index, key in enumerate(keys):
        same = [keys[i].equal(f"cursor_{i}", values[i]) for i in range(index)]
        steps.append(and_(*same, key.after(f"cursor_{index}", values[index])))
    return or_(*steps)


@dataclass(frozen=True, slots=True)
class ListStatement:
    """The two queries of a list: a page with its total, and the total alone for an empty page.

    `sort_places`: where in a row of the page the values stand that it is sorted by, and whether as text of an id.
    """

    page: Query
    count: Query
    sort_places: tuple[tuple[int, bool], ...]

    def sort_values(self, row: Row) -> list[Any]:
        """What the row is sorted by, for a cursor that stands behind it."""
        return [UUID(row[place]) if is_id and row[place] else row[place] for place, is_id in self.sort_places]


def build_list(
    plan: Plan,
    keys: Sequence[SortKey],
    visible: ColumnElement[bool],
    behind: ColumnElement[bool] | None,
    count_limit: int | None,
) -> ListStatement:
    """Columns of the shape, then the sort values that are not among them (for the cursor), then the total."""
    total = _total(plan.table, visible, count_limit)
    shown = {column.element: index for index, column in enumerate(plan.columns)}
    extra = [key.column for key in keys if key.column not in shown]
    places = shown | {column: len(plan.columns) + index for index, column in enumerate(extra)}
    statement: Select[Any] = (
        select(
            *(_as_text(column) for column in plan.columns),
            *(column.label(f"sort__{index}") for index, column in enumerate(extra)),
            total.label("list__total"),
        )
        .select_from(plan.source)
        .where(visible, *([] if behind is None else [behind]))
        .order_by(*(key.clause for key in keys))
        .limit(bindparam("limit", type_=Integer))
        .offset(bindparam("offset", type_=Integer))
    )
    count = Query(select(total.label("list__total")))
    sorted_by = tuple((places[key.column], key.column in shown and _is_id(key.column)) for key in keys)
    return ListStatement(Query(statement), count, sorted_by)


def _is_id(column: ColumnElement[Any]) -> bool:
    return isinstance(column.type, Uuid)


def _as_text(column: Label[Any]) -> ColumnElement[Any]:
    """Public ids as the text that the answer holds: making objects of them costs more than reading the row."""
    if not _is_id(column):
        return column
    return cast_sql(column.element, PublicId()).label(column.name)


def _total(table: Table, visible: ColumnElement[bool], limit: int | None) -> ColumnElement[int]:
    """Exact up to `limit`, then more than it.

    Counting up to a bound costs a third more per row than counting to the end: small tables are counted whole.
    """
    whole = select(func.count()).select_from(table).where(visible).correlate(None).scalar_subquery()
    if limit is None:
        return whole
    rows: Select[*tuple[Any, ...]] = select(literal_column("1").label("one")).select_from(table)
    bounded = rows.where(visible).correlate(None).limit(limit + 1).subquery()
    some = select(func.count()).select_from(bounded).scalar_subquery()
    return case((has_few_rows(table, 2 * limit), whole), else_=some)


def _written(value: object) -> str:
    """What orjson leaves to us, as answers of one row write it."""
    return fixed_point(value) if isinstance(value, Decimal) else str(value)


@dataclass(frozen=True, slots=True)
class Listing(Generic[S]):
    """One page as it came from the database: values, not yet objects."""

    shape: type[S]
    values: list[dict[str, Any]]
    query: PageQuery
    total: int
    count_limit: int
    next_cursor: str | None

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than were counted."""
        return self.query.count is None and self.total > self.count_limit

    @property
    def envelope(self) -> dict[str, Any]:
        """Everything of the answer but the items."""
        total = self.count_limit if self.is_capped else self.total
        by_key = self.query.cursor is not None
        return {
            "page": None if by_key else self.query.page,
            "per_page": self.query.per_page,
            "total": total,
            "pages": None if by_key else pages_of(total, self.query.per_page),
            "total_is_capped": self.is_capped,
            "next_cursor": self.next_cursor,
        }

    def to_page(self) -> Page[S]:
        """The same as validated objects, for callers inside the program."""
        kind = cast("type[Page[S]]", Page.__class_getitem__(self.shape))
        return kind.model_validate({"items": self.values, **self.envelope})

    def to_json(self) -> bytes:
        """The answer's body. The columns are those of the shape; that their types fit is checked at start-up."""
        return orjson.dumps({"items": self.values, **self.envelope}, default=_written, option=_JSON)

    def response(self, request: Request) -> Response:
        """The answer with its `Link` header (RFC 8288)."""
        headers = {"Link": links} if (links := self.links(request.scope["path"])) else {}
        return Response(self.to_json(), media_type="application/json", headers=headers)

    def links(self, path: str) -> str:
        """Pages around this one; with a cursor only the next. `last` only where the total is known."""
        query, base = self.query, self.query.link_base(path)
        if query.cursor is not None:
            return f'<{base}cursor={self.next_cursor}>; rel="next"' if self.next_cursor else ""
        pages = {"first": 1}
        if query.page > 1:
            pages["prev"] = query.page - 1
        if self.next_cursor:
            pages["next"] = query.page + 1
        if self.total and not self.is_capped:
            pages["last"] = pages_of(self.total, query.per_page)
        reachable = {name: page for name, page in pages.items() if page * query.per_page <= MAX_DEPTH}
        return ", ".join(f'<{base}page={page}>; rel="{name}"' for name, page in reachable.items())
