"""`.ci/run` on a planted machine: it installs what is missing, runs both commands, fails when one does."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Stands for python3 and apt-get: writes down its call, fails where FAILS names the call's last word.
RECORDER = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
for last; do :; done
[ "$FAILS" != "$last" ]
"""


class Machine:
    """A copy of .ci/run and a PATH with nothing on it but what is put there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs = folder / "programs"
        self._programs.mkdir()
        (folder / ".ci").mkdir()
        shutil.copy(ROOT / ".ci" / "run", folder / ".ci")
        for name in ("bash", "sh", "basename", "dirname", "id", "env"):
            found = shutil.which(name)
            assert found, name
            (self._programs / name).symlink_to(found)
        for name in ("python3", "apt-get", "sudo", "redis-server", "postgres"):
            self.install(name)
        self.install("sudo", '#!/bin/sh\nexec "$@"\n')

    def install(self, name: str, text: str = RECORDER) -> None:
        (self._programs / name).write_text(text)
        (self._programs / name).chmod(0o755)

    def remove(self, name: str) -> None:
        (self._programs / name).unlink()

    def run(self, *, fails: str = "") -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """The outcome of .ci/run, and what it called."""
        calls = self._folder / "calls"
        calls.write_text("")
        variables = {"PATH": str(self._programs), "CALLS": str(calls), "FAILS": fails}
        ended = subprocess.run(
            [self._folder / ".ci" / "run"],
            cwd="/",
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        return ended, calls.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


RITUAL = ["python3 scripts/dev.py check", "python3 scripts/dev.py test"]


def test_complete_machine_only_checks_and_tests(machine: Machine) -> None:
    ended, calls = machine.run()
    assert ended.returncode == 0, ended.stderr
    assert calls == ["python3 -c import ensurepip", *RITUAL]
    timings = [line.split() for line in ended.stdout.splitlines() if line]
    assert [timing[0] for timing in timings] == ["packages", "check", "test", "total"]


@pytest.mark.parametrize("step", ["check", "test"])
def test_failed_step_fails_the_whole_and_stops_no_other(machine: Machine, step: str) -> None:
    ended, calls = machine.run(fails=step)
    assert ended.returncode == 1
    assert calls[-2:] == RITUAL
    # How many seconds a step took is the machine's affair.
    assert re.search(rf"^{step} +\d+ s  failed \(1\)$", ended.stdout, re.MULTILINE), ended.stdout


def test_missing_packages_are_installed(machine: Machine) -> None:
    machine.remove("redis-server")
    ended, calls = machine.run(fails="import ensurepip")
    assert ended.returncode == 0, ended.stderr
    assert calls[1] == "apt-get update --quiet"
    assert calls[2].endswith(" redis-server python3-venv")
    assert calls[-2:] == RITUAL


def test_what_can_not_be_installed_is_named(machine: Machine) -> None:
    """The tests then decide: a server that is really missing makes them fail."""
    for name in ("redis-server", "apt-get"):
        machine.remove(name)
    ended, calls = machine.run(fails="test")
    assert ended.returncode == 1
    assert "missing, and there is no apt-get to install it: redis-server" in ended.stderr
    assert calls[-2:] == RITUAL
