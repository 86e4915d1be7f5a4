"""What can be typed after `scripts/dev.py`; what comes back: 0, 2 for wrong use, else a line on stderr."""

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from dev_tool import quality, serving, testing
from dev_tool.processes import DevError, exit_code_of
from dev_tool.serving import DEFAULT_HOST, DEFAULT_PORT, LARGEST_PORT


def main(arguments: Sequence[str]) -> int:
    """Carries out one command; its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    options = _parse(arguments)
    try:
        if options.command == "run":
            serving.run(options.host, options.port)
        elif options.command == "test":
            testing.test(options.pytest_arguments, full=options.full, no_services=options.no_services)
        elif options.command == "check":
            return quality.check()
        else:
            quality.lock()
    except DevError as error:
        sys.stderr.write(f"dev.py: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("dev.py: interrupted\n")
        return exit_code_of(-signal.SIGINT)
    return 0


def _terminate(number: int, _frame: FrameType | None) -> None:
    """Leaves by an exception, so that a program that is being waited for is ended first."""
    raise SystemExit(exit_code_of(-number))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if options.command == "test":
        options.pytest_arguments = unknown
    elif unknown:
        parser.error(f"{options.command} does not know: {' '.join(unknown)}")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="Runs, tests and checks Tessera; what they need is installed into .venv first.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{run,test,check,lock}")
    _add_run(commands)
    _add_test(commands)
    commands.add_parser(
        "check",
        help="ruff, format, mypy strict, import contracts",
        description="Lints, compares the format, checks types strictly and the import contracts: all of "
        "them, even when one fails.",
        allow_abbrev=False,
    )
    commands.add_parser(
        "lock",
        help="write requirements*.txt anew from requirements*.in (needs uv)",
        description="Works the requirements*.in out into requirements*.txt, with hashes; needs uv.",
        allow_abbrev=False,
    )
    return parser


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = commands.add_parser(
        "run",
        help="migrate, seed and serve",
        description="Migrates and seeds the database, SQLite unless DATABASE_URL says otherwise, and serves. "
        "The environment is development unless ENVIRONMENT or .env says otherwise.",
        allow_abbrev=False,
    )
    run.add_argument("--host", default=DEFAULT_HOST, help=f"address to listen on ({DEFAULT_HOST})")
    run.add_argument("--port", type=_port, default=DEFAULT_PORT, help=f"port to listen on ({DEFAULT_PORT})")


def _add_test(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    test = commands.add_parser(
        "test",
        help="the whole suite on SQLite, PostgreSQL and Redis",
        usage="dev.py test [-h] [--full] [--no-services] [pytest arguments ...]",
        description="Runs the test suite. Everything else on the line goes to pytest, whose paths count from "
        "the repo's root.",
        allow_abbrev=False,
    )
    test.add_argument("--full", action="store_true", help="long proofs at full size")
    test.add_argument(
        "--no-services", action="store_true", help="only what needs neither PostgreSQL nor Redis"
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to {LARGEST_PORT})")
    return int(text)
