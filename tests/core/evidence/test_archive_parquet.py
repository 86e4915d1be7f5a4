"""Query copies have what the lines have, and SQL reads it."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyarrow import parquet

from app.core.evidence import parquet as copies
from app.core.evidence.canonical import FORMS, Stream
from app.core.evidence.destinations import Folder
from app.core.evidence.manifest import DATA
from app.core.evidence.parquet import copy_to_parquet
from app.core.evidence.segment_files import Damaged
from tests.core.evidence.made_archives import MadeArchive, line_of, row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TYPES = {
    "occurred_at": "TIMESTAMP WITH TIME ZONE",
    "id": "BIGINT",
    "seq": "BIGINT",
    "status": "BIGINT",
    "is_probe": "BOOLEAN",
    "redacted": "BOOLEAN",
    "old": "VARCHAR",
    "query": "VARCHAR",
    "tx_id": "VARCHAR",
    "path": "VARCHAR",
}


@pytest.mark.parametrize("anonymise", [False, True])
@pytest.mark.parametrize("stream", ["access", "changes"])
def test_a_copy_has_what_the_lines_have(tmp_path: Path, stream: Stream, anonymise: bool) -> None:
    made = MadeArchive(Folder(tmp_path), stream=stream, anonymise=anonymise)
    name = copy_to_parquet(made.destination, made.add(30, 12))
    path, columns = tmp_path / name, FORMS[1][stream]
    found = asked(f"SELECT * REPLACE (epoch_us(occurred_at) AS occurred_at) FROM '{path}'")  # noqa: S608
    lines = [json.loads(line.data) for line in made.lines]
    assert [dict(zip(columns, told, strict=True)) for told in found] == [
        expected(told, columns) for told in lines
    ]


def asked(question: str) -> list[tuple[Any, ...]]:
    answer = duckdb.sql(question)
    assert answer is not None
    return answer.fetchall()


def expected(told: dict[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    """Instants as microseconds since 1970, JSON as its text."""
    plain = {name: told[name] for name in columns}
    microseconds = (datetime.fromisoformat(told["occurred_at"]) - EPOCH) // timedelta(microseconds=1)
    texts = {
        name: json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        for name, value in plain.items()
        if isinstance(value, (dict, list))
    }
    return {**plain, **texts, "occurred_at": microseconds}


@pytest.mark.parametrize("stream", ["access", "changes"])
def test_columns_have_types(tmp_path: Path, stream: Stream) -> None:
    made = MadeArchive(Folder(tmp_path), stream=stream)
    name = copy_to_parquet(made.destination, made.add(2))
    described = asked(f"DESCRIBE SELECT * FROM '{tmp_path / name}'")  # noqa: S608
    found = {column: kind for column, kind, *_ in described}
    wanted = {column: kind for column, kind in TYPES.items() if column in FORMS[1][stream]}
    assert {column: found[column] for column in wanted} == wanted


def test_what_is_not_as_its_column_promises_is_null_or_text(tmp_path: Path) -> None:
    made = MadeArchive(Folder(tmp_path))
    raw = {"$raw": "x"}
    rows = [line_of({**row("changes", 1), "redacted": raw, "tx_seq": raw, "entity": raw})]
    name = copy_to_parquet(made.destination, made.write(rows, [made.seal(rows)]))
    answer = asked(f"SELECT redacted, tx_seq, entity FROM '{tmp_path / name}'")  # noqa: S608
    assert answer == [(None, None, '{"$raw":"x"}')]


def test_rows_are_copied_in_small_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_ROWS_AT_ONCE", 4)
    made = MadeArchive(Folder(tmp_path))
    told = parquet.read_metadata(tmp_path / copy_to_parquet(made.destination, made.add(10)))
    assert [told.row_group(place).num_rows for place in range(told.num_row_groups)] == [4, 4, 2]
    assert told.row_group(0).column(0).compression == "ZSTD"


def test_of_a_file_that_is_not_whole_there_is_no_copy(tmp_path: Path) -> None:
    made = MadeArchive(Folder(tmp_path))
    manifest = made.add(3)
    path = tmp_path / f"{manifest.name}{DATA}"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Damaged):
        copy_to_parquet(made.destination, manifest)
    assert sorted(tmp_path.iterdir()) == before


def test_a_missing_package_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = MadeArchive(Folder(tmp_path))
    manifest = made.add(1)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"needs the package pyarrow: pip .* -r requirements-archive\.txt"):
        copy_to_parquet(made.destination, manifest)
