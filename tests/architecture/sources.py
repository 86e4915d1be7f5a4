"""The program as text, with its tests and migrations."""

from app.core.config import ROOT
from app.doctor import sources
from app.doctor.sources import Import, Source, Sources

__all__ = ["ROOT", "Import", "Source", "Sources", "read_sources"]


def read_sources() -> Sources:
    """The files of the program and of its tests."""
    return sources.read_sources("app", "alembic", "tests")
