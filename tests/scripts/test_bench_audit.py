"""bench.py --suite audit: what it compares, counts and prints; with TEST_FULL=1 one short run."""

import json
from typing import Any

import pytest

from bench_tool import audit_report, audit_session, bulk, command_line, wrk
from bench_tool.audit_session import WITHOUT, AuditReport, Comparison
from bench_tool.bulk import BulkResult
from bench_tool.figures import Turn
from bench_tool.forms import NO_ACCESS, NO_CHANGES, WHOLE
from bench_tool.operations import AUDIT_NAMES, Load, Subject, chosen
from bench_tool.plan import Plan
from bench_tool.wrk import WrkResult
from dev_tool.processes import DevError
from tests.scripts.test_bench import FULL, bench

FACTS = {"python": "3.11", "postgresql": "15", "processors": "2", "divided": "yes", "items": "10"}
ROWS = BulkResult("insert", without=30.0, whole=52.5, database_without=20.0, database_whole=41.0)


def turn(requests: int, server: float, *, errors: int = 0) -> Turn:
    return Turn(WrkResult(requests, 2.0, 2.0, 9.0, errors), server, 0.2, 0.1, 0.4)


def report(without: list[Turn], whole: list[Turn]) -> AuditReport:
    compared = Comparison.of("one", 32, without, whole)
    return AuditReport(Plan(("one",), (32,), rounds=3, seconds=2), FACTS, [compared], [ROWS])


class TestComparison:
    def test_every_operation_is_compared_with_the_log_that_it_writes(self) -> None:
        assert set(WITHOUT) == set(AUDIT_NAMES)
        assert {WITHOUT[name] for name in ("one", "list")} == {NO_ACCESS}
        assert {WITHOUT[name] for name in ("create", "update")} == {NO_CHANGES}

    def test_form_that_leaves_the_wrong_rows_is_refused(self) -> None:
        audit_session.require_rows(NO_ACCESS, (0, 1), (0, 1))
        with pytest.raises(DevError, match="left 1 access and 1 change row"):
            audit_session.require_rows(NO_ACCESS, (1, 1), (0, 1))

    def test_work_that_leaves_no_rows_is_refused(self) -> None:
        bulk.require_told("insert", 1000, 1000)
        with pytest.raises(DevError, match="`insert` left 0 rows in the change log instead of 1000"):
            bulk.require_told("insert", 0, 1000)

    def test_each_request_of_update_changes_something(self) -> None:
        (update,) = chosen(("update",))
        load = update.load(WHOLE, Subject(("a",), "u", 3), "t")
        assert (load.method, load.headers["Authorization"]) == ("PATCH", "Bearer t")
        assert "{n}" in json.loads(load.body or "")["title"]

    def test_script_numbers_the_bodies_that_ask_for_it(self) -> None:
        text = wrk.script(Load("PATCH", ("/a",), {}, '{"k": "{n}"}'))
        assert r'local method, body = "PATCH", "{\"k\": \"{n}\"}"' in text
        assert 'string.format("%d", number)' in text


class TestReport:
    def test_table_tells_what_the_log_adds(self) -> None:
        text = audit_report.as_markdown(report([turn(4000, 1.0)], [turn(3600, 0.99)]))
        assert (
            "| one | 32 | without access rows | 2000 | 1.00 | 2.0 | 9.0 | 0 | 250 | +0.0% | 50 | +0.0% |"
            in text
        )
        assert "| one | 32 | whole | 1800 | 0.90 | 2.0 | 9.0 | 0 | 275 | +10.0% | 56 | +11.1% |" in text
        assert "| insert | 30.0 | 52.5 | 22.5 | 20.0 | 41.0 | 21.0 |" in text

    def test_turns_are_compared_with_those_beside_them(self) -> None:
        without = [turn(4000, 1.0), turn(1000, 1.0), turn(2000, 1.0)]
        whole = [turn(4000, 1.2), turn(1000, 1.1), turn(2000, 1.1)]
        assert Comparison.of("one", 32, without, whole).cpu == pytest.approx(1.1)

    def test_nothing_to_compare_with_is_no_ratio(self) -> None:
        found = report([turn(0, 0.0)], [turn(3600, 0.99)])
        assert found.results[0].rate is None
        assert "| whole | 1800 | - |" in audit_report.as_markdown(found)

    def test_document_holds_the_same(self) -> None:
        both = report([turn(4000, 1.0)], [turn(4000, 1.1)])
        found: dict[str, Any] = json.loads(audit_report.as_document(both))
        (one,) = found["results"]
        assert (one["without"]["program"], one["whole"]["program"]) == (NO_ACCESS, WHOLE)
        assert (one["rate"], one["cpu"]) == (1.0, pytest.approx(1.1))
        assert found["bulk"][0]["database_whole"] == 41.0

    def test_failed_requests_are_faults(self) -> None:
        fine, failed = [turn(4000, 1.0)], [turn(4000, 1.1, errors=3)]
        assert audit_report.faults(report(fine, fine)) == []
        assert audit_report.faults(report(fine, failed)) == [
            "whole failed 3 requests of `one` with 32 clients"
        ]


class TestCommandLine:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--suite", "audit", "--ops", "login"], "in the suite audit there is no operation 'login'"),
            (["--ops", "update"], "in the suite api there is no operation 'update'"),
            (["--suite", "audit", "--workers", "2"], "one worker each"),
            (["--suite", "all"], "invalid choice"),
        ],
    )
    def test_wrong_use_is_2(self, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            command_line.main(words)
        assert end.value.code == 2
        assert said in capsys.readouterr().err


@pytest.mark.skipif(not FULL, reason="a real run, with TEST_FULL=1 only")
def test_short_run_compares_both_logs() -> None:
    answer = bench("--suite", "audit", "--ops", "one,update", "--rounds", "1", "--seconds", "1", "--json")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert [line["without"]["program"] for line in found["results"]] == [NO_ACCESS, NO_CHANGES]
    assert all(line["rate"] > 0 and line["database"] > 0 for line in found["results"])
    assert all(line["whole"] > line["without"] > 0 for line in found["bulk"])
