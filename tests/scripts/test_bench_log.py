"""bench.py --suite log: what it asks, how it reads plans, what it finds fault with; with TEST_FULL=1 one short run."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from bench_tool import accounting, command_line, log_population, log_report, log_session, plans
from bench_tool.log_population import LogSubject
from bench_tool.log_questions import QUESTIONS, Question, path_of
from bench_tool.log_session import Answer, Export, LogReport
from tests.scripts.test_bench import FULL, bench

FACTS = {"python": "3.11", "postgresql": "15", "processors": "2", "divided": "yes", "items": "10"}
SUBJECT = LogSubject("ada", "bob", "r1", "r2", "q", "t", "198.51.1.1", datetime(2026, 3, 31, 12, tzinfo=UTC))
# As PostgreSQL writes it: lines of an entry begin with a tab, other entries stand between.
BY_INDEX = """2026-11-21 18:00:00.000 UTC [7] LOG:  duration: 0.1 ms  plan:
\t{
\t  "Query Text": "SELECT id FROM audit_access WHERE actor_id = $1 ORDER BY id",
\t  "Plan": {
\t    "Node Type": "Limit",
\t    "Plans": [{"Node Type": "Index Scan", "Index Name": "ix_audit_access_actor_id_id"}]
\t  }
\t}
2026-11-21 18:00:00.001 UTC [7] LOG:  duration: 0.2 ms  plan:
\t{"Query Text": "SELECT max(id), pg_current_snapshot()", "Plan": {"Node Type": "Index Only Scan",
\t "Index Name": "pk_audit_access"}}
2026-11-21 18:00:00.001 UTC [7] LOG:  checkpoint starting: time
2026-11-21 18:00:00.002 UTC [7] LOG:  duration: 0.2 ms  plan:
\t{"Query Text": "SELECT 1", "Plan": {"Node Type": "Index Scan", "Index Name": "uq_users_email"}}
"""
BY_NONE = """x LOG:  duration: 90 ms  plan:
\t{"Query Text": "SELECT 1", "Plan": {"Node Type": "Gather", "Plans": [
\t  {"Node Type": "Seq Scan", "Relation Name": "audit_change"},
\t  {"Node Type": "Seq Scan", "Relation Name": "users"}]}}
"""
EXPORT = Export("access", 10, 2.0, 12.0, 5.0, 100.0, 104.0, is_whole=True)


def answer(ms: float = 12.0, *ways: str, usual: bool = True, status: int = 200) -> Answer:
    return Answer(Question("by a", "access?a={busy_actor}", usual=usual), ms, status, ways)


def report(one: Answer, file: Export = EXPORT) -> LogReport:
    return LogReport(1000, FACTS, [one], [file])


class TestPlans:
    def test_indexes_of_the_logs_are_found_in_any_depth(self) -> None:
        assert plans.ways_to_the_logs(BY_INDEX) == ["ix_audit_access_actor_id_id"]

    def test_walk_through_a_whole_log_is_named(self) -> None:
        assert plans.ways_to_the_logs(BY_INDEX + BY_NONE) == [
            "Seq Scan on audit_change",
            "ix_audit_access_actor_id_id",
        ]

    def test_log_without_plans_has_none(self) -> None:
        assert plans.ways_to_the_logs("x LOG:  checkpoint starting: time\nx LOG:  no plan: at all\n") == []


class TestQuestions:
    def test_every_path_is_filled_in(self) -> None:
        paths = [path_of(question, SUBJECT) for question in QUESTIONS]
        assert not any("{" in path or " " in path for path in paths)
        assert len(set(paths)) == len(paths)

    def test_instants_keep_their_zone(self) -> None:
        (hour,) = [path_of(one, SUBJECT) for one in QUESTIONS if one.name == "an hour, a month ago"]
        assert hour == "access?from=2026-03-01T12%3A00%3A00%2B00%3A00&to=2026-03-01T13%3A00%3A00%2B00%3A00"

    def test_both_logs_have_usual_questions(self) -> None:
        usual = {one.path.partition("?")[0] for one in QUESTIONS if one.usual}
        assert {"access", "changes"} <= usual

    def test_kinds_of_requests_fill_the_span(self) -> None:
        made: list[tuple[Any, ...]] = log_population.kinds()
        assert made[0][0] == 0
        assert made[-1][1] == pytest.approx(1)
        assert all(one[1] == following[0] for one, following in pairwise(made))


class TestExport:
    def test_last_line_counts(self) -> None:
        tail = b'{"id":9}\n{"$end":true,"rows":9,"sha256":"ab"}\n'
        assert log_session.last_line(tail) == (9, True)

    @pytest.mark.parametrize("tail", [b'{"id":8}\n{"id":9}\n', b'{"id":8}\n{"id', b""])
    def test_file_without_it_is_not_whole(self, tail: bytes) -> None:
        assert log_session.last_line(tail)[1] is False

    def test_peak_of_memory_is_the_kernels(self) -> None:
        status = "Name:\tx\nVmPeak:\t 9000 kB\nVmHWM:\t    5120 kB\nVmRSS:\t    2048 kB\n"
        assert (accounting.parse_status(status, "VmHWM"), accounting.parse_status(status, "VmRSS")) == (5, 2)

    def test_peak_can_be_forgotten(self) -> None:
        block = bytearray(os.urandom(64)) * 2**20
        high = accounting.peak_mib(os.getpid())
        del block
        accounting.forget_peak(os.getpid())
        assert accounting.resident_mib(os.getpid()) <= accounting.peak_mib(os.getpid()) < high


class TestReport:
    def test_table_shows_the_way_and_the_time(self) -> None:
        text = log_report.as_markdown(report(answer(12.4, "ix_a", "pk_a")))
        assert "| **by a** | `access?a={busy_actor}` | ix_a, pk_a | 12 |" in text
        assert "| access | 10 | 5 | 2.0 | 12 | 100 | 104 | 4 |" in text
        assert "| by a | `access?a={busy_actor}` | - | answered 503 |" in log_report.as_markdown(
            report(answer(usual=False, status=503))
        )

    def test_document_holds_the_same(self) -> None:
        found = json.loads(log_report.as_document(report(answer(12.4, "ix_a"))))
        assert found["answers"][0]["ways"] == ["ix_a"]
        assert found["exports"][0]["peak_mib"] == 104.0

    @pytest.mark.parametrize(
        ("one", "said"),
        [
            (answer(status=503), ["`by a` was answered with 503"]),
            (answer(201.0), ["`by a` took 201 ms"]),
            (answer(1.0, "Seq Scan on audit_access"), ["`by a` went through a whole log"]),
            (answer(900.0, "Seq Scan on audit_access", usual=False), []),
            (answer(), []),
        ],
    )
    def test_faults_of_answers(self, one: Answer, said: list[str]) -> None:
        assert log_report.faults(report(one)) == said

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"is_whole": False}, "the export of access is not whole"),
            ({"first_byte_ms": 1000.0}, "the first byte of the export of access took 1000 ms"),
            ({"peak_mib": 200.0}, "the export of access took 100 MiB of memory"),
        ],
    )
    def test_faults_of_files(self, change: dict[str, Any], said: str) -> None:
        assert log_report.faults(report(answer(), replace(EXPORT, **change))) == [said]


class TestCommandLine:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--suite", "log", "--ops", "one"], "in the suite log there is no operation 'one', they can't"),
            (["--suite", "log", "--rows", "0"], "'0' is not a whole number from 1 to 10000000"),
        ],
    )
    def test_wrong_use_is_2(self, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            command_line.main(words)
        assert end.value.code == 2
        assert said in capsys.readouterr().err


@pytest.mark.skipif(not FULL, reason="a real run, with TEST_FULL=1 only")
def test_short_run_asks_everything() -> None:
    told = bench("--suite", "log", "--rows", "50000", "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert [one["status"] for one in found["answers"]] == [200] * len(QUESTIONS)
    assert all(one["ways"] for one in found["answers"] if one["question"]["usual"])
    assert [file["is_whole"] for file in found["exports"]] == [True, True]
