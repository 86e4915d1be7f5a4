"""bench.py --suite archive: what it reads, counts and finds fault with; with TEST_FULL=1 one short run."""

import json
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import sleep
from typing import Any

import pytest

from bench_tool import archive_report, archive_steps, command_line
from bench_tool.archive_session import ArchiveReport, Beside
from bench_tool.archive_steps import Done, Step, last_document
from bench_tool.archive_writer import Wait, Writer
from bench_tool.operations import Load
from dev_tool.processes import DevError
from tests.scripts.test_bench import FULL, bench

FACTS = {"python": "3.11", "postgresql": "15", "processors": "2", "divided": "yes", "items": "10"}
COPY = Step("COPY", "changes", 1000, 0.01, 1.0, 2.0, 0.0)
SEAL = Step("seal", "all", 2000, 0.08, 12.0, 3.0, 9.0)
ARCHIVE = Step("archive", "changes", 1000, 0.08, 24.0, 6.0, 20.4)
PRUNE = Step("prune", "changes", 1000, 0.02, 8.0, 12.0, 5.0)
QUICK = Wait(100, 0, 9.0, 40.0, 44.0)
RUN = Beside("PostgreSQL", Step("run", "PostgreSQL", 500, 0.1, 40.0, 0.0, 21.0), QUICK, QUICK)
REPORT = ArchiveReport(1000, FACTS, COPY, [SEAL, ARCHIVE, PRUNE], [RUN])
SHORT = 60_000


class TestSteps:
    def test_what_starting_takes_is_no_part_of_a_step(self) -> None:
        idle, done = Done(2.0, 1.5, 90.0, {}), Done(12.0, 6.5, 110.0, {})
        step = Step.of("archive", "changes", 1000, done, idle, database=2.0)
        assert (step.seconds, step.rate, step.growth_mib) == (10.0, 100.0, 20.0)
        assert (step.cpu_us, step.database_us, step.both_us) == pytest.approx((5000.0, 2000.0, 7000.0))

    def test_result_is_behind_the_progress(self) -> None:
        assert last_document(b'{"event":"write"}\n{"ok":true,"pruned_rows":3}\n') == {
            "ok": True,
            "pruned_rows": 3,
        }
        assert last_document(b"") == {}

    def test_command_that_fails_is_named(self) -> None:
        with pytest.raises(DevError, match=r"(?s)`archive_audit\.py nothing` ended with 2: .*invalid choice"):
            archive_steps.command({}, "nothing")


class _Answers(BaseHTTPRequestHandler):
    """201 but for every third request, which is refused."""

    protocol_version = "HTTP/1.1"
    count = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).count += 1
        self.send_response(503 if type(self).count % 3 == 0 else 201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        """Nothing is told."""


@pytest.fixture
def port() -> Iterator[int]:
    _Answers.count = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


class TestWriter:
    def test_counts_answers_and_refusals_until_it_is_told_to_stop(self, port: int) -> None:
        writer = Writer(port, Load("POST", ("/a",), {"Content-Type": "application/json"}, "{}"))
        with writer.at_work():
            sleep(0.5)
        wait = writer.wait
        assert wait.requests == _Answers.count >= 3
        assert wait.failed == wait.requests // 3
        assert 0 < wait.p50_ms <= wait.p99_ms <= wait.longest_ms

    def test_server_that_is_not_there_fails_each_request(self) -> None:
        with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
            free = server.server_address[1]
        writer = Writer(free, Load("POST", ("/a",), {}, "{}"))
        with writer.at_work():
            sleep(0.2)
        assert writer.wait.failed == writer.wait.requests > 0

    def test_percentiles(self) -> None:
        wait = Wait.of([number / 1000 for number in range(200)], 1)
        assert wait == Wait(200, 1, 100.0, 198.0, 199.0)


class TestReport:
    def test_table_has_steps_ratios_and_who_waited(self) -> None:
        text = archive_report.as_markdown(REPORT)
        assert "| archive | changes | 1000 | 0.1 | 12500 | 0.125 | 24.0 | 6.0 | 0.100 | 20 |" in text
        assert "| all three | changes |  |  | 7143 | 0.071 | 65.0 in all |  | 0.046 |  |" in text
        assert "| PostgreSQL | alone |  | 100 | 0 | 9 | 40 | 44 |" in text
        assert "| PostgreSQL | run over 500 rows | 5000 | 100 | 0 | 9 | 40 | 44 |" in text

    def test_document_has_the_ratios(self) -> None:
        found = json.loads(archive_report.as_document(REPORT))
        assert found["ratios"]["archive"] == pytest.approx(0.125)
        assert found["beside"][0]["wait"]["requests"] == 100

    def test_good_run_has_no_faults(self) -> None:
        assert archive_report.faults(REPORT) == []

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (
                {"steps": [SEAL, replace(ARCHIVE, seconds=0.1), PRUNE]},
                ["archive does 0.100 of COPY's rows a second instead of 0.12"],
            ),
            (
                {"steps": [SEAL, ARCHIVE, replace(PRUNE, seconds=0.1)]},
                ["a whole run does 0.045 of COPY's rows a second instead of 0.05"],
            ),
            (
                {"steps": [SEAL, replace(ARCHIVE, growth_mib=100.0), PRUNE]},
                ["archive took 100 MiB of memory"],
            ),
            (
                {"beside": [replace(RUN, wait=replace(QUICK, failed=2))]},
                ["on PostgreSQL, 2 of 100 requests failed"],
            ),
            (
                {"beside": [replace(RUN, wait=replace(QUICK, p99_ms=300.0))]},
                ["on PostgreSQL, writers waited 300 ms (p99)"],
            ),
        ],
    )
    def test_faults(self, change: dict[str, Any], said: list[str]) -> None:
        assert archive_report.faults(replace(REPORT, **change)) == said


def test_operations_can_not_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command_line.main(["--suite", "archive", "--ops", "one"])
    assert end.value.code == 2
    assert "in the suite archive there is no operation 'one'" in capsys.readouterr().err


@pytest.mark.skipif(not FULL, reason="a real run, with TEST_FULL=1 only")
def test_short_run_measures_everything() -> None:
    told = bench("--suite", "archive", "--rows", str(SHORT), "--json")
    found = json.loads(told.stdout)  # the exit code is 1 where this machine is too busy for a goal
    assert [step["rows"] >= SHORT for step in found["steps"]] == [True] * 3
    assert [(one["database"], one["wait"]["failed"]) for one in found["beside"]] == [
        ("PostgreSQL", 0),
        ("SQLite", 0),
    ]
