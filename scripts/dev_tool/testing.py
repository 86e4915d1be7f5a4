"""`dev.py test`: the whole suite, on real servers."""

import os
import re
from collections.abc import Sequence

from dev_tool.processes import become_program, run_program
from dev_tool.virtual_environment import DEVELOPMENT, VirtualEnvironment

# Each worker has databases and connection pools of its own on one PostgreSQL with 200 connections.
MOST_WORKERS = 8
# Any of these says how many workers there are, if only by leaving no choice.
WORKER_OPTION = re.compile(r"-n.*|--numprocesses(=.*)?|--dist(=.*)?|(-p)?no:xdist|--pdb|--trace")


def test(pytest_arguments: Sequence[str], *, full: bool, no_services: bool) -> None:
    """Installs, looks for the servers, and turns into pytest. Exits with 1 when a server is missing."""
    environment = VirtualEnvironment()
    environment.ensure(DEVELOPMENT)
    python = str(environment.python)
    if not no_services and run_program([python, "-m", "tests.server_binaries"]) != 0:
        raise SystemExit(1)  # it has said which one, and how to install it
    command = [python, "-m", "pytest", *worker_arguments(pytest_arguments), *pytest_arguments]
    become_program(command, test_variables(full=full, no_services=no_services))


def worker_arguments(pytest_arguments: Sequence[str]) -> list[str]:
    """Options that spread the tests over the processors; none where the caller has said how."""
    if any(WORKER_OPTION.fullmatch(argument) for argument in pytest_arguments):
        return []
    return ["-n", str(min(usable_processors(), MOST_WORKERS))]


def usable_processors() -> int:
    """How many processors this process may use; a container often has fewer than its machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def test_variables(*, full: bool, no_services: bool) -> dict[str, str]:
    """The variables by which tests/conftest.py learns what was asked for."""
    variables = dict(os.environ)
    if full:
        variables["TEST_FULL"] = "1"
    if no_services:
        variables["TEST_NO_SERVICES"] = "1"
    return variables
