"""The archive suite's report: tables for people, JSON for programs, and what is wrong."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from bench_tool import report as api
from bench_tool.archive_session import ArchiveReport, Beside
from bench_tool.archive_steps import Step

ARCHIVE_RATIO, RUN_RATIO, GROWTH_MIB, P99_MS = 0.12, 0.05, 100.0, 300.0
_HEADINGS = (
    "step",
    "log",
    "rows",
    "s",
    "rows/s",
    "of COPY",
    "CPU us/row",
    "database us/row",
    "CPU ratio",
    "memory MiB",
)
_WAIT_HEADINGS = ("database", "when", "rows/s", "requests", "failed", "p50 ms", "p99 ms", "longest ms")
_TEXT_COLUMNS, _WAIT_TEXT_COLUMNS = 2, 2


def as_markdown(report: ArchiveReport) -> str:
    """A table of steps and one of who waited."""
    before = (
        f"{api.surroundings(report.facts)}; {report.rows} rows in each log. COPY is discarded; the ratios are to it. "
        "Memory: the command's peak, above that of a command with nothing to do."
    )
    limit = report.limit
    rows = [_row(step, limit) for step in (limit, *report.steps)]
    shares = f"{report.whole_rate / limit.rate:.3f}", f"{limit.both_us / report.whole_us:.3f}"
    whole = ("all three", limit.stream, "", "", f"{report.whole_rate:.0f}")
    rows.append((*whole, shares[0], f"{report.whole_us:.1f} in all", "", shares[1], ""))
    waits = [line for one in report.beside for line in _waits(one)]
    after = "A whole `run` while somebody writes twenty times a second:"
    steps = api.table(_HEADINGS, rows, _TEXT_COLUMNS)
    return "\n".join(
        [before, "", *steps, "", after, "", *api.table(_WAIT_HEADINGS, waits, _WAIT_TEXT_COLUMNS)]
    )


def _row(step: Step, limit: Step) -> Sequence[str]:
    return (
        *(step.name, step.stream, str(step.rows), f"{step.seconds:.1f}", f"{step.rate:.0f}"),
        *(f"{step.rate / limit.rate:.3f}", f"{step.cpu_us:.1f}", f"{step.database_us:.1f}"),
        *(f"{limit.both_us / step.both_us:.3f}", f"{step.growth_mib:.0f}"),
    )


def _waits(one: Beside) -> Iterator[Sequence[str]]:
    moments = (("alone", "", one.alone), (f"run over {one.step.rows} rows", f"{one.step.rate:.0f}", one.wait))
    for when, rate, wait in moments:
        times = (f"{ms:.0f}" for ms in (wait.p50_ms, wait.p99_ms, wait.longest_ms))
        yield (one.database, when, rate, str(wait.requests), str(wait.failed), *times)


def as_document(report: ArchiveReport) -> str:
    """The same as JSON."""
    rates = {step.name: step.rate for step in report.steps} | {"run": report.whole_rate}
    ratios = {name: rate / report.limit.rate for name, rate in rates.items()}
    return json.dumps({**asdict(report), "ratios": ratios}, indent=1)


def faults(report: ArchiveReport) -> list[str]:
    """A line for each goal that was missed: rates as parts of COPY's, memory, who waited how long."""
    by_name = {step.name: step for step in report.steps}
    found = [
        f"{name} does {rate / report.limit.rate:.3f} of COPY's rows a second instead of {goal}"
        for name, rate, goal in (
            ("archive", by_name["archive"].rate, ARCHIVE_RATIO),
            ("a whole run", report.whole_rate, RUN_RATIO),
        )
        if rate / report.limit.rate < goal
    ]
    found += [
        f"{step.name} took {step.growth_mib:.0f} MiB of memory"
        for step in report.steps
        if step.growth_mib >= GROWTH_MIB
    ]
    for one in report.beside:
        if one.wait.failed or not one.wait.requests:
            found.append(f"on {one.database}, {one.wait.failed} of {one.wait.requests} requests failed")
        if one.wait.p99_ms >= P99_MS:
            found.append(f"on {one.database}, writers waited {one.wait.p99_ms:.0f} ms (p99)")
    return found
