"""The modules suite's report: a table for people, JSON for programs, and what is wrong."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise

from bench_tool import report as api
from bench_tool.modules_session import Grown, ModulesReport, Spent

# How many times as much of the processor a module may add to a large program as to a small one.
GROWTH = 2.0
LAST_RATIO = 1.7
_HEADINGS = (
    *("modules", "generate s", "CPU s", "check s", "init-db and seed s", "start s", "CPU s", "memory MiB"),
    *("first req/s", "last req/s", "last / first", "CPU last / first"),
)
COSTS: Mapping[str, Callable[[Grown], float | None]] = {
    "generating, CPU ms": lambda grown: None if grown.generated is None else grown.generated.cpu * 1000,
    "init-db and seed, CPU ms": lambda grown: grown.migrated.cpu * 1000,
    "start, CPU ms": lambda grown: grown.start.cpu * 1000,
    "memory, KiB": lambda grown: grown.memory_mib * 1024,
}


def as_markdown(report: ModulesReport) -> str:
    """A table of sizes and one of what each module adds."""
    plan = report.plan
    divided = "program and wrk on processors of their own"
    if report.facts["divided"] != "yes":
        divided = "everybody on all processors"
    before = (
        f"{report.facts['processors']} processors ({divided}), Python {report.facts['python']}, SQLite; one worker, "
        f"{plan.concurrency[0]} clients, medians of {plan.rounds} turn(s) of {plan.seconds} s."
    )
    after = "What each further module adds:"
    steps = [(f"{one.modules} to {two.modules}", one, two) for one, two in pairwise(report.grown)]
    adds = [(name, *(_rounded(added(one, two, cost)) for cost in COSTS)) for name, one, two in steps]
    return "\n".join(
        [
            *(before, "", *api.table(_HEADINGS, map(_row, report.grown), 0)),
            *("", after, "", *api.table(("modules", *COSTS), adds, 1)),
        ]
    )


def _row(grown: Grown) -> Sequence[str]:
    return (
        *(str(grown.modules), *_both(grown.generated), _both(grown.checked)[0]),
        *(f"{grown.migrated.seconds:.1f}", *_both(grown.start), f"{grown.memory_mib:.0f}"),
        *(f"{grown.first.rate:.0f}", f"{grown.last.rate:.0f}"),
        *(f"{ratio:.2f}" for ratio in ratios(grown).values()),
    )


def _both(spent: Spent | None) -> tuple[str, str]:
    return ("-", "-") if spent is None else (f"{spent.seconds:.1f}", f"{spent.cpu:.1f}")


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def added(small: Grown, large: Grown, name: str) -> float | None:
    """By each module that the larger one has more; None where the smaller one has no such cost."""
    before, after = COSTS[name](small), COSTS[name](large)
    return None if before is None or after is None else (after - before) / (large.modules - small.modules)


def ratios(grown: Grown) -> dict[str, float]:
    """The last entity's calls as parts of the first one's."""
    return {
        "rate": grown.last.rate / grown.first.rate if grown.first.rate else 0.0,
        "cpu": grown.last.cpu_us / grown.first.cpu_us if grown.first.cpu_us else 0.0,
    }


def as_document(report: ModulesReport) -> str:
    """The same as JSON."""
    adds = [
        {"from": one.modules, "to": two.modules, **{name: added(one, two, name) for name in COSTS}}
        for one, two in pairwise(report.grown)
    ]
    grown = [{**asdict(one), "ratios": ratios(one)} for one in report.grown]
    return json.dumps({**asdict(report), "grown": grown, "each_further_module": adds}, indent=1)


def faults(report: ModulesReport) -> list[str]:
    """A line for failed calls, for a last entity that is slow to find, and for what grows faster than the modules."""
    found = []
    for one in report.grown:
        if one.first.errors or one.last.errors or not one.first.rate or not one.last.rate:
            found.append(f"with {one.modules} modules, {one.first.errors + one.last.errors} requests failed")
        if (cpu := ratios(one)["cpu"]) > LAST_RATIO:
            found.append(
                f"with {one.modules} modules, a call of the last takes {cpu:.2f} times the processor time"
            )
    return [*found, *(line for name in COSTS if "CPU" in name for line in _too_steep(report, name))]


def _too_steep(report: ModulesReport, name: str) -> Iterator[str]:
    """The second half of the sizes beside the first one: single steps are too small to be told from noise."""
    known = [one for one in report.grown if COSTS[name](one) is not None]
    if len(known) <= 2:  # noqa: PLR2004  with one step there is nothing to compare
        return
    first, middle, last = known[0], known[len(known) // 2], known[-1]
    early, late = added(first, middle, name), added(middle, last, name)
    if early is not None and late is not None and late > GROWTH * early:
        yield (
            f"{name}: {late:.0f} for each module from {middle.modules} to {last.modules}, {early:.0f} from "
            f"{first.modules} to {middle.modules}"
        )
