"""Processor time and memory of processes and their descendants, as the kernel tells them in /proc."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# Positions behind the name in /proc/<pid>/stat (proc(5) counts from 1, and the name is its second).
_PARENT, _OWN, _CHILDREN = 1, slice(11, 13), slice(13, 15)
# In the first line of /proc/stat: user nice system idle iowait irq softirq steal; guests are part of user.
_IDLE, _ALL = slice(3, 5), slice(0, 8)


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """A process's parent and the ticks that it, and its children that have ended, have used."""

    parent: int
    ticks: int


def parse_process(stat: str) -> ProcessTimes:
    """The line of /proc/<pid>/stat. The name in it may hold blanks and brackets."""
    fields = stat.rpartition(")")[2].split()
    return ProcessTimes(int(fields[_PARENT]), sum(map(int, fields[_OWN])) + sum(map(int, fields[_CHILDREN])))


def parse_machine(stat: str) -> int:
    """The ticks that all processors together were busy, from /proc/stat."""
    values = [int(word) for word in stat.splitlines()[0].split()[1:]]
    return sum(values[_ALL]) - sum(values[_IDLE])


def parse_memory(rollup: str) -> int:
    """The proportional share (PSS) in KiB, from /proc/<pid>/smaps_rollup."""
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


def family(processes: Mapping[int, ProcessTimes], root: int) -> set[int]:
    """The process and all its descendants."""
    found, new = {root}, {root}
    while new:
        new = {pid for pid, process in processes.items() if process.parent in new} - found
        found |= new
    return found


def processes() -> dict[int, ProcessTimes]:
    """Every process of the machine."""
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # it has just ended
                found[int(folder.name)] = parse_process((folder / "stat").read_text(errors="replace"))
    return found


def seconds_of(found: Mapping[int, ProcessTimes], root: int) -> float:
    """Processor time of the process and its descendants."""
    ticks = sum(found[pid].ticks for pid in family(found, root) if pid in found)
    return ticks / TICKS_PER_SECOND


def machine_seconds() -> float:
    """Processor time that everybody on this machine has used."""
    return parse_machine((PROC / "stat").read_text()) / TICKS_PER_SECOND


def memory_mib(root: int) -> float:
    """Memory of the process and its descendants, shared pages divided among those who share them."""
    members = family(processes(), root)
    total = 0
    for pid in members:
        with contextlib.suppress(OSError, StopIteration):  # it has just ended
            total += parse_memory((PROC / str(pid) / "smaps_rollup").read_text())
    return total / 1024


def parse_status(status: str, name: str) -> float:
    """A size of /proc/<pid>/status in MiB: `VmRSS`, `VmHWM`."""
    line = next(line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def resident_mib(pid: int) -> float:
    """The resident set of one process, now."""
    return parse_status((PROC / str(pid) / "status").read_text(), "VmRSS")


def peak_mib(pid: int) -> float:
    """The largest resident set of one process since `forget_peak`."""
    return parse_status((PROC / str(pid) / "status").read_text(), "VmHWM")


def forget_peak(pid: int) -> None:
    """The present resident set is the largest one from now on (proc(5), clear_refs)."""
    (PROC / str(pid) / "clear_refs").write_text("5")
