"""What can be typed after `scripts/bench.py`; what comes back: 0, 1 with a line on stderr, 2 for wrong use."""

import argparse
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bench_tool.operations import DEFAULT, NAMES
from bench_tool.plan import Plan
from dev_tool.processes import DevError, exit_code_of
from dev_tool.virtual_environment import RUNTIME, VirtualEnvironment
from tests.server_binaries import ServerMissingError, installation_command
from tests.server_process import ServerError

MOST = 1000


def main(arguments: Sequence[str]) -> int:
    """Measures and prints; the exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    plan, as_json = _parse(arguments)
    try:
        _require_programs()
        _enter_virtual_environment(arguments)
        return _measure(plan, as_json=as_json)
    except (DevError, ServerError, ServerMissingError) as error:
        sys.stderr.write(f"bench.py: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("bench.py: interrupted\n")
        return exit_code_of(-signal.SIGINT)


def _measure(plan: Plan, *, as_json: bool) -> int:
    from bench_tool.report import as_document, as_markdown, faults  # noqa: PLC0415
    from bench_tool.session import run  # noqa: PLC0415  needs what only .venv has

    report = run(plan)
    print(as_document(report) if as_json else as_markdown(report), flush=True)
    found = faults(report)
    for line in found:
        sys.stderr.write(f"bench.py: {line}\n")
    return 1 if found else 0


def _terminate(number: int, _frame: FrameType | None) -> None:
    """Leaves by an exception, so that whatever was started is ended first."""
    raise SystemExit(exit_code_of(-number))


def _require_programs() -> None:
    if not Path("/proc/self/stat").exists():
        raise DevError("CPU time and memory are read from /proc, which only Linux has.")
    if shutil.which("wrk") is None:
        command = installation_command("wrk", "wrk")
        raise DevError(f"wrk, which sends the requests, is missing. Install it with: {command}")


def _enter_virtual_environment(arguments: Sequence[str]) -> None:
    """Goes on in the interpreter of `.venv`; returns where this is the one."""
    environment = VirtualEnvironment()
    if Path(sys.prefix).resolve() == environment.folder.resolve():
        return
    with contextlib.redirect_stdout(sys.stderr):
        environment.ensure(RUNTIME)
    _become(str(environment.python), arguments)


def _become(python: str, arguments: Sequence[str]) -> NoReturn:
    script = str(Path(__file__).resolve().parents[1] / "bench.py")
    os.execv(python, [python, script, *arguments])  # noqa: S606 - no shell is wanted


def _parse(arguments: Sequence[str]) -> tuple[Plan, bool]:
    options = _parser().parse_args(arguments)
    plan = Plan(
        operations=options.ops,
        concurrency=options.concurrency,
        rounds=options.rounds,
        seconds=options.seconds,
        workers=options.workers,
    )
    return plan, bool(options.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench.py",
        description="Measures the program beside a bare FastAPI + asyncpg app on the same PostgreSQL tables "
        "and prints a table with ratios. Starts, and ends, its own servers on 127.0.0.1.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--ops", type=_operations, default=DEFAULT, help=f"comma list of {', '.join(NAMES)} (default: all)"
    )
    parser.add_argument(
        "--concurrency", type=_numbers, default=(1, 32), help="comma list of numbers of clients (1,32)"
    )
    parser.add_argument("--rounds", type=_number, default=3, help="turns for each program (3)")
    parser.add_argument("--seconds", type=_number, default=3, help="length of a turn, whole seconds (3)")
    parser.add_argument("--workers", type=_number, default=1, help="processes of each program (1)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser


def _operations(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in names if name not in NAMES]:
        raise argparse.ArgumentTypeError(f"there is no operation {unknown[0]!r}, only {', '.join(NAMES)}")
    return names


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(_number(part) for part in text.split(",")))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST}")
    return int(text)
