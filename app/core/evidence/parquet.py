"""Copies for questions in SQL: the lines of a segment as a Parquet file. A copy proves nothing; the lines do."""

from collections.abc import Callable
from itertools import islice
from typing import Any, Literal

import orjson
from sqlalchemy import Boolean, DateTime, Integer

from app.core.evidence.canonical import LOGS, Stream, kind_of, readable_instant
from app.core.evidence.destinations import Destination
from app.core.evidence.extras import needed_for
from app.core.evidence.manifest import PARQUET, Manifest
from app.core.evidence.segment_files import SegmentReader

_ROWS_AT_ONCE = 10_000
Kind = Literal["instant", "whole", "flag", "text"]


def copy_to_parquet(destination: Destination, manifest: Manifest) -> str:
    """Writes `<name>.parquet` beside a segment's file and returns its name.

    Instants become timestamps in UTC with microseconds, numbers and flags themselves, JSON and all else texts. What
    isn't as its column promises is null, or its JSON where the column has texts. Memory doesn't grow with the rows.
    Raises Damaged where the file isn't whole (then there is no copy), StorageFault, ValueError without pyarrow.
    """
    with needed_for("a Parquet copy"):
        import pyarrow as pa  # noqa: PLC0415  # an extra package
        from pyarrow import parquet  # noqa: PLC0415
    types = {
        "instant": pa.timestamp("us", tz="UTC"),
        "whole": pa.int64(),
        "flag": pa.bool_(),
        "text": pa.string(),
    }
    kinds = {name: _kind(manifest.stream, name) for name in manifest.columns}
    schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()])
    name, lines = f"{manifest.name}{PARQUET}", SegmentReader(destination, manifest).plain_lines()
    with (
        destination.writing(name) as file,
        parquet.ParquetWriter(file, schema, compression="zstd") as writer,
    ):
        while rows := [orjson.loads(line) for line in islice(lines, _ROWS_AT_ONCE)]:
            columns = [
                pa.array([_CONVERT[kind](row.get(name)) for row in rows], type=types[kind])
                for name, kind in kinds.items()
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
    return name


def _kind(stream: Stream, name: str) -> Kind:
    log = LOGS[stream]
    told = kind_of(log.c[name]) if name in log.c else None
    if isinstance(told, DateTime):
        return "instant"
    if isinstance(told, Boolean):
        return "flag"
    return "whole" if isinstance(told, Integer) else "text"


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _flag(value: Any) -> bool | None:
    return value if type(value) is bool else None


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


_CONVERT: dict[Kind, Callable[[Any], Any]] = {
    "instant": readable_instant,
    "whole": _whole,
    "flag": _flag,
    "text": _text,
}
