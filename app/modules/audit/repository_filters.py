"""From the names of filters to conditions on the columns of a log."""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    String,
    Table,
    any_,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.query import id_list
from app.modules.audit.models import Question

GOOD, FAILED = 200, 400
Build = Callable[[Table, bool], ColumnElement[bool]]


def listed(column: ColumnElement[Any], name: str, *, is_sqlite: bool) -> ColumnElement[bool]:
    """One of a list that is given as one parameter."""
    if is_sqlite:
        values = func.json_each(bindparam(name, type_=String)).table_valued("value").c.value
        return column.in_(select(values))
    return column == any_(bindparam(name, type_=ARRAY(String)))


def _begins(log: Table, _is_sqlite: bool) -> ColumnElement[bool]:
    """Not LIKE, which has wildcards, and on SQLite doesn't mind the case."""
    prefix = bindparam("path_prefix", type_=String)
    return func.substr(log.c["path"], 1, func.length(prefix)) == prefix


def _mentions(log: Table, is_sqlite: bool) -> ColumnElement[bool]:
    """The field is among the changed ones."""
    name = bindparam("field", type_=String)
    if is_sqlite:
        return name.in_(select(func.json_each(log.c["changed"]).table_valued("value").c.value))
    found: ColumnElement[bool] = func.jsonb_exists(log.c["changed"], name)
    return found


def _class_of_status(log: Table, _is_sqlite: bool) -> ColumnElement[bool]:
    wanted = bindparam("status_class", type_=BigInteger)
    return (log.c["status"] >= wanted) & (log.c["status"] < wanted + literal_column("100"))


_SPECIAL: Mapping[str, Build] = {
    "from": lambda log, _: log.c["occurred_at"] >= bindparam("from", type_=log.c["occurred_at"].type),
    "to": lambda log, _: log.c["occurred_at"] < bindparam("to", type_=log.c["occurred_at"].type),
    "action": lambda log, is_sqlite: listed(log.c["action"], "action", is_sqlite=is_sqlite),
    "addresses": lambda log, is_sqlite: listed(log.c["client_ip"], "addresses", is_sqlite=is_sqlite),
    "min_duration_ms": lambda log, _: log.c["duration_us"] >= bindparam("min_duration_ms", type_=BigInteger),
    "without_probes": lambda log, _: log.c["is_probe"].is_(False),
    "path_prefix": _begins,
    "field": _mentions,
    "status_class": _class_of_status,
    # What follows from other conditions, said in the words of the index that is meant for them.
    "failed": lambda log, _: log.c["status"] >= literal_column(str(FAILED)),
    "not_200": lambda log, _: log.c["status"] != literal_column(str(GOOD)),
    "not_ok": lambda log, _: log.c["outcome"] != literal_column("'ok'"),
    "not_asked_for": lambda log, _: log.c["origin"] != literal_column("'request'"),
}


def condition(log: Table, name: str, *, is_sqlite: bool) -> ColumnElement[bool]:
    """The condition of one filter; most compare the column of their name."""
    if name in _SPECIAL:
        return _SPECIAL[name](log, is_sqlite)
    equal: ColumnElement[bool] = log.c[name] == bindparam(name, type_=log.c[name].type)
    return equal


def is_network(question: Question) -> bool:
    """Whether addresses have to be looked up before the question can be asked."""
    return isinstance(question.filters.get("ip"), IPv4Network | IPv6Network)


def values_of(question: Question, *, is_sqlite: bool) -> dict[str, Any]:
    """The filters by the names of their conditions, with values as the database compares them."""
    values: dict[str, Any] = dict(question.filters)
    if not values.pop("include_probes", True):
        values["without_probes"] = True
    if "ip" in values:
        values["client_ip"] = str(values.pop("ip"))
    if "action" in values:
        values["action"] = _list(values["action"], is_sqlite=is_sqlite)
    if "min_duration_ms" in values:
        values["min_duration_ms"] = values["min_duration_ms"] * 1000
    if "status_class" in values:
        values["status_class"] = int(values["status_class"][0]) * 100
    follows = {
        "failed": values.get("status_class", 0) >= FAILED,
        "not_200": values.get("status", GOOD) != GOOD,
        "not_ok": values.get("outcome", "ok") != "ok",
        "not_asked_for": values.get("origin", "request") != "request",
    }
    return values | {name: True for name, does in follows.items() if does}


def in_network(question: Question, addresses: Sequence[str], *, is_sqlite: bool) -> dict[str, Any]:
    """The same for a network, whose addresses in the log are these."""
    others = {name: value for name, value in question.filters.items() if name != "ip"}
    values = values_of(Question(question.stream, others), is_sqlite=is_sqlite)
    return {**values, "addresses": _list(addresses, is_sqlite=is_sqlite)}


def _list(texts: Sequence[str], *, is_sqlite: bool) -> object:
    return id_list(texts, is_sqlite=is_sqlite)
