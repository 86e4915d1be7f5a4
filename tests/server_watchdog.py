"""Ends a database server and removes its folder when the process that started it is gone.

Run as `python server_watchdog.py FOLDER` with a pipe as standard input. The starter writes a line whenever
the server changes: its process id, or 0 when there is none. The pipe's end means that the starter has ended,
however it ended (`kill -9` too), so what is still there is cleared away. A process of its own, because no
signal handler survives SIGKILL, and the kernel's own notice (PR_SET_PDEATHSIG) exists on Linux only and
fires already when the *thread* that started the server ends.
"""

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path


def child_processes(parent: int) -> list[int]:
    """Process ids of the direct children of `parent`, in no order; none where there is no /proc."""
    children = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # pid (name, which may hold blanks and brackets) state parent …
            fields = status.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == parent:
                children.append(int(status.parent.name))
    return children


def signal_processes(processes: list[int], number: signal.Signals) -> None:
    """Sends the signal to each process that still exists."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def kill_server(process: int) -> None:
    """Kills a server and its children, also those that are stopped and could not end by themselves."""
    children = child_processes(process)
    signal_processes([process, *children], signal.SIGKILL)


def main() -> None:
    """Follows the starter's lines until the pipe ends, then clears away."""
    folder = Path(sys.argv[1])
    server = 0
    for line in sys.stdin:
        server = int(line)
    if server:
        kill_server(server)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
