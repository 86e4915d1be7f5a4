"""bench.py --suite modules: its blueprints, what it prints and finds fault with; with TEST_FULL=1 one short run."""

import json
from collections.abc import Callable
from dataclasses import replace
from graphlib import TopologicalSorter
from typing import Any, get_args

import pytest

from bench_tool import command_line, modules_report
from bench_tool.modules_blueprint import MOST, blueprint, path_of
from bench_tool.modules_session import Calls, Grown, ModulesReport, Spent
from bench_tool.plan import Plan
from blueprint_tool.model import AttributeType
from blueprint_tool.reading.document import read_text
from tests.scripts.test_bench import FULL, bench

FACTS = {"python": "3.11", "processors": "2", "divided": "yes"}
PLAN = Plan((), (32,), rounds=3, seconds=3)
QUICK = Calls(1000.0, 800.0, 0)


def grown(modules: int, **changes: Any) -> Grown:
    """A program of which each module costs the same."""
    made = Grown(
        modules=modules,
        generated=Spent(6.0 + 0.1 * modules, 5.0 + 0.1 * modules) if modules else None,
        checked=Spent(1.0, 1.0) if modules else None,
        migrated=Spent(3.0 + 0.1 * modules, 3.0 + 0.1 * modules),
        start=Spent(2.0 + 0.05 * modules, 1.5 + 0.04 * modules),
        memory_mib=130.0 + modules,
        first=QUICK,
        last=replace(QUICK, rate=950.0, cpu_us=840.0),
    )
    return replace(made, **changes)


def report(*sizes: Grown) -> ModulesReport:
    return ModulesReport(PLAN, FACTS, sizes or [grown(size) for size in (0, 10, 25, 50, 100)])


class TestBlueprint:
    @pytest.mark.parametrize("size", [1, 2, 10, 50, MOST])
    def test_every_size_is_a_right_one(self, size: int) -> None:
        entities = read_text(json.dumps(blueprint(size)), "entities.json").entities
        assert len({entity.module for entity in entities}) == size

    def test_it_has_everything_that_a_team_would_have(self) -> None:
        entities = read_text(json.dumps(blueprint(25)), "entities.json").entities
        assert {a.type for entity in entities for a in entity.attributes} == set(get_args(AttributeType))
        assert {r.type for entity in entities for r in entity.relations} == {"many_to_one", "many_to_many"}
        assert (
            {entity.owned for entity in entities}
            == {entity.soft_delete for entity in entities}
            == {True, False}
        )

    def test_last_entity_is_like_the_first_and_comes_last(self) -> None:
        """Else calls of both could not be compared, or it would not be far behind."""
        *others, last = read_text(json.dumps(blueprint(50)), "entities.json").entities
        first = others[0]
        assert last.attributes == first.attributes
        assert (last.owned, last.soft_delete) == (first.owned, first.soft_delete)
        assert [(r.name, r.type, r.nullable) for r in last.relations] == [
            (r.name, r.type, r.nullable) for r in first.relations
        ]
        needs = {one.module: {r.target_module for r in one.relations} - {"users"} for one in (*others, last)}
        order = list(TopologicalSorter(needs).static_order())
        assert order.index(first.module) < 10
        assert order.index(last.module) > 40
        assert path_of(blueprint(50)[-1]) == "/api/v1/yard-remarks"

    def test_smaller_ones_are_the_beginning_of_larger_ones(self) -> None:
        assert blueprint(10)[:9] == blueprint(50)[:9]


def test_of_several_starts_the_clock_s_median_and_the_least_of_the_processor_count() -> None:
    assert Spent.of([Spent(2.0, 1.6), Spent(9.0, 1.5), Spent(3.0, 1.9)]) == Spent(3.0, 1.5)


class TestReport:
    def test_table_has_a_row_for_each_size(self) -> None:
        text = modules_report.as_markdown(report())
        assert "| 0 | - | - | - | 3.0 | 2.0 | 1.5 | 130 | 1000 | 950 | 0.95 | 1.05 |" in text
        assert "| 50 | 11.0 | 10.0 | 1.0 | 8.0 | 4.5 | 3.5 | 180 | 1000 | 950 | 0.95 | 1.05 |" in text
        assert "program and wrk on processors of their own" in text

    def test_second_table_tells_what_each_module_adds(self) -> None:
        text = modules_report.as_markdown(report())
        assert "| 0 to 10 | - | 100 | 40 | 1024 |" in text
        assert "| 50 to 100 | 100 | 100 | 40 | 1024 |" in text

    def test_document_has_the_same(self) -> None:
        found = json.loads(modules_report.as_document(report()))
        assert found["grown"][3]["ratios"] == pytest.approx({"rate": 0.95, "cpu": 1.05})
        step = found["each_further_module"][-1]
        assert (step["from"], step["to"]) == (50, 100)
        assert step["start, CPU ms"] == pytest.approx(40.0)

    def test_what_grows_with_the_modules_is_no_fault(self) -> None:
        assert modules_report.faults(report()) == []
        assert modules_report.faults(report(grown(0), grown(10))) == [], "there is nothing to compare"

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (
                lambda size: {"start": Spent(1.0, 1.0 + 0.001 * size**2)},
                ["start, CPU ms: 125 for each module from 25 to 100, 25 from 0 to 25"],
            ),
            (
                lambda size: {"generated": Spent(1.0, 1.0 + 0.001 * size**2) if size else None},
                ["generating, CPU ms: 150 for each module from 50 to 100, 60 from 10 to 50"],
            ),
            (
                lambda size: {"migrated": Spent(1.0, 1.0 + 0.002 * size**2)},
                ["init-db and seed, CPU ms: 250 for each module from 25 to 100, 50 from 0 to 25"],
            ),
            (
                lambda size: {"last": replace(QUICK, cpu_us=800.0 + 9 * size)},
                ["with 100 modules, a call of the last takes 2.12 times the processor time"],
            ),
            (
                lambda size: {"first": replace(QUICK, errors=size // 100)},
                ["with 100 modules, 1 requests failed"],
            ),
        ],
    )
    def test_faults(self, change: Callable[[int], dict[str, Any]], said: list[str]) -> None:
        sizes = [grown(size, **change(size)) for size in (0, 10, 25, 50, 100)]
        assert modules_report.faults(report(*sizes)) == said


@pytest.mark.parametrize(
    "words",
    [("--sizes", "0"), ("--sizes", "101"), ("--workers", "2"), ("--concurrency", "1,32"), ("--ops", "one")],
)
def test_what_can_not_be_asked_for(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command_line.main(["--suite", "modules", *words])
    assert end.value.code == 2
    assert capsys.readouterr().err


@pytest.mark.skipif(not FULL, reason="a real run, with TEST_FULL=1 only")
def test_short_run_grows_the_program_and_calls_it() -> None:
    answer = bench("--suite", "modules", "--sizes", "2", "--rounds", "1", "--seconds", "1", "--json")
    assert answer.returncode == 0, answer.stderr
    bare, small = json.loads(answer.stdout)["grown"]
    assert (bare["modules"], bare["generated"], small["modules"]) == (0, None, 2)
    assert small["generated"]["cpu"] > small["checked"]["cpu"] > 0
    assert all(one["start"]["cpu"] > 0 and one["memory_mib"] > 50 for one in (bare, small))
    assert all(one["first"]["rate"] > 0 < one["last"]["rate"] for one in (bare, small))
