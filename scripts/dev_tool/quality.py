"""`dev.py check` and `dev.py lock`: what keeps the house in order."""

import os
import shutil
import time

from dev_tool.processes import DevError, run_program, say
from dev_tool.virtual_environment import DEVELOPMENT, VirtualEnvironment

# Each check is a module of the virtual environment with its arguments.
CHECKS = {
    "ruff": ("ruff", "check", "."),
    "format": ("ruff", "format", "--check", "."),
    "mypy": ("mypy",),
    "import contracts": ("pytest", "tests/architecture", "-q", "-p", "no:cacheprovider", "-n", "0"),
}
# The headers of the .in files document these.
EXPORT = (
    "pip",
    "compile",
    "--universal",
    "--python-version",
    "3.11",
    "--generate-hashes",
    "--no-emit-index-url",
)
# In this order: each is constrained by those before it.
LOCKED = ("requirements", "requirements-archive", "requirements-dev")


def check() -> int:
    """Runs all checks, also after a failed one, and sums up. 0 when all are clean, else 1."""
    environment = VirtualEnvironment()
    environment.ensure(DEVELOPMENT)
    variables = {**os.environ, "TEST_NO_SERVICES": "1"}  # contracts are read from the source alone
    summary, failed = [], []
    for name, arguments in CHECKS.items():
        started = time.monotonic()
        code = run_program([str(environment.python), "-m", *arguments], variables)
        outcome = "clean" if code == 0 else f"FAILED (exit {code})"
        summary.append(f"{name:<17} {outcome:<16} {time.monotonic() - started:6.1f} s")
        if code != 0:
            failed.append(name)
    say("\n".join(["", *summary]))
    if failed:
        raise DevError(f"not clean: {', '.join(failed)}")
    return 0


def lock() -> None:
    """Works out the exact versions with hashes. Raises DevError when uv is missing or finds no solution."""
    uv = shutil.which("uv")
    if uv is None:
        raise DevError(
            "`lock` needs uv, which is not on PATH: only its export holds for all systems and Python "
            "versions at once. Install it with: python3 -m pip install uv"
        )
    for name in LOCKED:
        code = run_program([uv, *EXPORT, f"{name}.in", "-o", f"{name}.txt"])
        if code != 0:
            raise DevError(f"{name}.txt was left as it was: uv ended with {code}; the reason stands above.")
