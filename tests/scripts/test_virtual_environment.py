"""The `.venv` that dev.py makes: when it is filled, when it is made anew, what is said when it can't be."""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from dev_tool import virtual_environment
from dev_tool.processes import DevError
from dev_tool.virtual_environment import DEVELOPMENT, RUNTIME, VirtualEnvironment
from tests.scripts.planted_repo import PlantedRepo

MADE = "uv venv"
FILLED = "uv pip install"


@pytest.fixture
def environment(repo: PlantedRepo, monkeypatch: pytest.MonkeyPatch) -> VirtualEnvironment:
    for name, value in repo.variables().items():
        monkeypatch.setenv(name, value)
    return VirtualEnvironment(repo.root)


def steps(repo: PlantedRepo) -> list[str]:
    """What was done to the environment since the last question: MADE, FILLED."""
    return [step for call in repo.calls for step in (MADE, FILLED) if call.startswith(step)]


def test_fresh_clone_is_made_and_filled_once(environment: VirtualEnvironment, repo: PlantedRepo) -> None:
    environment.ensure(DEVELOPMENT)
    calls = repo.calls
    assert calls[0].startswith("uv venv --quiet --allow-existing --python ")
    assert calls[1] == (
        "uv pip install --quiet --python .venv/bin/python -r requirements.txt -r requirements-dev.txt"
    )
    for files in (DEVELOPMENT, RUNTIME, DEVELOPMENT):
        environment.ensure(files)
    assert steps(repo) == []


def test_stamp_holds_digests_and_version(environment: VirtualEnvironment, repo: PlantedRepo) -> None:
    environment.ensure(RUNTIME)
    stamp = json.loads((repo.root / ".venv" / "tessera-stamp.json").read_text())
    assert stamp.keys() == {"folder", "python", "requirements.txt"}
    assert stamp["python"] == ".".join(map(str, sys.version_info[:3]))
    assert len(stamp["requirements.txt"]) == 64


@pytest.mark.parametrize("changed", DEVELOPMENT)
def test_changed_requirements_are_installed_again(
    environment: VirtualEnvironment, repo: PlantedRepo, changed: str
) -> None:
    environment.ensure(DEVELOPMENT)
    assert steps(repo) == [MADE, FILLED]
    (repo.root / changed).write_text("# something else\n")
    environment.ensure(DEVELOPMENT)
    assert steps(repo) == [FILLED]
    environment.ensure(DEVELOPMENT)
    assert steps(repo) == []


def test_run_and_test_take_turns_without_installing(
    environment: VirtualEnvironment, repo: PlantedRepo
) -> None:
    environment.ensure(RUNTIME)
    environment.ensure(DEVELOPMENT)
    assert steps(repo) == [MADE, FILLED, FILLED]
    (repo.root / "requirements.txt").write_text("# newer\n")
    environment.ensure(RUNTIME)
    environment.ensure(DEVELOPMENT)  # the development file is as it was installed
    assert steps(repo) == [FILLED]


def test_touched_but_equal_requirements_are_not_installed_again(
    environment: VirtualEnvironment, repo: PlantedRepo
) -> None:
    environment.ensure(RUNTIME)
    os.utime(repo.root / "requirements.txt", (0, 0))
    assert steps(repo) == [MADE, FILLED]
    environment.ensure(RUNTIME)
    assert steps(repo) == []


def test_failed_installation_is_told_and_made_anew(
    environment: VirtualEnvironment,
    repo: PlantedRepo,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    environment.ensure(RUNTIME)
    (repo.root / "requirements.txt").write_text("# newer\n")
    monkeypatch.setenv("UV_EXIT", "2")
    with pytest.raises(DevError, match=r"installing requirements\.txt failed \(exit 2\)"):
        environment.ensure(RUNTIME)
    assert steps(repo) == [MADE, FILLED, FILLED]
    monkeypatch.delenv("UV_EXIT")
    environment.ensure(RUNTIME)
    assert steps(repo) == [MADE, FILLED]
    assert "made anew: an installation into it was broken off" in capfd.readouterr().out


def spoil_interpreter(folder: Path) -> None:
    for name in ("python", "python3", f"python3.{sys.version_info.minor}"):
        with contextlib.suppress(FileNotFoundError):
            (folder / "bin" / name).unlink()
    (folder / "bin" / "python").symlink_to("/nowhere/python")


def spoil_configuration(folder: Path) -> None:
    (folder / "pyvenv.cfg").unlink()


def spoil_place(folder: Path) -> None:
    stamp = json.loads((folder / "tessera-stamp.json").read_text())
    (folder / "tessera-stamp.json").write_text(json.dumps({**stamp, "folder": "/elsewhere/.venv"}))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_interpreter, "it is incomplete, or its Python is gone"),
        (spoil_configuration, "it is incomplete, or its Python is gone"),
        (spoil_place, "it was moved here from another folder"),
    ],
)
def test_unusable_environment_is_made_anew(
    environment: VirtualEnvironment,
    repo: PlantedRepo,
    capfd: pytest.CaptureFixture[str],
    spoil: object,
    reason: str,
) -> None:
    assert callable(spoil)
    environment.ensure(RUNTIME)
    assert steps(repo) == [MADE, FILLED]
    spoil(repo.root / ".venv")
    environment.ensure(RUNTIME)
    assert steps(repo) == [MADE, FILLED]
    assert f".venv is made anew: {reason}" in capfd.readouterr().out


