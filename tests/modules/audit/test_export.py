"""Contract 7, the logs as files."""

import csv
import io
import json
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest

from app.core.transaction import UnitOfWork
from app.modules.audit import service_export
from app.modules.audit.models import Question
from app.modules.audit.schemas import ExportQuery
from app.modules.audit.service_export import ExportService
from tests.api import Caller, assert_problem
from tests.backend import RunningApp
from tests.modules.audit.support import START, add_access, add_changes, ids, walk

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", " \t=1"]
HARMLESS = ["a=1", "1-1", "", " ", "é", 'with "quotes", commas', "two\nlines", "'=1"]


@pytest.fixture(params=["as it is", "in small steps"])
def _steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "as it is":
        monkeypatch.setattr(service_export, "_BATCH", 3)
        monkeypatch.setattr(service_export, "_STRIDE", 7)


@pytest.mark.usefixtures("_steps")
@pytest.mark.parametrize(("stream", "add"), [("access", add_access), ("changes", add_changes)])
async def test_lines_are_the_rows_of_the_list(
    app: RunningApp, auditor: Caller, unique: str, stream: str, add: Any
) -> None:
    for _ in range(4):
        await add(app, [{"request_id": unique} for _ in range(5)])
        await add(app, [{"request_id": "another"} for _ in range(9)])
    listed = await walk(auditor, f"audit/{stream}", request_id=unique, order="asc")
    answer = await auditor.get("audit/export", params={"stream": stream, "request_id": unique})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/jsonl"
    name = answer.headers["content-disposition"]
    assert name.startswith(f'attachment; filename="audit-{stream}-20')
    assert name.endswith('Z.jsonl"')
    *lines, last = answer.content.splitlines(keepends=True)
    assert [json.loads(line) for line in lines] == listed
    assert len(listed) == 20
    assert json.loads(last) == {"$end": True, "rows": 20, "sha256": sha256(b"".join(lines)).hexdigest()}
    assert last.endswith(b"\n")


@pytest.mark.usefixtures("_steps")
async def test_empty_export_is_whole(auditor: Caller, unique: str) -> None:
    asked = {"stream": "changes", "request_id": unique}
    answer = await auditor.get("audit/export", params=asked)
    assert json.loads(answer.content) == {"$end": True, "rows": 0, "sha256": sha256(b"").hexdigest()}
    table = (await auditor.get("audit/export", params={**asked, "format": "csv"})).text
    assert len(table.splitlines()) == 1
    assert table.startswith(
        "id,occurred_at,tx_id,tx_seq,request_id,origin,actor_type,actor_id,actor_label,action,"
    )


@pytest.mark.usefixtures("_steps")
async def test_cells_start_no_formula(app: RunningApp, auditor: Caller, unique: str) -> None:
    texts = FORMULAS + HARMLESS
    await add_access(
        app, [{"request_id": unique, "user_agent": text, "query": {"q": text}} for text in texts]
    )
    answer = await auditor.get(
        "audit/export", params={"stream": "access", "request_id": unique, "format": "csv"}
    )
    assert answer.headers["content-type"].startswith("text/csv; charset=utf-8")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    cells = [row["user_agent"] for row in rows]
    assert cells == [f"'{text}" for text in FORMULAS] + HARMLESS
    assert [json.loads(row["query"]) for row in rows] == [{"q": text} for text in texts]
    assert not [
        cell for row in rows for cell in row.values() if cell.lstrip(" ").startswith(tuple("=+-@\t\r\n"))
    ]
    assert {(row["actor_type"], row["actor_id"], row["status"]) for row in rows} == {("anonymous", "", "200")}
    assert {row["occurred_at"] for row in rows} == {"2026-03-01T12:00:00Z"}


async def test_export_ends_where_it_began(
    app: RunningApp, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_export, "_BATCH", 2)
    made = await add_changes(app, [{"request_id": unique} for _ in range(5)])
    service = ExportService(UnitOfWork(app.platform.database))
    question = Question("changes", {"request_id": unique})
    export = await service.export(question, ExportQuery(stream="changes"))
    got = b""
    async for chunk in export.chunks:
        got += chunk
        await add_changes(app, [{"request_id": unique}])
    assert ids(json.loads(line) for line in got.splitlines()[:-1]) == made


async def test_same_filters(app: RunningApp, auditor: Caller, unique: str) -> None:
    tx = uuid4()
    kept, _, _ = await add_changes(
        app,
        [
            {"request_id": unique, "tx_id": tx, "action": "INSERT"},
            {"request_id": unique, "tx_id": tx, "action": "DELETE"},
            {"request_id": unique, "action": "INSERT"},
        ],
    )
    params = {"stream": "changes", "tx_id": str(tx), "action": "INSERT", "from": START.isoformat()}
    answer = await auditor.get("audit/export", params=params)
    assert ids(json.loads(line) for line in answer.content.splitlines()[:-1]) == [kept]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"stream": "both"},
        {"stream": "access", "format": "xml"},
        {"stream": "access", "entity": "users"},
        {"stream": "changes", "method": "GET"},
        {"stream": "access", "limit": "5"},
        {"stream": "access", "from": "x"},
    ],
    ids=str,
)
async def test_refusal_is_a_problem(auditor: Caller, params: dict[str, str]) -> None:
    assert_problem(await auditor.get("audit/export", params=params), 422, "validation_error")


async def test_fault_before_the_first_byte_is_a_problem(
    app: RunningApp, auditor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.core.errors import Unavailable  # noqa: PLC0415  only here
    from app.modules.audit.repository import LogRepository  # noqa: PLC0415

    async def fail(*_: Any) -> None:
        raise Unavailable("Not now.")

    monkeypatch.setattr(LogRepository, "page", fail)
    await add_changes(app, [{}])
    assert_problem(await auditor.get("audit/export?stream=changes"), 503, "unavailable")
