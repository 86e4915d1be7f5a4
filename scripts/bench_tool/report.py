"""A report as a Markdown table for people, as JSON for programs, and what is wrong with it."""

import json
from collections.abc import Iterator
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
    divided = "each program on processors of its own, PostgreSQL and wrk on the rest"
    if report.facts["divided"] != "yes":
        divided = "everybody on all processors: ratios say little"
    plan, facts = report.plan, report.facts
    before = (
        f"{facts['processors']} processors ({divided}), Python {facts['python']}, PostgreSQL "
        f"{facts['postgresql']}, {facts['items']} items; {plan.workers} worker(s) each, medians of {plan.rounds} "
        f"turn(s) of {plan.seconds} s."
    )
    rule = ["---"] * _TEXT_COLUMNS + ["---:"] * (len(_HEADINGS) - _TEXT_COLUMNS)
    lines = [before, "", _line(_HEADINGS), _line(rule)]
    for bare, ours in compared(report):
        lines += [_row(bare, bare), _row(ours, bare)]
    memory = ", ".join(f"{name} {mib:.0f} MiB" for name, mib in report.memory.items())
    return "\n".join([*lines, "", f"Memory afterwards (PSS): {memory}."])


def _row(result: Result, bare: Result) -> str:
    cells = (
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
    return _line(cells)


def _two_digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


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


def faults(report: Report) -> list[str]:
    """A line for each measurement that does not count, because requests failed or none was answered."""
    return [
        f"{result.program} failed {result.errors} requests of `{result.operation}` with {result.clients} clients"
        if result.errors
        else f"{result.program} answered no request of `{result.operation}` with {result.clients} clients"
        for result in report.results
        if result.errors or not result.rate
    ]
