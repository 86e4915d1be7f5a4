"""Which numbers of the access log are in no row: each process run counts its requests from 1, so a hole is a loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.core.evidence.store import EvidenceStore

_PAGE = 20_000


class Intervals:
    """Runs of numbers, by process run; for what is archived, and for what a file holds."""

    def __init__(self) -> None:
        """Holds nothing."""
        self._by_boot: dict[str, list[list[int]]] = {}

    def add(self, boot_id: str, seq: int) -> None:
        """One number. Cheap where they come nearly in order, as the rows of the log do."""
        runs = self._by_boot.setdefault(boot_id, [])
        if runs and runs[-1][1] + 1 == seq:
            runs[-1][1] = seq
        else:
            runs.append([seq, seq])

    def add_all(self, told: Mapping[str, Sequence[Sequence[int]]]) -> None:
        """What `told` said elsewhere."""
        for boot_id, runs in told.items():
            self._by_boot.setdefault(boot_id, []).extend([int(first), int(last)] for first, last in runs)

    def told(self) -> dict[str, list[list[int]]]:
        """First and last numbers of the runs of each process run, merged and in order."""
        return {boot_id: _merged(runs) for boot_id, runs in sorted(self._by_boot.items())}

    def missing(self, boot_id: str, first: int, last: int) -> list[tuple[int, int]]:
        """The parts of a range that aren't in here."""
        found, start = [], first
        for run_first, run_last in _merged(self._by_boot.get(boot_id, [])):
            if run_first > last:
                break
            if run_first > start:
                found.append((start, run_first - 1))
            start = max(start, run_last + 1)
        return [*found, (start, last)] if start <= last else found


@dataclass(slots=True)
class Lost:
    """What is missing. `holes`: `{boot_id, from, to}`. `without_stop`: `{boot_id, last_seq}`."""

    holes: list[dict[str, Any]] = field(default_factory=list)
    without_stop: list[dict[str, Any]] = field(default_factory=list)
    is_complete: bool = True


async def find_lost(store: EvidenceStore, elsewhere: Intervals, max_rows: int | None) -> Lost:
    """Looks through the numbers of all process runs, the newest first. `elsewhere`: those that are archived."""
    lost, seen = Lost(), 0
    place: tuple[str, int] | None = None
    lowest: dict[str, int] = {}
    while rows := await store.numbers_below(place, _PAGE):
        for boot_id, seq in rows:
            if boot_id not in lowest:
                goes_on = not elsewhere.missing(boot_id, seq + 1, seq + 1)
                if not goes_on and not await store.has_stopped(boot_id, seq):
                    lost.without_stop.append({"boot_id": boot_id, "last_seq": seq})
            elif lowest[boot_id] != seq + 1:
                _note(lost, elsewhere, boot_id, seq + 1, lowest[boot_id] - 1)
            lowest[boot_id] = seq
        place, seen = rows[-1], seen + len(rows)
        if max_rows is not None and seen >= max_rows:
            lost.is_complete = False
            del lowest[place[0]]
            break
    for boot_id, seq in lowest.items():
        _note(lost, elsewhere, boot_id, 1, seq - 1)
    return lost


def _note(lost: Lost, elsewhere: Intervals, boot_id: str, first: int, last: int) -> None:
    parts = elsewhere.missing(boot_id, first, last)
    lost.holes += [{"boot_id": boot_id, "from": start, "to": end} for start, end in parts]


def _merged(runs: Sequence[Sequence[int]]) -> list[list[int]]:
    merged: list[list[int]] = []
    for first, last in sorted((run[0], run[1]) for run in runs):
        if merged and first <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], last)
        else:
            merged.append([first, last])
    return merged
