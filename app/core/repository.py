"""BaseRepository: what every module's repository can do. Repositories flush, services commit.

Reads select the columns of the answer's shape and build no entities; writes load entities in the open
transaction, because versions, stamps and the change log hang on them.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, bindparam, false, func, literal_column, true
from sqlalchemy import select as sa_select
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.core.clock import now
from app.core.context import current
from app.core.entity import Entity, Record, Stamped, table_of
from app.core.errors import Invalid, NotFound
from app.core.faults import translated
from app.core.listing import Lead, Listing, ListStatement, SortKey, Where, after_cursor, build_list
from app.core.pagination import PageQuery, decode_cursor, encode_cursor
from app.core.query import Query
from app.core.search import Searchable, matching
from app.core.shape import plan_of
from app.core.transaction import UnitOfWork

M = TypeVar("M", bound=Record)
S = TypeVar("S", bound=BaseModel)
# Clients choose order and filters: statements that are kept must not grow with what they think of.
MAX_LISTS = 500


class BaseRepository(Generic[M]):
    """Rows of one table. Soft-deleted rows are invisible unless a method says otherwise.

    A table without soft deletion (a `Record`) shows all its rows; what is deleted there is gone.
    """

    model: type[M]
    # The shapes of its lists: their columns go out as they are, so that start-up checks that they fit.
    summaries: ClassVar[tuple[type[BaseModel], ...]] = ()
    _queries: ClassVar[dict[Hashable, Query]] = {}
    _lists: ClassVar[dict[Hashable, ListStatement]] = {}

    def __init__(self, uow: UnitOfWork) -> None:
        """Works inside and outside of a transaction; what writes needs an open one."""
        self.uow = uow

    # reading: columns only

    async def read(self, id: UUID, shape: type[S]) -> S:
        """The row in the given shape. Raises NotFound."""
        found = await self.read_where(shape, Where("id", self.has_id, {"id": id}))
        if found is None:
            raise self.not_found()
        return found

    async def read_where(self, shape: type[S], where: Where) -> S | None:
        """The first visible row that fits, in the given shape, or None."""
        key = (self.model, shape, where.key)
        plan = plan_of(table_of(self.model), shape)
        if key not in self._queries:
            statement = sa_select(*plan.columns).select_from(plan.source)
            self._queries[key] = Query(statement.where(where.build(), self.live()).limit(1))
        rows = await self.uow.fetch(self._queries[key], where.values)
        return shape.model_validate(plan.values(rows)[0]) if rows else None

    async def page(
        self, query: PageQuery, shape: type[S], *wheres: Where, lead: Lead | None = None
    ) -> Listing[S]:
        """A page of the rows that fit all conditions and the query's filters; `lead` sorts before all else."""
        if shape not in self.summaries:
            raise TypeError(f"{shape.__name__} is not among the summaries of {type(self).__name__}")
        rules = self.uow.database.lists
        wheres = (*wheres, *(self.filter(name, value) for name, value in query.filters.items()))
        keys = self._sort_keys(query, lead)
        scope = repr(
            (
                self.model.__name__,
                [where.key for where in wheres],
                [w.values for w in wheres if not w.is_moving],
            )
        )
        digest = query.digest(scope)
        after = None if query.cursor is None else decode_cursor(rules.signer, digest, query.cursor)
        statement = self._list(query, shape, wheres, keys, after)
        values: dict[str, Any] = {name: value for where in wheres for name, value in where.values.items()}
        values |= lead.values if lead is not None else {}
        offset = 0 if after is not None else (query.page - 1) * query.per_page
        values |= {f"cursor_{i}": value for i, value in enumerate(after or ()) if value is not None}
        rows = await self.uow.fetch(statement.page, {**values, "limit": query.per_page + 1, "offset": offset})
        total = rows[0][-1] if rows else (await self.uow.fetch(statement.count, values))[0][0]
        more = len(rows) > query.per_page
        last = rows[query.per_page - 1] if more else None
        cursor = None
        if last is not None:
            cursor = encode_cursor(rules.signer, digest, statement.sort_values(last))
        plan = plan_of(table_of(self.model), shape)
        found = plan.values(rows[: query.per_page])
        return Listing(shape, found, query, total, rules.count_limit, cursor)

    async def exists(self, where: Where) -> bool:
        """Whether any visible row fits."""
        key = (self.model, "exists", where.key)
        if key not in self._queries:
            one: Select[*tuple[Any, ...]] = sa_select(literal_column("1").label("one")).select_from(
                table_of(self.model)
            )
            self._queries[key] = Query(one.where(where.build(), self.live()).limit(1))
        return bool(await self.uow.fetch(self._queries[key], where.values))

    async def count(self, where: Where) -> int:
        """How many visible rows fit."""
        key = (self.model, "count", where.key)
        if key not in self._queries:
            counted = sa_select(func.count().label("n")).select_from(table_of(self.model))
            self._queries[key] = Query(counted.where(where.build(), self.live()))
        rows = await self.uow.fetch(self._queries[key], where.values)
        return int(rows[0][0])

    # writing: entities, in the open transaction

    async def get(self, id: UUID, *, deleted: bool | None = False) -> M:
        """The entity, to change it; `deleted`: True only soft-deleted ones, None either. Raises NotFound."""
        found = await self.find(col(self.model.id) == id, deleted=deleted)
        if found is None:
            raise self.not_found()
        return found

    async def find(self, *where: ColumnElement[bool], deleted: bool | None = False) -> M | None:
        """The first entity that fits, or None."""
        return (await self.uow.session.exec(self.statement(deleted=deleted).where(*where).limit(1))).first()

    async def key_of(self, id: UUID, field: str, *wheres: Where) -> int:
        """The key of a visible row that fits; until the transaction ends nobody deletes it.

        Raises Invalid, which names `field`.
        """
        keys = await self._keys([id], wheres)
        if id not in keys:
            raise Invalid.field(field, self.not_found().detail, "unknown")
        return keys[id]

    async def keys_of(self, ids: Sequence[UUID], field: str, *wheres: Where) -> list[int]:
        """The same for several. Raises Invalid at the entries of `field` that are unknown."""
        keys = await self._keys(ids, wheres)
        if unknown := [index for index, id in enumerate(ids) if id not in keys]:
            raise Invalid.entries(field, unknown, self.not_found().detail, "unknown")
        return list(keys.values())

    async def _keys(self, ids: Sequence[UUID], wheres: Sequence[Where]) -> dict[UUID, int]:
        fits = (self.live(), col(self.model.id).in_(ids), *(where.build() for where in wheres))
        rows = select(self.model.id, self.model.pk).where(*fits).order_by(col(self.model.pk))
        values = {name: value for where in wheres for name, value in where.values.items()}
        found = await self.uow.session.exec(rows.with_for_update(read=True), params=values)
        return {id: pk for id, pk in found if pk is not None}

    async def all(self, *where: ColumnElement[bool]) -> Sequence[M]:
        """All visible entities that fit, in the order of their keys."""
        statement = self.statement().where(*where).order_by(col(self.model.pk))
        return (await self.uow.session.exec(statement)).all()

    async def add(self, row: M) -> M:
        """Inserts. Raises Conflict where something unique is taken."""
        self.uow.session.add(row)
        await self.flush()
        return row

    async def update(self, row: M, changes: Mapping[str, object], *, touched: bool = False) -> M:
        """Writes what differs; where nothing does, version and stamps stay. Raises Conflict.

        `touched`: what belongs to the row has changed, such as its links; that is a change of it too.
        """
        different = {name: value for name, value in changes.items() if getattr(row, name) != value}
        if different or touched:
            for name, value in different.items():
                setattr(row, name, value)
            if isinstance(row, Stamped):
                row.updated_at, row.updated_by = now(), current().actor_id
            await self.flush()
        return row

    async def delete(self, row: M) -> None:
        """Soft: stamps the row, which disappears from everything but the list of deleted ones."""
        if not isinstance(row, Entity):
            await self.purge(row)
            return
        await self.update(row, {"deleted_at": now(), "deleted_by": current().actor_id})

    async def restore(self, row: M) -> M:
        """Brings a soft-deleted row back. Raises Conflict where its place is taken."""
        return await self.update(row, {"deleted_at": None, "deleted_by": None})

    async def purge(self, row: M) -> None:
        """Removes the row for good. Raises InUse where something still refers to it."""
        await self.uow.session.delete(row)
        await self.flush()

    async def flush(self) -> None:
        """Sends pending changes. Raises the `AppError` of what the database refuses."""
        with translated:
            await self.uow.session.flush()

    # what subclasses narrow

    def statement(self, *, deleted: bool | None = False) -> SelectOfScalar[M]:
        """The rows that writing may touch."""
        return select(self.model) if deleted is None else select(self.model).where(self.live(deleted=deleted))

    def live(self, *, deleted: bool = False) -> ColumnElement[bool]:
        """The visible rows, or with `deleted` the soft-deleted ones instead."""
        stamp = table_of(self.model).c.get("deleted_at")
        if stamp is None:
            return false() if deleted else true()
        return stamp.is_not(None) if deleted else stamp.is_(None)

    def filter(self, name: str, value: Any) -> Where:
        """The condition of a query's filter: `q` searches, others ask for equality. Override for the rest."""
        if name == "q" and issubclass(self.model, Searchable):
            return matching(self.model, value)
        table = table_of(self.model)
        if name in table.c:
            column = table.c[name]
            return Where(name, lambda: column == bindparam(name, type_=column.type), {name: value})
        key = table.c[f"{name.removesuffix('_id')}_pk"]
        (foreign,) = key.foreign_keys
        target = foreign.column.table

        def refers() -> ColumnElement[bool]:
            wanted = sa_select(target.c["pk"]).where(
                target.c["id"] == bindparam(name, type_=target.c["id"].type)
            )
            return key == wanted.scalar_subquery()

        return Where(name, refers, {name: value})

    def not_found(self) -> NotFound:
        """The error for an unknown id, in the words of the module."""
        return NotFound(f"There is no such {self.model.__name__.lower()}.")

    def has_id(self) -> ColumnElement[bool]:
        """The condition for the public id `:id`."""
        return col(self.model.id) == bindparam("id", type_=table_of(self.model).c["id"].type)

    def _sort_keys(self, query: PageQuery, lead: Lead | None) -> list[SortKey]:
        table = table_of(self.model)
        keys = [lead.key] if lead is not None else []
        for name, descending in query.order:
            keys.append(SortKey(table.c[name], descending, bool(table.c[name].nullable)))
        return [*keys, SortKey(table.c["id"], keys[-1].descending, nullable=False)]

    def _list(
        self,
        query: PageQuery,
        shape: type[BaseModel],
        wheres: Sequence[Where],
        keys: Sequence[SortKey],
        after: Sequence[Any] | None,
    ) -> ListStatement:
        gaps = None if after is None else tuple(value is None for value in after)
        forms = tuple(where.key for where in wheres)
        key = (self.model, shape, forms, tuple(query.order), query.deleted, query.count, gaps, len(keys))
        if key not in self._lists:
            if len(self._lists) >= MAX_LISTS:
                self._lists.clear()
            visible = self.live(deleted=query.deleted)
            for where in wheres:
                visible = visible & where.build()
            behind = None if after is None else after_cursor(keys, after)
            limit = None if query.count else self.uow.database.lists.count_limit
            plan = plan_of(table_of(self.model), shape)
            self._lists[key] = build_list(plan, keys, visible, behind, limit)
        return self._lists[key]
