"""A report as a Markdown table for people, as JSON for programs, and what is wrong with it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict

from bench_tool.figures import Report, Result
from bench_tool.operations import BARE, OURS

_HEADINGS = (
    "operation", "clients", "program", "req/s", "ratio", "p50 ms", "p99 ms", "errors", "CPU us/req",
    "CPU ratio", "server", "database", "client", "others",
)  # fmt: skip
_TEXT_COLUMNS = 3


def ratio(ours: float, bare: float) -> float | None:
    """Ours as a part of the bare app's; None where the bare app has nothing to compare with."""
    return ours / bare if bare else None


def compared(report: Report) -> Iterator[tuple[Result, Result]]:
    """The bare app's result and ours, for each operation and number of clients."""
    for bare in report.results:
        for ours in report.results:
            same = (ours.operation, ours.clients) == (bare.operation, bare.clients)
            if same and (bare.program, ours.program) == (BARE, OURS):
                yield bare, ours


def as_markdown(report: Report) -> str:
    """The table with a sentence before it and the memory after it."""
    plan = report.plan
    before = (
        f"{surroundings(report.facts)}; {plan.workers} worker(s) each, medians of {plan.rounds} "
        f"turn(s) of {plan.seconds} s."
    )
    rows = [_row(one, bare) for bare, ours in compared(report) for one in (bare, ours)]
    memory = ", ".join(f"{name} {mib:.0f} MiB" for name, mib in report.memory.items())
    return "\n".join(
        [before, "", *table(_HEADINGS, rows, _TEXT_COLUMNS), "", f"Memory afterwards (PSS): {memory}."]
    )


def surroundings(facts: Mapping[str, str]) -> str:
    """On what it was measured, as the beginning of a sentence."""
    divided = "each program on processors of its own, PostgreSQL and wrk on the rest"
    if facts["divided"] != "yes":
        divided = "everybody on all processors: ratios say little"
    return (
        f"{facts['processors']} processors ({divided}), Python {facts['python']}, PostgreSQL "
        f"{facts['postgresql']}, {facts['items']} items"
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int) -> list[str]:
    """The lines of a Markdown table; all but the first columns are numbers."""
    rule = ["---"] * text_columns + ["---:"] * (len(headings) - text_columns)
    return [f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows)]


def _row(result: Result, bare: Result) -> Sequence[str]:
    return (
        result.operation,
        str(result.clients),
        result.program,
        f"{result.rate:.0f}",
        _two_digits(ratio(result.rate, bare.rate)),
        f"{result.p50_ms:.1f}",
        f"{result.p99_ms:.1f}",
        str(result.errors),
        f"{result.cpu_us:.0f}",
        _two_digits(ratio(bare.cpu_us, result.cpu_us)),
        *(f"{part:.0%}" for part in (result.server, result.database, result.client, result.others)),
    )


def _two_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def as_document(report: Report) -> str:
    """The same as JSON."""
    ratios = [
        {
            "operation": ours.operation,
            "clients": ours.clients,
            "rate": ratio(ours.rate, bare.rate),
            "cpu": ratio(bare.cpu_us, ours.cpu_us),
        }
        for bare, ours in compared(report)
    ]
    document = {
        "plan": asdict(report.plan),
        "facts": dict(report.facts),
        "results": [asdict(result) for result in report.results],
        "ratios": ratios,
        "memory_mib": dict(report.memory),
    }
    return json.dumps(document, indent=1)


def faults(results: Iterable[Result]) -> list[str]:
    """A line for each measurement that does not count, because requests failed or none was answered."""
    return [
        f"{result.program} failed {result.errors} requests of `{result.operation}` with {result.clients} clients"
        if result.errors
        else f"{result.program} answered no request of `{result.operation}` with {result.clients} clients"
        for result in results
        if result.errors or not result.rate
    ]
