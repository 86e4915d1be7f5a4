"""The repo that dev.py's tests play with."""

from pathlib import Path

import pytest

from tests.scripts.planted_repo import PlantedRepo


@pytest.fixture
def repo(tmp_path: Path) -> PlantedRepo:
    return PlantedRepo(tmp_path)
