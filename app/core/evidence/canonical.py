"""Rows of the logs as bytes: one line of JSON, the same on both databases, in every archive, and for ever.

A form is a list of columns. Keys are sorted at every depth; instants are UTC with microseconds and `Z`, ids have
dashes, numbers and texts are as the database gives them back. What doesn't look as its column promises is told as
`{"$raw": …}`, so that a forged value changes the line and never breaks the reader.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import JSON, Boolean, Column, DateTime, Integer, Table, TypeDecorator, Uuid

from app.core.audit.models import AuditAccess, AuditChange
from app.core.entity import table_of

Stream = Literal["access", "changes"]
Convert = Callable[[Any], Any]
STREAMS: tuple[Stream, ...] = ("access", "changes")
LOGS: Mapping[Stream, Table] = {"access": table_of(AuditAccess), "changes": table_of(AuditChange)}
# A column more is a new form: rows that are sealed keep theirs.
NEWEST_FORM = 1
FORMS: Mapping[int, Mapping[Stream, tuple[str, ...]]] = {
    1: {
        "access": (
            *("actor_id", "actor_type", "api_key_id", "auth_method", "boot_id", "client_ip", "duration_us"),
            *(
                "error_class",
                "forwarded_for",
                "id",
                "is_probe",
                "method",
                "module",
                "occurred_at",
                "operation",
            ),
            *("outcome", "path", "peer_ip", "privilege", "query", "request_bytes", "request_id"),
            *("response_bytes", "route", "seq", "session_id", "status", "user_agent", "xid"),
        ),
        "changes": (
            *(
                "action",
                "actor_id",
                "actor_type",
                "cause",
                "changed",
                "client_ip",
                "entity",
                "entity_id",
                "id",
            ),
            *(
                "new",
                "occurred_at",
                "old",
                "origin",
                "reason",
                "redacted",
                "request_id",
                "truncated",
                "tx_id",
            ),
            *("tx_seq", "xid"),
        ),
    }
}
_INSTANT = len("2026-01-31 12:00:00.000000")
_HEX = len("0" * 32)


class Line(NamedTuple):
    """A row as it is sealed and archived. `at`: its `occurred_at`, as text."""

    id: int
    at: str
    data: bytes


class RowForm:
    """One form of one log. Rows come as the file of SQLite has them, or as `EvidenceStore` asks PostgreSQL for them.

    PostgreSQL's columns hold nothing but their type: it tells instants and ids as they stand in lines, JSON as text.
    """

    def __init__(self, stream: Stream, form: int, *, is_sqlite: bool) -> None:
        """Raises KeyError for a form that this program doesn't know."""
        self.stream = stream
        self.names = FORMS[form][stream]
        self.id_index = self.names.index("id")
        log = LOGS[stream]
        converters = [_converter(name, kind_of(log.c[name]), is_sqlite=is_sqlite) for name in self.names]
        self._converters = tuple((i, convert) for i, convert in enumerate(converters) if convert is not None)
        self._at_index = self.names.index("occurred_at")

    def read(self, row: Sequence[Any]) -> Line:
        """The row, whose values are in the order of `names`; the instant is empty where it is none."""
        values = list(row)
        for index, convert in self._converters:
            if values[index] is not None:
                values[index] = convert(values[index])
        at = values[self._at_index]
        data = orjson.dumps(dict(zip(self.names, values, strict=True)))
        return Line(int(row[self.id_index]), at if isinstance(at, str) else "", data)


class Span:
    """The earliest and the latest instant of rows."""

    def __init__(self) -> None:
        """Of no row."""
        self._first = self._last = ""

    def take(self, at: str) -> None:
        """One more, as text: these sort by time. An empty one is none."""
        if at:
            self._first = min(self._first or at, at)
            self._last = max(self._last, at)

    def take_all(self, instants: Sequence[str]) -> None:
        """The same for many."""
        told = [at for at in instants if at]
        if told:
            self.take(min(told))
            self.take(max(told))

    @property
    def ends(self) -> tuple[datetime | None, datetime | None]:
        """Both instants; None of nothing, and of what only looks like an instant."""
        return readable_instant(self._first), readable_instant(self._last)


@cache
def row_form(stream: Stream, form: int, *, is_sqlite: bool) -> RowForm:
    """Made once for each form."""
    return RowForm(stream, form, is_sqlite=is_sqlite)


def values_of(stream: Stream, line: bytes) -> dict[str, Any]:
    """The columns of a line as Python values, to be inserted again. Raises ValueError for what is no such line.

    What archives add to a line (`$leaf`) is no column.
    """
    try:
        told = orjson.loads(line).items()
        return {
            name: _parsed(kind_of(LOGS[stream].c[name]), value)
            for name, value in told
            if not name.startswith("$")
        }
    except (KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"no row of the {stream} log: {error}") from None


def kind_of(column: Column[Any]) -> Any:
    """The type that the database sees: instants and texts of models are dressed in types of their own."""
    kind = column.type
    return kind.impl_instance if isinstance(kind, TypeDecorator) else kind


def encoded(content: Mapping[str, Any]) -> bytes:
    """Canonical JSON of a seal, a manifest or a head: keys sorted, no spaces."""
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def instant_text(moment: datetime) -> str:
    """As it stands in lines."""
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def instant_of(text: str) -> datetime:
    """The other way. Raises ValueError."""
    return datetime.fromisoformat(text)


def readable_instant(text: Any) -> datetime | None:
    """The same, of what may be forged: None for what is no instant."""
    try:
        return instant_of(text)
    except (TypeError, ValueError):
        return None


def _parsed(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, DateTime):
        return instant_of(value)
    return UUID(value) if isinstance(kind, Uuid) else value


def _converter(name: str, kind: Any, *, is_sqlite: bool) -> Convert | None:
    if isinstance(kind, JSON):
        return _known_json if name in _FEW else _json
    if not is_sqlite:
        return None
    if isinstance(kind, DateTime):
        return sqlite_instant
    if isinstance(kind, Uuid):
        return _sqlite_uuid
    if isinstance(kind, Boolean):
        return _sqlite_flag
    # SQLite's columns take any type: a number in a text's place must not pass for it, nor bytes end the reading.
    return _whole if isinstance(kind, Integer) else _text


def _json(text: Any) -> Any:
    if type(text) is not str:
        return {"$raw": repr(text)}
    try:
        return orjson.Fragment(orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS))
    except (TypeError, ValueError):  # no JSON, or nested more deeply than anybody reads
        return {"$raw": repr(text)}


# Of each of these there are few different ones in any number of rows.
_known_json = lru_cache(maxsize=1000, typed=True)(_json)
_FEW = {"changed", "query"}


def sqlite_instant(text: Any) -> Any:
    """As it stands in lines, of an instant as SQLite keeps it."""
    if isinstance(text, str) and len(text) == _INSTANT and text[10] == " ":
        return f"{text[:10]}T{text[11:]}Z"
    return {"$raw": repr(text)}


def _sqlite_uuid(text: Any) -> Any:
    if isinstance(text, str) and len(text) == _HEX:
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return {"$raw": repr(text)}


def _sqlite_flag(value: Any) -> Any:
    return bool(value) if type(value) is int and value in (0, 1) else {"$raw": repr(value)}


def _whole(value: Any) -> Any:
    return value if type(value) is int else {"$raw": repr(value)}


def _text(value: Any) -> Any:
    return value if type(value) is str else {"$raw": repr(value)}
