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

from bench_tool.modules_blueprint import MOST as MOST_MODULES
from bench_tool.operations import AUDIT_NAMES, NAMES
from bench_tool.plan import Plan
from dev_tool.processes import DevError, exit_code_of
from dev_tool.virtual_environment import DEVELOPMENT, RUNTIME, VirtualEnvironment
from tests.server_binaries import ServerMissingError, installation_command
from tests.server_process import ServerError

API, AUDIT, LOG, ARCHIVE, MODULES = "api", "audit", "log", "archive", "modules"
# What can be measured with each suite; the questions to the logs are always asked together.
OPERATIONS = {API: NAMES, AUDIT: AUDIT_NAMES, LOG: (), ARCHIVE: (), MODULES: ()}
MOST, MOST_ROWS = 1000, 10_000_000


def main(arguments: Sequence[str]) -> int:
    """Measures and prints; the exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    options = _parse(arguments)
    try:
        _require_programs(needs_wrk=options.suite in {API, AUDIT, MODULES})
        # The generator formats what it makes, with a tool of developers.
        _enter_virtual_environment(arguments, DEVELOPMENT if options.suite == MODULES else RUNTIME)
        return _measure(options)
    except (DevError, ServerError, ServerMissingError) as error:
        sys.stderr.write(f"bench.py: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("bench.py: interrupted\n")
        return exit_code_of(-signal.SIGINT)


def _measure(options: argparse.Namespace) -> int:
    """One suite; each needs what only .venv has."""
    plan = _plan(options)
    if options.suite == AUDIT:
        from bench_tool import audit_report, audit_session  # noqa: PLC0415

        audited = audit_session.run(plan)
        write = audit_report.as_document if options.json else audit_report.as_markdown
        return _finish(write(audited), audit_report.faults(audited))
    if options.suite == LOG:
        from bench_tool import log_report, log_session  # noqa: PLC0415

        asked = log_session.run(options.rows)
        tell = log_report.as_document if options.json else log_report.as_markdown
        return _finish(tell(asked), log_report.faults(asked))
    if options.suite == ARCHIVE:
        from bench_tool import archive_report, archive_session  # noqa: PLC0415

        archived = archive_session.run(options.rows)
        print_it = archive_report.as_document if options.json else archive_report.as_markdown
        return _finish(print_it(archived), archive_report.faults(archived))
    if options.suite == MODULES:
        from bench_tool import modules_report, modules_session  # noqa: PLC0415

        grown = modules_session.run(plan, options.sizes)
        say = modules_report.as_document if options.json else modules_report.as_markdown
        return _finish(say(grown), modules_report.faults(grown))
    from bench_tool import report, session  # noqa: PLC0415

    compared = session.run(plan)
    show = report.as_document if options.json else report.as_markdown
    return _finish(show(compared), report.faults(compared.results))


def _finish(text: str, faults: Sequence[str]) -> int:
    print(text, flush=True)
    for line in faults:
        sys.stderr.write(f"bench.py: {line}\n")
    return 1 if faults else 0


def _terminate(number: int, _frame: FrameType | None) -> None:
    """Leaves by an exception, so that whatever was started is ended first."""
    raise SystemExit(exit_code_of(-number))


def _require_programs(*, needs_wrk: bool) -> None:
    if not Path("/proc/self/stat").exists():
        raise DevError("CPU time and memory are read from /proc, which only Linux has.")
    if needs_wrk and shutil.which("wrk") is None:
        command = installation_command("wrk", "wrk")
        raise DevError(f"wrk, which sends the requests, is missing. Install it with: {command}")


def _enter_virtual_environment(arguments: Sequence[str], needs: tuple[str, ...]) -> None:
    """Goes on in the interpreter of `.venv`; returns where this is the one."""
    environment = VirtualEnvironment()
    if Path(sys.prefix).resolve() == environment.folder.resolve():
        return
    with contextlib.redirect_stdout(sys.stderr):
        environment.ensure(needs)
    _become(str(environment.python), arguments)


def _become(python: str, arguments: Sequence[str]) -> NoReturn:
    script = str(Path(__file__).resolve().parents[1] / "bench.py")
    os.execv(python, [python, script, *arguments])  # noqa: S606 - no shell is wanted


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(arguments)
    known = OPERATIONS[options.suite]
    options.ops = options.ops or known
    if unknown := [name for name in options.ops if name not in known]:
        there = f"only {', '.join(known)}" if known else "they can't be chosen"
        parser.error(f"in the suite {options.suite} there is no operation {unknown[0]!r}, {there}")
    if options.suite == AUDIT and options.workers != 1:
        parser.error("the suite audit compares programs of one worker each")
    if options.suite == MODULES and (options.workers != 1 or len(options.concurrency or (1,)) != 1):
        parser.error("the suite modules measures one worker, with one number of clients")
    return options


def _plan(options: argparse.Namespace) -> Plan:
    return Plan(
        operations=options.ops,
        concurrency=options.concurrency or ((1, 32) if options.suite == API else (32,)),
        rounds=options.rounds,
        seconds=options.seconds,
        workers=options.workers,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench.py",
        description="Measures the program and prints a table. Starts, and ends, its own servers on 127.0.0.1. "
        "Suites: api, beside a bare FastAPI + asyncpg app on the same PostgreSQL tables; audit, beside itself "
        "without its logs; log, the auditor's questions over large logs; archive, the way of old rows into files; "
        "modules, what blueprints cost to generate, to start and to call.",
        allow_abbrev=False,
    )
    parser.add_argument("--suite", choices=tuple(OPERATIONS), default=API, help="what is measured (api)")
    parser.add_argument(
        "--ops",
        type=_names,
        help=f"comma list of {', '.join(NAMES)}; for audit of {', '.join(AUDIT_NAMES)} (all)",
    )
    parser.add_argument(
        "--concurrency",
        type=_numbers,
        help="comma list of numbers of clients (1,32; for audit and modules 32)",
    )
    parser.add_argument("--rounds", type=_number, default=3, help="turns for each program (3)")
    parser.add_argument("--seconds", type=_number, default=3, help="length of a turn, whole seconds (3)")
    parser.add_argument("--workers", type=_number, default=1, help="processes of each program (1)")
    parser.add_argument(
        "--rows", type=_rows, default=1_000_000, help="of each log, for the suites log and archive (1000000)"
    )
    parser.add_argument(
        "--sizes",
        type=_sizes,
        default=(10, 25, 50, 100),
        help="comma list of numbers of modules, for the suite modules (10,25,50,100)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.split(",")))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(_number(part) for part in text.split(",")))


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(_whole(part, MOST_MODULES) for part in text.split(",")))


def _number(text: str) -> int:
    return _whole(text, MOST)


def _rows(text: str) -> int:
    return _whole(text, MOST_ROWS)


def _whole(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {most}")
    return int(text)
