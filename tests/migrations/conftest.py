from pathlib import Path

import pytest

from tests.backend import Backend
from tests.migrations.alembic_run import Migrations


@pytest.fixture
def empty(backend: Backend, tmp_path: Path) -> Migrations:
    """A database without any table."""
    return Migrations(backend.empty_database(), tmp_path / "versions")


@pytest.fixture
def migrated(backend: Backend, tmp_path: Path) -> Migrations:
    """A database at the program's head, without any row."""
    return Migrations(backend.new_database(), tmp_path / "versions")
