"""What is seen of a run: bars on a terminal, a line of JSON for each batch, sentences, or nothing."""

import json
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from app.core.evidence.models import AuditSegment

_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("{task.fields[rate]} rows/s"),
    TimeRemainingColumn(),
)


class Screen:
    """Standard output is for results, standard error for bars and faults."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        """Bars only where somebody looks at a terminal."""
        self._as_json = as_json
        self._quiet = quiet
        self._bars: Progress | None = None
        if sys.stderr.isatty() and not as_json and not quiet:
            self._bars = Progress(*_COLUMNS, console=Console(stderr=True), transient=True)
        self._tasks: dict[tuple[str, str], tuple[TaskID, float]] = {}
        self._done: dict[tuple[str, str], int] = {}

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def rows(self, what: str, segment: AuditSegment, count: int) -> None:
        """So many rows more of a segment are written, verified, pruned or restored: one batch."""
        self.progress(what, segment.name, count, segment.row_count)
        if self._as_json and not self._quiet:
            done, total = self._done[what, segment.name], segment.row_count
            self._print({"event": what, "segment": segment.name, "rows": done, "of": total})

    def progress(self, what: str, name: str, count: int, total: int) -> None:
        """So many more of `total`."""
        key = (what, name)
        done = self._done[key] = self._done.get(key, 0) + count
        if self._bars is not None:
            if key not in self._tasks:
                task = self._bars.add_task(f"{what} {name}", total=total, rate="-")
                self._tasks[key] = (task, time.monotonic())
            task, since = self._tasks[key]
            rate = done / max(1e-3, time.monotonic() - since)
            self._bars.update(task, completed=done, rate=f"{rate:,.0f}", visible=done < total)

    def line(self, text: str) -> None:
        """A sentence for people."""
        if not self._as_json and not self._quiet:
            print(text)

    def fault(self, text: str) -> None:
        """Something that is not as it should be: for people, also those who want to hear of nothing else."""
        if not self._as_json:
            print(text)

    def result(self, content: Mapping[str, Any]) -> None:
        """The outcome for programs: the last line."""
        if self._as_json:
            self._print(content)

    def data(self, line: bytes) -> None:
        """What was asked for, whoever reads it."""
        sys.stdout.buffer.write(line + b"\n")

    def warn(self, text: str) -> None:
        """What is no fault, and should be known."""
        if not self._quiet:
            sys.stderr.write(f"warning: {text}\n")

    def _print(self, content: Mapping[str, Any]) -> None:
        print(json.dumps(content), flush=True)
