"""The logs as files: made while they are sent, a few hundred rows at a time."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from app.core.clock import now
from app.core.transaction import UnitOfWork
from app.modules.audit.models import Bound, Item, Question, Walk
from app.modules.audit.schemas import ExportQuery, Format, encoded
from app.modules.audit.service import FIELDS, LogService

_BATCH = 500
# Ids that one statement looks through: also where hardly anything fits, each of them ends soon.
_STRIDE = 20_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_TYPES: dict[Format, str] = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8; header=present"}


@dataclass(frozen=True, slots=True)
class Export:
    """A file on its way."""

    name: str
    media_type: str
    chunks: AsyncIterator[bytes]


class ExportService:
    """What a file holds is fixed when it begins: rows up to a bound, the oldest first."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Holds no connection between two batches."""
        self.log = LogService(uow)

    async def export(self, question: Question, query: ExportQuery) -> Export:
        """The file. Its beginning is read before this returns, so that what fails then is still told as a problem."""
        batches = self._batches(question, await self.log.logs.bound(question.stream))
        first: list[Item] = await anext(batches, [])
        write = _jsonl if query.format == "jsonl" else _csv
        moment = now().strftime("%Y%m%dT%H%M%SZ")
        return Export(
            f"audit-{question.stream}-{moment}.{query.format}",
            _TYPES[query.format],
            write(_after(first, batches), FIELDS[question.stream]),
        )

    async def _batches(self, question: Question, bound: Bound) -> AsyncIterator[list[Item]]:
        after = 0
        while after < bound.last_id:
            end = min(after + _STRIDE, bound.last_id)
            walk = Walk(Bound(end, bound.pending), descending=False, limit=_BATCH, after=after)
            rows = await self.log.logs.page(question, walk)
            after = rows[-1]["id"] if len(rows) == _BATCH else end
            if rows:
                yield await self.log.told(question.stream, rows)


async def _after(first: list[Item], rest: AsyncIterator[list[Item]]) -> AsyncIterator[list[Item]]:
    yield first
    async for batch in rest:
        yield batch


async def _jsonl(batches: AsyncIterator[list[Item]], _fields: Sequence[str]) -> AsyncIterator[bytes]:
    """A line for each row; the last one says how many there are, and the hash of all lines before it."""
    rows, digest = 0, sha256()
    async for batch in batches:
        chunk = b"".join(encoded(row) + b"\n" for row in batch)
        rows += len(batch)
        digest.update(chunk)
        yield chunk
    yield encoded({"$end": True, "rows": rows, "sha256": digest.hexdigest()}) + b"\n"


async def _csv(batches: AsyncIterator[list[Item]], fields: Sequence[str]) -> AsyncIterator[bytes]:
    """RFC 4180, with a header; nested values as JSON, the actor in three columns."""
    columns: dict[str, Callable[[Item], object]] = {}
    for name in fields:
        if name == "actor":
            columns |= {f"actor_{part}": _of_actor(part) for part in ("type", "id", "label")}
        else:
            columns[name] = _of_row(name)
    yield _lines([list(columns)])
    async for batch in batches:
        yield _lines([[_cell(value(row)) for value in columns.values()] for row in batch])


def _of_actor(part: str) -> Callable[[Item], object]:
    return lambda row: row["actor"][part]


def _of_row(name: str) -> Callable[[Item], object]:
    return lambda row: row[name]


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    """A text that no spreadsheet takes for a formula: also not behind spaces, which it would drop (CWE-1236)."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else encoded(value).decode().strip('"')
    return f"'{text}" if isinstance(value, str) and text.lstrip(" ").startswith(_FORMULA) else text
