"""Reads the two logs: by key, up to a bound, with statements that are built once for each form of a question."""

from collections.abc import Collection
from datetime import datetime
from functools import cache, lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    String,
    Table,
    Text,
    Uuid,
    all_,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    select,
)

from app.core.evidence.canonical import LOGS, Stream
from app.core.query import PublicId, Query, id_list
from app.core.transaction import UnitOfWork
from app.modules.audit.models import Bound, Item, Question, Walk
from app.modules.audit.repository_filters import (
    condition,
    in_network,
    is_network,
    listed,
    values_of,
)

# Clients choose filters: statements that are kept must not grow with what they think of.
_FORMS = 500
_SPAN = {"from", "to", "without_probes"}
_HIDDEN = {"xid", "boot_id", "seq", "peer_ip", "forwarded_for", "is_probe"}


def shown_columns(log: Table) -> list[ColumnElement[Any]]:
    """The columns that rows of the API are made of; ids as texts."""
    return [
        cast(column, PublicId()).label(column.key) if isinstance(column.type, Uuid) else column
        for column in log.columns
        if column.key not in _HIDDEN and not (log is LOGS["changes"] and column.key == "client_ip")
    ]


@cache
def shown_names(stream: Stream) -> tuple[str, ...]:
    """What these columns are called, in their order."""
    return tuple(str(column.key) for column in shown_columns(LOGS[stream]))


def conditions(stream: Stream, forms: tuple[str, ...], *, is_sqlite: bool) -> list[ColumnElement[bool]]:
    """All of them, for a statement that also has to keep to a bound."""
    log = LOGS[stream]
    bounds = [log.c["id"] <= bindparam("bound", type_=BigInteger)]
    if not is_sqlite:
        pending = bindparam("pending", type_=ARRAY(BigInteger))
        bounds.append(func.coalesce(log.c["xid"], literal_column("0")) != all_(pending))
    return [*bounds, *(condition(log, form, is_sqlite=is_sqlite) for form in forms)]


@lru_cache(maxsize=_FORMS)
def page_query(
    stream: Stream, forms: tuple[str, ...], *, descending: bool, has_after: bool, is_sqlite: bool
) -> Query:
    """A page in the order of ids."""
    log = LOGS[stream]
    key = log.c["id"]
    statement: Select[Any] = select(*shown_columns(log)).where(
        *conditions(stream, forms, is_sqlite=is_sqlite)
    )
    if has_after:
        after = bindparam("after", type_=BigInteger)
        statement = statement.where(key < after if descending else key > after)
    elif _SPAN.issuperset(forms) and ("to" if descending else "from") in forms:
        statement = statement.where(_begins_at(stream, forms, descending=descending, is_sqlite=is_sqlite))
    ordered = statement.order_by(key.desc() if descending else key.asc())
    return Query(ordered.limit(bindparam("limit", type_=Integer)))


def _begins_at(
    stream: Stream, forms: tuple[str, ...], *, descending: bool, is_sqlite: bool
) -> ColumnElement[bool]:
    """The first id of a span of time, found in the index of instants alone.

    Databases don't know that ids and instants rise together: they would walk to the span from an end of the log.
    """
    log = LOGS[stream]
    times = [condition(log, form, is_sqlite=is_sqlite) for form in forms if form in {"from", "to"}]
    fenced = select(log.c["id"]).where(*times).offset(literal_column("0")).subquery("spanned")
    end = func.max(fenced.c["id"]) if descending else func.min(fenced.c["id"])
    first = select(end).scalar_subquery()
    return log.c["id"] <= first if descending else log.c["id"] >= first


def _pending() -> ColumnElement[Any]:
    running = func.pg_snapshot_xip(func.pg_current_snapshot()).column_valued("running")
    numbers = select(cast(cast(running, Text), BigInteger)).scalar_subquery()
    return func.array(numbers, type_=ARRAY(BigInteger))


@cache
def _bound_query(stream: Stream, *, is_sqlite: bool) -> Query:
    largest = select(func.coalesce(func.max(LOGS[stream].c["id"]), 0)).scalar_subquery().label("last_id")
    if is_sqlite:  # one writer at a time: ids are committed in their order
        return Query(select(largest))
    return Query(select(largest, _pending().label("pending")))


