"""bench.py: what it reads, counts and prints; with TEST_FULL=1 one short run of everything."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.core.search import END_OF_FIRST, WORD
from bench_tool import accounting, command_line, population, report, session, wrk
from bench_tool.figures import Report, Result, Turn
from bench_tool.operations import BARE, NAMES, OURS, Load, Subject, chosen
from bench_tool.plan import Cores, Plan, started_on
from bench_tool.wrk import WrkResult
from dev_tool.processes import DevError

ROOT = Path(__file__).resolve().parents[2]
FULL = os.environ.get("TEST_FULL") == "1"
# As the kernel writes it, with a name that holds what separates the fields.
STAT = "42 (a) S (b)) S 7 42 42 0 -1 4194304 900 0 0 0 130 20 5 3 20 0 1 0 100 1000000 2000 1\n"
SUBJECT = Subject(("a", "b"), "u", 3)


def turn(requests: int = 1000, *, server: float = 0.5, errors: int = 0, p50: float = 2.0) -> Turn:
    return Turn(WrkResult(requests, 2.0, p50, 9.0, errors), server, 0.2, 0.1, 0.4)


def result(program: str, turns: list[Turn], operation: str = "one", clients: int = 32) -> Result:
    return Result.of(operation, clients, program, turns)


def full_report(*results: Result, divided: str = "yes") -> Report:
    facts = {"python": "3.11", "postgresql": "15", "processors": "2", "divided": divided, "items": "10"}
    plan = Plan(("one",), (32,), rounds=3, seconds=2)
    return Report(plan, facts, results, {BARE: 40.2, OURS: 99.6})


class TestWrk:
    def test_result_line_is_read(self) -> None:
        output = f"Running 1s test\n  2 threads\n{wrk.MARK} 5000 2000000 1500 9000 2 1\n"
        assert wrk.parse(output) == WrkResult(5000, 2.0, 1.5, 9.0, 3)

    def test_output_without_result_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="no result"):
            wrk.parse("Running 1s test\nunable to connect\n")

    def test_script_cycles_through_paths_with_headers_and_body(self) -> None:
        text = wrk.script(Load("POST", ("/a", "/b"), {"X-One": 'q"uote'}, '{"k": 1}'))
        assert 'local paths = { "/a", "/b" }' in text
        assert r'["X-One"] = "q\"uote"' in text
        assert r'local method, body = "POST", "{\"k\": 1}"' in text
        assert "at = at % #requests + 1" in text
        assert 'string.format("measured: %d %d %d %d %d %d\\n"' in text

    def test_script_without_body_sends_none(self) -> None:
        assert 'local method, body = "GET", nil' in wrk.script(Load("GET", ("/",), {}))

    def test_failing_wrk_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program = tmp_path / "wrk"
        program.write_text("#!/bin/sh\necho 'unable to connect' >&2\nexit 1\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        with pytest.raises(DevError, match="no result: unable to connect"):
            wrk.send(tmp_path / "x.lua", 1, 1, 1)


class TestAccounting:
    def test_process_is_read_behind_its_name(self) -> None:
        assert accounting.parse_process(STAT) == accounting.ProcessTimes(parent=7, ticks=158)

    def test_idle_and_waiting_time_of_the_machine_do_not_count(self) -> None:
        stat = "cpu  100 10 50 9000 500 5 7 3 40 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
        assert accounting.parse_machine(stat) == 100 + 10 + 50 + 5 + 7 + 3

    def test_memory_is_the_proportional_share(self) -> None:
        rollup = "55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:  9000 kB\nPss:  5120 kB\nPss_Anon: 1 kB\n"
        assert accounting.parse_memory(rollup) == 5120

    def test_family_has_grandchildren_and_no_strangers(self) -> None:
        parents = {1: 0, 2: 1, 3: 2, 4: 3, 9: 1}
        found = {pid: accounting.ProcessTimes(parent, 100) for pid, parent in parents.items()}
        assert accounting.family(found, 2) == {2, 3, 4}
        assert accounting.seconds_of(found, 2) == 300 / accounting.TICKS_PER_SECOND

    def test_time_of_a_vanished_process_is_zero(self) -> None:
        assert accounting.seconds_of({}, 5) == 0

    def test_kernel_is_understood(self) -> None:
        found = accounting.processes()
        assert found[os.getpid()].parent == os.getppid()
        assert 0 < accounting.seconds_of(found, os.getpid()) <= accounting.machine_seconds()
        assert accounting.memory_mib(os.getpid()) > 1

    def test_idle_process_settles_at_once(self) -> None:
        with subprocess.Popen(["sleep", "30"]) as process:
            session.settle(process.pid)
            process.kill()


class TestFigures:
    def test_medians_are_taken_value_by_value_and_errors_added(self) -> None:
        turns = [turn(1000, p50=1.0, errors=1), turn(4000, p50=3.0), turn(2000, p50=8.0, errors=2)]
        found = result(OURS, turns)
        assert (found.rate, found.p50_ms, found.errors) == (1000.0, 3.0, 3)
        assert found.cpu_us == pytest.approx(250)  # of 500, 125 and 250
        assert (found.server, found.database, found.client, found.others) == (0.25, 0.1, 0.05, 0.2)

    def test_turn_without_answers_divides_by_nothing(self) -> None:
        found = result(OURS, [Turn(WrkResult(0, 0.0, 0.0, 0.0, 0), 1.0, 0.0, 0.0, 0.0)])
        assert (found.rate, found.cpu_us, found.server) == (0, 0, 0)


class TestReport:
    def test_table_has_ratios_to_the_bare_app_of_the_same_line(self) -> None:
        text = report.as_markdown(
            full_report(
                result(BARE, [turn(4000, server=1.0)]),
                result(OURS, [turn(2400, server=1.2)]),
                result(BARE, [turn(1000)], "list"),
                result(OURS, [turn(900)], "list"),
            )
        )
        assert "| one | 32 | bare | 2000 | 1.00 | 2.0 | 9.0 | 0 | 250 | 1.00 | 50% | 10% | 5% | 20% |" in text
        assert (
            "| one | 32 | tessera | 1200 | 0.60 | 2.0 | 9.0 | 0 | 500 | 0.50 | 60% | 10% | 5% | 20% |" in text
        )
        assert "| list | 32 | tessera | 450 | 0.90 |" in text
        assert "Memory afterwards (PSS): bare 40 MiB, tessera 100 MiB." in text
        assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1

    def test_shared_processors_are_told(self) -> None:
        assert "ratios say little" in report.as_markdown(full_report(divided="no"))

    def test_nothing_to_compare_with_is_no_ratio(self) -> None:
        none = result(BARE, [turn(0)])
        assert "| - |" in report.as_markdown(full_report(none, result(OURS, [turn()])))

    def test_document_holds_the_same(self) -> None:
        both = full_report(result(BARE, [turn(4000)]), result(OURS, [turn(2000)]))
        found: dict[str, Any] = json.loads(report.as_document(both))
        assert found["ratios"] == [{"operation": "one", "clients": 32, "rate": 0.5, "cpu": 0.5}]
        assert [line["program"] for line in found["results"]] == [BARE, OURS]
        assert found["memory_mib"] == {BARE: 40.2, OURS: 99.6}

    def test_failed_requests_and_silence_are_faults(self) -> None:
        assert report.faults([result(BARE, [turn()])]) == []
        assert report.faults([result(OURS, [turn(errors=2), turn(errors=1)])]) == [
            "tessera failed 3 requests of `one` with 32 clients"
        ]
        assert report.faults([result(OURS, [turn(0)])]) == [
            "tessera answered no request of `one` with 32 clients"
        ]


class TestPlan:
    @pytest.mark.parametrize(
        ("available", "workers", "programs", "others"),
        [
            ([0, 1], 1, {0}, {1}),
            ([3, 1, 2], 1, {1}, {2, 3}),
            ([0, 1, 2, 3], 2, {0, 1}, {2, 3}),
            ([0], 1, {0}, {0}),
            ([0, 1], 2, {0, 1}, {0, 1}),
        ],
    )
    def test_processors_are_divided_where_there_are_enough(
        self, available: list[int], workers: int, programs: set[int], others: set[int]
    ) -> None:
        cores = Cores.divide(available, workers)
        assert (set(cores.programs), set(cores.others)) == (programs, others)
        assert cores.are_divided == (programs != others)

    def test_children_stay_where_they_were_started(self) -> None:
        before = os.sched_getaffinity(0)
        only = frozenset({min(before)})
        with started_on(only):
            ask = [sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)))"]
            told = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
        assert told.strip() == str(sorted(only))
        assert os.sched_getaffinity(0) == before

    def test_expected_time_counts_every_turn(self) -> None:
        assert Plan(("one", "list"), (1, 32), rounds=3, seconds=3).expected_seconds == 80

    def test_turns_of_slow_answers_are_longer(self) -> None:
        assert Plan(("login",), (1,), rounds=2, seconds=2).expected_seconds == 42


class TestOperations:
    def test_those_that_write_come_last(self) -> None:
        assert [operation.name for operation in chosen(("create", "one", "login"))] == [
            "one",
            "create",
            "login",
        ]

    def test_only_ours_is_asked_with_a_token(self) -> None:
        (one,) = chosen(("one",))
        ours, bare = one.load(OURS, SUBJECT, "t"), one.load(BARE, SUBJECT, "t")
        assert [path.rpartition("/")[2] for path in (*ours.paths, *bare.paths)] == ["a", "b", "a", "b"]
        assert [path.startswith("/api/v1/") for path in (*ours.paths, *bare.paths)] == [
            True,
            True,
            False,
            False,
        ]
        assert (ours.headers, bare.headers) == ({"Authorization": "Bearer t"}, {})

    def test_bodies_are_posted_as_json(self) -> None:
        (create,) = chosen(("create",))
        load = create.load(OURS, SUBJECT, "t")
        assert (load.method, load.headers["Content-Type"]) == ("POST", "application/json")
        assert json.loads(load.body or "")["title"]

    @pytest.mark.parametrize(
        ("ours", "bare", "fits"),
        [
            ({"a": 1, "b": 2}, {"a": 1}, True),
            ({"a": 1}, {"a": 1, "b": 2}, False),
            ({"items": [{"a": 1, "z": 0}]}, {"items": [{"a": 1}]}, True),
            ({"items": [{"a": 1}]}, {"items": []}, False),
            ([1], {"a": 1}, False),
        ],
    )
    def test_answers_are_compared_by_what_the_bare_app_says(self, ours: Any, bare: Any, fits: bool) -> None:
        assert session.contains(ours, bare) is fits

    def test_items_are_searchable_and_owned_in_turn(self) -> None:
        rows = population.item_rows([5, 6])
        assert len(rows) == population.ITEMS
        assert [row[4] for row in rows[:3]] == [5, 6, 5]
        text = f"{WORD}item {WORD}7 {WORD}of {WORD}the {WORD}benchmark{END_OF_FIRST}{WORD}text"
        assert str(rows[7][3]).startswith(text)


class TestCommandLine:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--ops", "one,two"], "there is no operation 'two'"),
            (["--concurrency", "1,x"], "'x' is not a whole number"),
            (["--rounds", "0"], "'0' is not a whole number"),
            (["--seconds", "0.5"], "'0.5' is not a whole number"),
            (["--sec", "1"], "unrecognized arguments"),
        ],
    )
    def test_wrong_use_is_2(self, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            command_line.main(words)
        assert end.value.code == 2
        assert said in capsys.readouterr().err

    def test_missing_wrk_is_named_with_the_command_that_installs_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert command_line.main([]) == 1
        assert "wrk" in (said := capsys.readouterr().err)
        assert "Install it with:" in said

    def test_help_needs_nothing(self, tmp_path: Path) -> None:
        answer = bench("--help", PATH=str(tmp_path))
        assert answer.returncode == 0
        assert all(name in answer.stdout for name in NAMES)


def bench(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "bench.py"), *words],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.skipif(not FULL, reason="a real run, with TEST_FULL=1 only")
def test_short_run_measures_both_programs() -> None:
    answer = bench("--ops", "one", "--concurrency", "4", "--rounds", "1", "--seconds", "1", "--json")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert [line["program"] for line in found["results"]] == [BARE, OURS]
    assert all(line["rate"] > 0 and line["cpu_us"] > 0 and not line["errors"] for line in found["results"])
    assert all(mib > 10 for mib in found["memory_mib"].values())
