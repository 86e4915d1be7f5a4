"""`python seeds/seed_create_app.py`: demo data for development, on a database that is migrated on the way.

What there is to sow is found in this folder, each kind in a file of its own; `--<kind> N` says how much of it.
May be repeated: it adds what is missing.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

if __package__ in {None, ""}:  # started as a script, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.progress import Progress as Bars

from app.auth.passwords import PasswordHasher
from app.composition import open_database
from app.core.config import RefusedStart, Settings, load_settings
from app.core.context import as_operator
from app.core.errors import AppError
from app.core.keys import Keyring
from app.core.logging import configure
from app.migrations import upgrade
from app.registry import discover as discover_modules
from app.startup import EXIT_REFUSED, seed
from seeds.field import Field, Progress, Seed, discover
from seeds.users import PASSWORD


class Silence:
    """Where nobody looks at a terminal."""

    def advance(self, steps: int) -> None:
        """Says nothing."""


class Bar:
    """One line of the progress display."""

    def __init__(self, bars: Bars, seed: Seed, count: int) -> None:
        """Begins at nothing."""
        self._bars = bars
        self._task = bars.add_task(seed.name, total=count)

    def advance(self, steps: int) -> None:
        """Moves on."""
        self._bars.advance(self._task, steps)


@contextmanager
def shown() -> Iterator[Bars | None]:
    """The progress display, if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with Bars(console=Console(stderr=True)) as bars:
        yield bars


def for_development(settings: Settings) -> Settings:
    """The same settings. Raises RefusedStart where people work with what is in the database."""
    if settings.is_production:
        raise RefusedStart(["demo data is for development; ENVIRONMENT is production (or not known)"])
    return settings


async def sow(settings: Settings, counts: dict[str, int]) -> dict[str, int]:
    """Migrates, seeds what every database has, then sows; returns how many rows of each kind were made."""
    await upgrade(settings.database)
    catalog = discover_modules()
    database, hasher = open_database(settings, Keyring(["no list is served here"])), PasswordHasher()
    made: dict[str, int] = {}
    try:
        await seed(database, catalog, hasher, settings)
        field = Field(database, catalog, hasher, settings.password_min_length)
        with as_operator(), shown() as bars:
            for one in discover():
                progress: Progress = Silence() if bars is None else Bar(bars, one, counts[one.name])
                made[one.name] = await one.sow(field, counts[one.name], progress)
    finally:
        hasher.close()
        await database.dispose()
    return made


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """An option for each kind of data that is there. Exits with 2 for wrong use."""
    parser = argparse.ArgumentParser(
        description="Fills the database of the settings with believable demo data."
    )
    for one in discover():
        parser.add_argument(
            f"--{one.name}",
            type=_count,
            default=one.count,
            metavar="N",
            help=f"{one.name}, {one.count} by default",
        )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    return parser.parse_args(words)


def _count(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 1_000_000:  # noqa: PLR2004
        raise argparse.ArgumentTypeError("must be from 0 to 1000000")
    return number


def main(words: Sequence[str] | None = None) -> int:
    """Runs; returns the exit code: 0, 78 for a refusal, otherwise 1 with one line."""
    options = arguments(words)
    try:
        settings = for_development(load_settings())
        configure(level="WARNING", json_console=settings.json_console, folder=None)
        made = asyncio.run(sow(settings, {one.name: getattr(options, one.name) for one in discover()}))
    except RefusedStart as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"refused to start: {line}\n")
        return EXIT_REFUSED
    except AppError as error:
        sys.stderr.write(f"error: {error.detail}\n")
        return 1
    except (OSError, RuntimeError, ValueError) as error:
        sys.stderr.write(f"error: {error}".splitlines()[0] + "\n")
        return 1
    if options.json:
        print(json.dumps(made))
    elif any(made.values()):
        print("Made: " + ", ".join(f"{count} {name}" for name, count in made.items() if count))
        print(f"Everybody's password: {PASSWORD}")
    else:
        print("Nothing to do: everything is there.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