def test_moved_clone_is_made_anew(environment: VirtualEnvironment, repo: PlantedRepo) -> None:
    environment.ensure(RUNTIME)
    assert steps(repo) == [MADE, FILLED]
    moved = repo.root.rename(repo.root.with_name("moved"))
    VirtualEnvironment(moved).ensure(RUNTIME)
    assert steps(repo) == [MADE, FILLED]


def test_other_python_makes_it_anew(
    environment: VirtualEnvironment,
    repo: PlantedRepo,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    environment.ensure(RUNTIME)
    monkeypatch.setattr(virtual_environment, "OUR_VERSION", "3.99")
    environment.ensure(RUNTIME)
    assert steps(repo) == [MADE, FILLED, MADE, FILLED]
    assert ", and this is 3.99" in capfd.readouterr().out


def test_newer_patch_of_the_same_python_installs_again(
    environment: VirtualEnvironment, repo: PlantedRepo
) -> None:
    environment.ensure(RUNTIME)
    stamp_file = repo.root / ".venv" / "tessera-stamp.json"
    stamp_file.write_text(json.dumps({**json.loads(stamp_file.read_text()), "python": "3.11.0rc1"}))
    environment.ensure(RUNTIME)
    assert steps(repo) == [MADE, FILLED, FILLED]


@pytest.mark.parametrize("damage", ["", "{", "[]", "\x00"])
def test_damaged_stamp_counts_as_none(
    environment: VirtualEnvironment, repo: PlantedRepo, damage: str
) -> None:
    environment.ensure(RUNTIME)
    (repo.root / ".venv" / "tessera-stamp.json").write_text(damage)
    environment.ensure(RUNTIME)
    assert steps(repo) == [MADE, FILLED, FILLED]


def test_environment_made_by_hand_is_kept_and_filled(
    environment: VirtualEnvironment, repo: PlantedRepo
) -> None:
    venv.create(repo.root / ".venv")
    (repo.root / ".venv" / "mine").touch()
    environment.ensure(RUNTIME)
    assert steps(repo) == [FILLED]
    assert (repo.root / ".venv" / "mine").exists()


def test_link_is_replaced_and_its_target_left_alone(
    environment: VirtualEnvironment, repo: PlantedRepo, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").touch()
    (repo.root / ".venv").symlink_to(tmp_path / "outside")
    environment.ensure(RUNTIME)
    assert (tmp_path / "outside" / "precious").exists()
    assert not (repo.root / ".venv").is_symlink()
    assert steps(repo) == [MADE, FILLED]


def test_missing_ensurepip_names_the_package(
    environment: VirtualEnvironment, repo: PlantedRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo.programs / "uv").unlink()
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(DevError, match=rf"apt-get install python3\.{sys.version_info.minor}-venv"):
        environment.ensure(RUNTIME)
    assert not (repo.root / ".venv").exists()


def test_missing_requirements_file_is_named(environment: VirtualEnvironment, repo: PlantedRepo) -> None:
    (repo.root / "requirements.txt").unlink()
    with pytest.raises(DevError, match=r"requirements\.txt can't be read: No such file"):
        environment.ensure(RUNTIME)


def test_second_dev_waits_for_the_first(repo: PlantedRepo) -> None:
    root = os.open(repo.root, os.O_RDONLY)
    fcntl.flock(root, fcntl.LOCK_EX)
    with subprocess.Popen(
        repo.command("check"), env=repo.variables(), stdout=subprocess.PIPE, text=True
    ) as second:
        assert second.stdout is not None
        assert second.stdout.readline() == "Another dev.py is installing; waiting for it.\n"
        assert repo.calls == []
        os.close(root)
        second.communicate(timeout=60)
        assert second.returncode == 0
    assert steps(repo) == [MADE, FILLED]


def write_wheel(folder: Path) -> None:
    """The smallest package that pip installs, so that nothing needs a network."""
    with zipfile.ZipFile(folder / "probe-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("probe.py", "")
        wheel.writestr("probe-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n")
        wheel.writestr(
            "probe-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("probe-1.0.dist-info/RECORD", "probe.py,,\nprobe-1.0.dist-info/RECORD,,\n")


def test_without_uv_pip_installs_and_downloads_stay_in_the_repo(repo: PlantedRepo, tmp_path: Path) -> None:
    """The real way of a machine that has nothing but Python; here uv left an environment without pip."""
    (repo.programs / "uv").unlink()
    write_wheel(repo.root)
    (repo.root / "requirements.txt").write_text("./probe-1.0-py3-none-any.whl\n")
    (tmp_path / "home").mkdir()
    variables = {"HOME": str(tmp_path / "home")}
    venv.create(repo.root / ".venv")
    for _ in range(2):
        answer = repo.dev("run", "--port", "0", variables=variables)
        assert answer.returncode == 0, answer.stderr
    python = repo.root / ".venv" / "bin" / "python"
    assert subprocess.run([python, "-c", "import probe"], check=False).returncode == 0
    assert "Installing" not in answer.stdout
    assert list((tmp_path / "home").iterdir()) == []
