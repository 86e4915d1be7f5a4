"""`dev.py check` and `dev.py lock`: nothing is left out, and what fails is named."""

import re

import pytest

from dev_tool.quality import EXPORT, LOCKED
from tests.scripts.planted_repo import ROOT, PlantedRepo


def test_clean_check_runs_everything_and_says_so(repo: PlantedRepo) -> None:
    answer = repo.dev("check")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert repo.calls[2:] == [
        "ruff check .",
        "ruff format --check .",
        "mypy",
        "pytest tests/architecture -q -p no:cacheprovider -n 0",
    ]
    assert len(re.findall(r"clean +\d+\.\d s", answer.stdout)) == 4


@pytest.mark.parametrize(
    ("failing", "named"),
    [
        ("check=1", "ruff"),
        ("format=1", "format"),
        ("mypy=2", "mypy"),
        ("pytest=1", "import contracts"),
        ("ruff=1,mypy=1", "ruff, format, mypy"),
    ],
)
def test_failed_check_is_named_and_stops_no_other(repo: PlantedRepo, failing: str, named: str) -> None:
    answer = repo.dev("check", variables={"FAILS": failing})
    assert answer.returncode == 1
    assert answer.stderr == f"dev.py: not clean: {named}\n"
    assert len(repo.calls[2:]) == 4
    assert answer.stdout.count("FAILED") == len(named.split(", "))


def test_lock_exports_all_files_in_order(repo: PlantedRepo) -> None:
    assert repo.dev("lock").returncode == 0
    options = " ".join(EXPORT)
    assert repo.calls == [f"uv {options} {name}.in -o {name}.txt" for name in LOCKED]


def test_lock_without_uv_or_solution_is_told(repo: PlantedRepo) -> None:
    failed = repo.dev("lock", variables={"UV_EXIT": "1"})
    assert failed.returncode == 1
    assert failed.stderr.startswith("dev.py: requirements.txt was left as it was: uv ended with 1")
    (repo.programs / "uv").unlink()
    missing = repo.dev("lock")
    assert missing.returncode == 1
    assert missing.stderr.startswith("dev.py: `lock` needs uv, which is not on PATH")
    assert len(missing.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", LOCKED)
def test_headers_of_the_requirements_document_the_lock_command(name: str) -> None:
    command = f"#   uv {' '.join(EXPORT)} {name}.in -o {name}.txt"
    assert command in (ROOT / f"{name}.in").read_text().splitlines()
