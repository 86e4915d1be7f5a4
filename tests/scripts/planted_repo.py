"""A small copy of the repo, whose programs only write down how they were called."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Makes real environments, but quickly (no pip) and installs nothing.
FAKE_UV = f"""#!{sys.executable}
import os, pathlib, sys, venv
with open(os.environ["CALLS"], "a") as calls:
    calls.write("uv " + " ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "venv":
    venv.create(sys.argv[-1])
sys.exit(int(os.environ.get("UV_EXIT", "0")))
"""

# Stands for a module that dev.py starts with `python -m`. FAILS names modules or their sub-commands.
FAKE_PROGRAM = """
import os, sys, time
name, step = "NAME", (sys.argv[1:] or [""])[0]
variables = {key: os.environ.get(key) for key in ("ENVIRONMENT", "TEST_FULL", "TEST_NO_SERVICES")}
with open(os.environ["CALLS"], "a") as calls:
    calls.write(" ".join([name, *sys.argv[1:]]) + "\\n")
try:
    print(name, os.getpid(), {key: value for key, value in variables.items() if value}, flush=True)
    if os.environ.get("HANGS") == step:
        time.sleep(60)
except KeyboardInterrupt:
    print("shut down in good order", flush=True)
    sys.exit(5)
failing = dict(pair.split("=") for pair in os.environ.get("FAILS", "").split(",") if pair)
sys.exit(int(failing.get(step, failing.get(name, 0))))
"""


class PlantedRepo:
    """The scripts of the repo in a folder of their own, beside fakes of all that they start."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "repo"
        self.programs = folder / "programs"
        self._calls = folder / "calls"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "scripts", self.root / "scripts", ignore=ignored)
        (self.root / "tests").mkdir()
        (self.root / "tests" / "__init__.py").touch()
        shutil.copy(ROOT / "tests" / "server_binaries.py", self.root / "tests")
        for name in ("requirements.txt", "requirements-dev.txt"):
            (self.root / name).write_text("# nothing\n")
        for name in ("ruff", "mypy", "pytest"):
            (self.root / f"{name}.py").write_text(FAKE_PROGRAM.replace("NAME", name))
        (self.root / "app").mkdir()
        (self.root / "app" / "__main__.py").write_text(FAKE_PROGRAM.replace("NAME", "app"))
        self.programs.mkdir()
        self.add_program("uv", FAKE_UV)

    def add_program(self, name: str, text: str = "#!/bin/sh\n") -> None:
        """Puts a program on the planted PATH."""
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """What was called since the last question, in order; paths in the repo's root are shortened."""
        if not self._calls.exists():
            return []
        lines = self._calls.read_text().replace(f"{self.root}/", "").splitlines()
        self._calls.unlink()
        return lines

    def variables(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of the planted programs: nothing of ours, and only the planted PATH."""
        return {"PATH": str(self.programs), "CALLS": str(self._calls), **(extra or {})}

    def command(self, *arguments: str) -> list[str]:
        """The command line that calls the planted dev.py."""
        return [sys.executable, str(self.root / "scripts" / "dev.py"), *arguments]

    def dev(
        self, *arguments: str, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Calls dev.py from another folder and waits for it."""
        return subprocess.run(
            self.command(*arguments),
            cwd=os.sep,
            env=self.variables(variables),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
