"""Packages that only archives of some kinds need: what to install where one is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

_COMMAND = "pip install --require-hashes -r requirements-archive.txt"


@contextmanager
def needed_for(what: str) -> Iterator[None]:
    """Around an import. Raises ValueError with the command that installs the package where it isn't there."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ValueError(f"{what} needs the package {error.name}: {_COMMAND}") from None
