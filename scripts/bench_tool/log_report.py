"""What the log suite found, as Markdown tables for people and as JSON for programs."""

import json
from dataclasses import asdict
from http import HTTPStatus

from bench_tool import report as api
from bench_tool.log_session import TIMES, LogReport

USUAL_MS, FIRST_BYTE_MS, GROWTH_MIB = 200, 1000, 100
_HEADINGS = ("question", "call below `/audit`", "way to the rows", "ms")
_EXPORT_HEADINGS = (
    "export",
    "rows",
    "MiB",
    "s",
    "first byte ms",
    "memory before MiB",
    "peak MiB",
    "growth MiB",
)
_TEXT_COLUMNS, _EXPORT_TEXT_COLUMNS = 3, 1


def as_markdown(report: LogReport) -> str:
    """A table of questions and one of files. Questions in bold have to be quick."""
    before = (
        f"{api.surroundings(report.facts)}; {report.rows} rows in each log; medians of {TIMES} answers, one at a "
        f"time. Questions in bold are the usual ones."
    )
    rows = [
        (
            f"**{one.question.name}**" if one.question.usual else one.question.name,
            f"`{one.question.path}`",
            ", ".join(one.ways) or "-",
            f"{one.ms:.0f}" if one.status == HTTPStatus.OK else f"answered {one.status}",
        )
        for one in report.answers
    ]
    files = [
        (
            *(one.stream, str(one.rows), f"{one.mib:.0f}", f"{one.seconds:.1f}", f"{one.first_byte_ms:.0f}"),
            *(f"{mib:.0f}" for mib in (one.before_mib, one.peak_mib, one.peak_mib - one.before_mib)),
        )
        for one in report.exports
    ]
    return "\n".join(
        [
            *(before, "", *api.table(_HEADINGS, rows, _TEXT_COLUMNS), ""),
            *api.table(_EXPORT_HEADINGS, files, _EXPORT_TEXT_COLUMNS),
        ]
    )


def as_document(report: LogReport) -> str:
    """The same as JSON."""
    return json.dumps(asdict(report), indent=1)


def faults(report: LogReport) -> list[str]:
    """A line for each answer that failed, was slow where it has to be quick, or went through a whole log."""
    found = []
    for one in report.answers:
        if one.status != HTTPStatus.OK:
            found.append(f"`{one.question.name}` was answered with {one.status}")
        if one.question.usual and one.ms >= USUAL_MS:
            found.append(f"`{one.question.name}` took {one.ms:.0f} ms")
        if one.question.usual and any(way.startswith("Seq Scan") for way in one.ways):
            found.append(f"`{one.question.name}` went through a whole log")
    for file in report.exports:
        if not file.is_whole:
            found.append(f"the export of {file.stream} is not whole")
        if file.first_byte_ms >= FIRST_BYTE_MS:
            found.append(f"the first byte of the export of {file.stream} took {file.first_byte_ms:.0f} ms")
        if file.peak_mib - file.before_mib >= GROWTH_MIB:
            growth = file.peak_mib - file.before_mib
            found.append(f"the export of {file.stream} took {growth:.0f} MiB of memory")
    return found