_ADDRESSES = Query(select(LOGS["access"].c["client_ip"]).where(LOGS["access"].c["client_ip"] > "").distinct())


def _gone(*, is_sqlite: bool) -> Query:
    log = LOGS["changes"]
    deleted = and_(log.c["entity"] == "users", log.c["action"] == "DELETE")
    who = listed(log.c["entity_id"], "ids", is_sqlite=is_sqlite)
    return Query(select(log.c["entity_id"], log.c["old"]).where(deleted, who).order_by(log.c["id"]))


_GONE = {is_sqlite: _gone(is_sqlite=is_sqlite) for is_sqlite in (True, False)}
_PASSED_OVER = Query(
    select(literal_column("1").label("one"))
    .where(
        LOGS["changes"].c["entity"] == bindparam("entity", type_=String),
        LOGS["changes"].c["entity_id"] == "",
        LOGS["changes"].c["occurred_at"] > bindparam("at", type_=LOGS["changes"].c["occurred_at"].type),
    )
    .limit(1)
)


class LogRepository:
    """Rows of the logs. There is nothing here that writes."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Reads through the read door."""
        self.uow = uow
        self.is_sqlite = uow.database.is_sqlite
        self._networks: dict[str, list[str]] = {}

    async def bound(self, stream: Stream) -> Bound:
        """What a walk that begins now will see."""
        ((last_id, *pending),) = await self.uow.fetch(_bound_query(stream, is_sqlite=self.is_sqlite), {})
        return Bound(int(last_id), tuple(int(xid) for xid in (pending[0] if pending else ())))

    async def page(self, question: Question, walk: Walk) -> list[Item]:
        """The rows of one page, as dictionaries of their columns."""
        values = await self.values(question, walk.bound)
        forms = tuple(sorted(values.keys() - {"bound", "pending"}))
        query = page_query(
            question.stream,
            forms,
            descending=walk.descending,
            has_after=walk.after is not None,
            is_sqlite=self.is_sqlite,
        )
        rows = await self.uow.fetch(query, {**values, "after": walk.after, "limit": walk.limit})
        names = shown_names(question.stream)
        return [dict(zip(names, row, strict=True)) for row in rows]

    async def values(self, question: Question, bound: Bound) -> dict[str, Any]:
        """What the conditions of a question compare with; their names besides `bound` and `pending` are its form."""
        bounds = {"bound": bound.last_id, "pending": list(bound.pending)}
        if not is_network(question):
            return {**values_of(question, is_sqlite=self.is_sqlite), **bounds}
        network = str(question.filters["ip"])
        if network not in self._networks:  # once for a walk: later addresses come with rows beyond its bound
            self._networks[network] = await self._addresses_in(network)
        addresses = self._networks[network]
        return {**in_network(question, addresses, is_sqlite=self.is_sqlite), **bounds}

    async def addresses_of_purged(self, ids: Collection[str]) -> dict[str, str]:
        """The last addresses of users whose rows are gone, out of what was told when they were removed."""
        values = {"ids": id_list(sorted(ids), is_sqlite=self.is_sqlite)}
        rows = await self.uow.fetch(_GONE[self.is_sqlite], values)
        return {str(id): str(old["email"]) for id, old in rows if old and "email" in old}

    async def was_passed_over(self, entity: str, since: datetime) -> bool:
        """Whether statements that tell of no single row have changed the table since then."""
        return bool(await self.uow.fetch(_PASSED_OVER, {"entity": entity, "at": since}))

    async def _addresses_in(self, network: str) -> list[str]:
        """Those in the log: texts of addresses don't sort by networks, and there are few of them."""
        among = ip_network(network)
        rows = await self.uow.fetch(_ADDRESSES, {})
        return [text for (text,) in rows if _is_in(text, among)]


def _is_in(text: str, network: Any) -> bool:
    try:
        return ip_address(text) in network
    except ValueError:  # whatever a server without addresses calls its peers
        return False
