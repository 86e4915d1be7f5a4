"""What the audit suite found, as Markdown tables for people and as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from bench_tool import report as api
from bench_tool.audit_session import PAIRS, AuditReport, Comparison
from bench_tool.bulk import BulkResult
from bench_tool.figures import Result

_HEADINGS = (
    "operation", "clients", "program", "req/s", "ratio", "p50 ms", "p99 ms", "errors", "CPU us/req", "added",
    "database us/req", "added", "server", "database", "client", "others",
)  # fmt: skip
_BULK_HEADINGS = ("work", "without", "with", "added", "database without", "with", "added")
_TEXT_COLUMNS, _BULK_TEXT_COLUMNS = 3, 1


def as_markdown(report: AuditReport) -> str:
    """A table of requests and one of rows, each with a sentence before it."""
    plan = report.plan
    requests = (
        f"{api.surroundings(report.facts)}; {plan.rounds} round(s), each with a new process and {PAIRS} pairs of "
        f"turns of {plan.seconds} s. What was added is the median of the pairs; the rest are medians of the turns."
    )
    rows = [row for one in report.results for row in (_row(one.without), _row(one.whole, one))]
    bulk = f"Microseconds by row, in one process without a web server, medians of {plan.rounds} round(s)."
    return "\n".join(
        [
            *(requests, "", *api.table(_HEADINGS, rows, _TEXT_COLUMNS), ""),
            *(bulk, "", *api.table(_BULK_HEADINGS, map(_bulk_row, report.bulk), _BULK_TEXT_COLUMNS)),
        ]
    )


def added(ratio: float | None) -> str:
    """What came on top, in per cent of what there was without."""
    return "-" if ratio is None else f"{ratio - 1:+.1%}"


def _row(result: Result, compared: Comparison | None = None) -> Sequence[str]:
    """`compared`: of the whole program, which is told as a part of the form without."""
    rate, cpu, database = (compared.rate, compared.cpu, compared.database) if compared else (1.0, 1.0, 1.0)
    return (
        result.operation,
        str(result.clients),
        result.program.replace("_", " "),
        f"{result.rate:.0f}",
        "-" if rate is None else f"{rate:.2f}",
        f"{result.p50_ms:.1f}",
        f"{result.p99_ms:.1f}",
        str(result.errors),
        f"{result.cpu_us:.0f}",
        added(cpu),
        f"{result.database_us:.0f}",
        added(database),
        *(f"{part:.0%}" for part in (result.server, result.database, result.client, result.others)),
    )


def _bulk_row(result: BulkResult) -> Sequence[str]:
    figures = (
        *(result.without, result.whole, result.added),
        *(result.database_without, result.database_whole, result.database_added),
    )
    return (result.work, *(f"{figure:.1f}" for figure in figures))


def as_document(report: AuditReport) -> str:
    """The same as JSON."""
    document = {
        "plan": asdict(report.plan),
        "facts": dict(report.facts),
        "results": [asdict(one) for one in report.results],
        "bulk": [asdict(result) for result in report.bulk],
    }
    return json.dumps(document, indent=1)


def faults(report: AuditReport) -> list[str]:
    """A line for each measurement that does not count."""
    return api.faults(result for one in report.results for result in (one.without, one.whole))
