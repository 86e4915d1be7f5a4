"""What demo data has in common: where it is sown, how much of it, and in which order."""

import pkgutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from graphlib import TopologicalSorter
from importlib import import_module
from random import Random
from typing import Protocol

import seeds
from app.auth.passwords import PasswordHasher
from app.core.clock import now
from app.core.database import Database
from app.core.module import Catalog
from app.core.transaction import UnitOfWork

HISTORY = timedelta(days=730)  # demo data looks as if it had come about in two years


class Progress(Protocol):
    """Hears how far the work is."""

    def advance(self, steps: int) -> None:
        """So many more rows are there."""


@dataclass(frozen=True, slots=True)
class Field:
    """The database that is sown, and what is needed for it."""

    database: Database
    catalog: Catalog
    hasher: PasswordHasher
    password_min_length: int

    def unit_of_work(self) -> UnitOfWork:
        """A new one; each step is one transaction."""
        return UnitOfWork(self.database)

    def random(self, name: str) -> Random:
        """Chance that falls the same way each time."""
        return Random(f"tessera:{name}")


Sow = Callable[[Field, int, Progress], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Seed:
    """One kind of demo data. `sow` makes rows until there are so many, and returns how many it made."""

    name: str
    sow: Sow
    count: int
    after: tuple[str, ...] = ()


def discover() -> list[Seed]:
    """`SEED` of every file in this folder that has one, in order; those whose module is gone are left out."""
    found: dict[str, Seed] = {}
    for info in pkgutil.iter_modules(seeds.__path__, "seeds."):
        try:
            seed = getattr(import_module(info.name), "SEED", None)
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("app.modules."):
                raise
            continue
        if isinstance(seed, Seed):
            found[seed.name] = seed
    order = TopologicalSorter({seed.name: seed.after for seed in found.values()}).static_order()
    return [found[name] for name in order if name in found]


def instants(random: Random, count: int) -> Sequence[datetime]:
    """So many moments of the past, the oldest first."""
    end = now()
    return sorted(end - HISTORY * random.random() for _ in range(count))


def words(text: str) -> list[str]:
    """A list that is easier to read, and to change, without quotes and commas."""
    return text.split()
