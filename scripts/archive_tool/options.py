"""What can be typed after `scripts/archive_audit.py`."""

import argparse
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.core.config import ROOT
from app.core.evidence.archiver import SEGMENT_ROWS
from app.core.evidence.runs import BATCH

DESTINATION = "data/archive"
RESTORED = "sqlite:data/restored.db"
_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_AGE = re.compile(r"([0-9]{1,9})([dhms])")
_LONGEST_DAYS = 365_000
_SCHEME = re.compile(r"[a-z][a-z0-9+]+://")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options. Exits with 2 for wrong use."""
    parser = argparse.ArgumentParser(
        prog="archive_audit.py",
        description="Moves old rows of the audit logs into files, proves them, and brings them back.",
        epilog="Exit codes: 0 done (also when interrupted: the next run goes on), 2 wrong use, 3 something is not what"
        " was sealed, 4 the place of the files or the anchor can't be read or written, 75 another run is active, 78 a"
        " setting can't be used, 1 anything else.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, told in _COMMANDS.items():
        one = commands.add_parser(name, help=told, description=f"{told}.", allow_abbrev=False)
        for group in _GROUPS[name]:
            group(one)
        one.add_argument("--json", action="store_true", help="print JSON for programs, one document a line")
        one.add_argument("--quiet", action="store_true", help="print nothing but faults")
    options = parser.parse_args(words)
    _require_sense(parser, options)
    return options


_COMMANDS = {
    "run": "Archive, then prune: what a nightly job does",
    "archive": "Write old rows into files and prove the files; remove nothing",
    "prune": "Remove from the database what is in proven files",
    "verify": "Check seals, files and manifests; without a database the files alone",
    "restore": "Bring archived rows back, into an SQLite file or into the log",
    "list": "List the segments of the archive",
    "query": "Print archived rows, one line of JSON each, the oldest first",
    "expire": "Remove files that were kept long enough",
    "seal": "Seal the logs now, make a key, or hand over to another key",
}


def _where(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--dest", type=_place, default=_place(DESTINATION), metavar="URI", help=f"({DESTINATION})"
    )
    one.add_argument("--stream", choices=("access", "changes", "all"), default="all", help="which log (all)")


def _old(days: int) -> Callable[[argparse.ArgumentParser], None]:
    def add(one: argparse.ArgumentParser) -> None:
        ages = one.add_mutually_exclusive_group()
        ages.add_argument(
            "--older-than",
            type=_age,
            default=timedelta(days=days),
            metavar="AGE",
            help=f"such as 90d, 12h ({days}d)",
        )
        ages.add_argument("--before", type=_instant, metavar="INSTANT", help="ISO 8601 with a zone")

    return add


def _pace(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--segment-rows", type=_number(100_000_000), default=SEGMENT_ROWS, help=f"({SEGMENT_ROWS})"
    )
    one.add_argument("--batch", type=_number(50_000), default=BATCH, help=f"rows at a time ({BATCH})")
    one.add_argument("--pause-ms", type=_number(60_000, 0), default=2, help="between two batches (2)")
    one.add_argument("--max-minutes", type=float, metavar="N", help="stop after the batch that reaches it")


def _dry(one: argparse.ArgumentParser) -> None:
    one.add_argument("--dry-run", action="store_true", help="say what would be done; write nothing anywhere")


def _reason(one: argparse.ArgumentParser) -> None:
    one.add_argument("--reason", metavar="TEXT", help="stands in the change log with all that is done")


def _copies(one: argparse.ArgumentParser) -> None:
    one.add_argument("--parquet", action="store_true", help="a copy of each file for DuckDB and its like")
    one.add_argument("--anonymise-ip", action="store_true", help="archive networks (/24, /48), not addresses")


def _room(one: argparse.ArgumentParser) -> None:
    one.add_argument("--vacuum", action="store_true", help="give the room of pruned rows back afterwards")


def _keys(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--public-key", type=Path, action="append", default=[], metavar="FILE", help="PEM; may be repeated"
    )


def _offline(one: argparse.ArgumentParser) -> None:
    one.add_argument("--offline", action="store_true", help="the files alone, also where there is a database")


def _anchor(one: argparse.ArgumentParser) -> None:
    one.add_argument("--anchor", metavar="URI", help="heads to compare with (AUDIT_ANCHOR_URI)")


def _what_to_restore(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--segment", action="append", default=[], metavar="NAME", help="name or id; may be repeated"
    )
    one.add_argument("--from", dest="since", type=_instant, metavar="INSTANT", help="segments from then on")
    one.add_argument("--to", dest="until", type=_instant, metavar="INSTANT", help="segments from before then")
    one.add_argument("--into", default=RESTORED, metavar="PLACE", help=f"sqlite:FILE or hot ({RESTORED})")


def _what_to_query(one: argparse.ArgumentParser) -> None:
    one.add_argument("--actor", metavar="ID", help="rows of this actor")
    one.add_argument("--entity", metavar="TABLE", help="changes of this table")
    one.add_argument("--pk", metavar="ID", help="changes of the record with this id")
    one.add_argument("--request", metavar="ID", help="rows of this request")
    one.add_argument("--from", dest="since", type=_instant, metavar="INSTANT", help="rows from then on")
    one.add_argument("--to", dest="until", type=_instant, metavar="INSTANT", help="rows before then")


def _seals(one: argparse.ArgumentParser) -> None:
    ways = one.add_mutually_exclusive_group()
    ways.add_argument("--make-key", type=Path, metavar="FILE", help="write a new key, and FILE.pub beside it")
    ways.add_argument("--hand-over-to", type=Path, metavar="FILE", help="the key that signs from now on")
    ways.add_argument(
        "--replace-key",
        action="store_true",
        help="go on with the configured key though the one before it is lost; verification tells of it",
    )


_GROUPS = {
    "run": (_where, _old(90), _pace, _dry, _copies, _room, _reason),
    "archive": (_where, _old(90), _pace, _dry, _copies, _reason),
    "prune": (_where, _pace, _dry, _room, _reason),
    "verify": (_where, _keys, _anchor, _offline),
    "restore": (_where, _what_to_restore, _pace, _offline, _reason),
    "list": (_where, _offline),
    "query": (_where, _what_to_query),
    "expire": (_where, _old(400), _dry, _reason),
    "seal": (_seals,),
}


def _require_sense(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """What one option alone can't tell."""
    if options.command == "restore" and options.into != "hot":
        kind, _, path = options.into.partition(":")
        if kind != "sqlite" or not path:
            parser.error(f"--into {options.into}: must be hot or sqlite:FILE")
    if options.command == "restore" and options.into == "hot" and options.offline:
        parser.error("--into hot needs the database: without --offline")
    if options.command == "query" and options.pk is not None and options.entity is None:
        parser.error("--pk needs --entity: ids are unique in their table only")


def _place(text: str) -> str:
    """Relative folders count from the project's root, wherever the command was started."""
    return text if _SCHEME.match(text) or Path(text).is_absolute() else str(ROOT / text)


def _age(text: str) -> timedelta:
    found = _AGE.fullmatch(text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else -1
    if not 0 <= seconds <= _LONGEST_DAYS * _UNITS["d"]:
        raise argparse.ArgumentTypeError(f"{text!r} is no age such as 90d, 12h, 30m or 0s")
    return timedelta(seconds=seconds)


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no instant with a zone such as 2030-01-31T12:00:00Z")
    return found.astimezone(UTC)


def _number(most: int, least: int = 1) -> Callable[[str], int]:
    def parse_number(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return parse_number
