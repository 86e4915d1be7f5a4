"""What can be typed after `scripts/generate_entities.py`; what comes back: 0, 1, 2 or 3."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from blueprint_tool.applying.reporting import as_json, status, told
from blueprint_tool.applying.run import Request, carry_out
from blueprint_tool.reading.faults import BlueprintFault
from blueprint_tool.refusals import Refused

ROOT = Path(__file__).resolve().parents[2]
FAULT, NOT_ALL = 1, 3
_EXIT_CODES = """exit codes:
  0  done; or there was nothing to do; with --check: blueprint and code agree
  1  a fault, told in a line each; nothing was written
  2  wrong use
  3  not everything could be merged (the rest is shown as a patch); with --check: they differ
"""


def main(words: Sequence[str]) -> int:
    """Carries out what was typed; the exit code."""
    options = _parse(words)
    request = Request(
        config=options.config,
        remove=options.remove,
        keep=options.keep,
        is_check=options.check,
        is_dry_run=options.dry_run,
        force=options.force,
    )
    try:
        result = carry_out(ROOT, request)
    except (BlueprintFault, Refused) as fault:
        return _fail(fault.lines)
    except OSError as error:
        return _fail([str(error)])
    sys.stdout.write(as_json(result, request) if options.json else told(result, request))
    return NOT_ALL if status(result, request) in {"stuck", "differs"} else 0


def _fail(lines: Sequence[str]) -> int:
    for line in lines:
        sys.stderr.write(f"{line}\n")
    return FAULT


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="generate_entities.py",
        description="Makes a module with its migration, tests and page of each entity in a blueprint, and merges later "
        "changes of the blueprint into them. docs/BLUEPRINT_GUIDE.md has the whole story.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the blueprint, such as entities.json")
    parser.add_argument("--dry-run", action="store_true", help="show every change as a diff, write nothing")
    parser.add_argument(
        "--check", action="store_true", help="say whether blueprint and code agree, write nothing"
    )
    parser.add_argument(
        "--remove",
        nargs="+",
        default=[],
        metavar="NAME",
        help="entities or modules to take away, with their tables",
    )
    parser.add_argument("--force", action="store_true", help="with --remove: what was made by hand goes too")
    parser.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="PATH",
        help="this file stays as it is and counts as merged; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args(words)
    if options.config is None and not options.remove:
        parser.error("--config or --remove is needed")
    if options.config is None and (options.check or options.keep):
        parser.error("--check and --keep need --config")
    if options.check and (options.dry_run or options.remove):
        parser.error("--check goes neither with --dry-run nor with --remove")
    if options.force and not options.remove:
        parser.error("--force is for --remove")
    return options
