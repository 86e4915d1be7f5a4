"""dev.py as it is typed: wrong use, what each command starts, and what it says when something is missing."""

import ast
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev_tool import serving, testing
from dev_tool.processes import DevError
from tests.scripts.planted_repo import ROOT, PlantedRepo

DEV = ROOT / "scripts" / "dev.py"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
        return free


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("run", "--port", "x"),
        ("run", "--port", "65536"),
        ("run", "--port", "-1"),
        ("run", "now"),
        ("check", "--fast"),
        ("check", "app"),
        ("lock", "--now"),
    ],
)
def test_wrong_use_exits_with_2_and_does_nothing(repo: PlantedRepo, arguments: tuple[str, ...]) -> None:
    answer = repo.dev(*arguments)
    assert answer.returncode == 2
    assert answer.stderr.startswith("usage: dev.py")
    assert answer.stdout == ""
    assert not (repo.root / ".venv").exists()


@pytest.mark.parametrize("arguments", [(), ("run",), ("test",), ("check",), ("lock",)])
def test_help_is_everywhere(repo: PlantedRepo, arguments: tuple[str, ...]) -> None:
    answer = repo.dev(*arguments, "--help")
    assert (answer.returncode, answer.stderr, repo.calls) == (0, "", [])
    assert answer.stdout.startswith("usage: dev.py")


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 6, 15), (3, 10, 13)])
def test_old_python_is_told_so(
    version: tuple[int, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(DEV))
    assert left.value.code == 1
    written = ".".join(map(str, version))
    assert f"needs Python 3.11 or newer; this is {written}" in capsys.readouterr().err


def test_current_python_passes_the_same_gate() -> None:
    assert callable(runpy.run_path(str(DEV))["main"])


def test_entry_is_readable_for_the_oldest_python() -> None:
    """A syntax error would hide the message: no f-strings, no annotations, nothing but ASCII."""
    source = DEV.read_text(encoding="ascii")
    modern = (ast.JoinedStr, ast.AnnAssign, ast.FunctionDef, ast.NamedExpr, ast.Match)
    assert [node for node in ast.walk(ast.parse(source)) if isinstance(node, modern)] == []


def test_taken_port_is_told_before_anything_is_installed(repo: PlantedRepo, taken_port: int) -> None:
    answer = repo.dev("run", "--port", str(taken_port))
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"dev.py: Port {taken_port} of 127.0.0.1 is in use by another program.")
    assert len(answer.stderr.splitlines()) == 1
    assert repo.calls == []


def test_port_check_tells_taken_from_free(taken_port: int, port: int) -> None:
    serving.require_free_port("127.0.0.1", port)
    serving.require_free_port("127.0.0.1", 0)
    for host in ("127.0.0.1", "0.0.0.0", "localhost"):
        with pytest.raises(DevError, match="is in use"):
            serving.require_free_port(host, taken_port)
    with pytest.raises(DevError, match=r"Can't listen on port \d+ of 192\.0\.2\.1"):
        serving.require_free_port("192.0.2.1", port)
    with pytest.raises(DevError, match="is no address of this machine"):
        serving.require_free_port("no host at all", port)


def test_run_migrates_seeds_and_serves(repo: PlantedRepo, port: int) -> None:
    answer = repo.dev("run", "--host", "127.0.0.1", "--port", str(port), variables={"FAILS": "serve=7"})
    assert answer.returncode == 7, answer.stderr
    assert repo.calls[2:] == ["app init-db", "app seed", f"app serve --host 127.0.0.1 --port {port}"]
    assert "$ .venv/bin/python -m app init-db" in answer.stdout.splitlines()
    assert answer.stdout.count("'ENVIRONMENT': 'development'") == 3


@pytest.mark.parametrize(("step", "started"), [("init-db", 1), ("seed", 2)])
def test_failed_step_stops_the_run_with_its_exit_code(
    repo: PlantedRepo, port: int, step: str, started: int
) -> None:
    answer = repo.dev("run", "--port", str(port), variables={"FAILS": f"{step}=78"})
    assert answer.returncode == 78
    assert len(repo.calls[2:]) == started
    assert f"`.venv/bin/python -m app {step}` ended with 78" in answer.stderr


@pytest.mark.parametrize(
    ("variables", "settings", "expected"),
    [
        ({}, None, "development"),
        ({}, "# ENVIRONMENT=test\nMY_ENVIRONMENT=x\n", "development"),
        ({}, "A=1\n export ENVIRONMENT = test\n", None),
        ({}, "environment=test\n", None),
        ({"ENVIRONMENT": "production"}, None, "production"),
        ({"environment": "test"}, None, None),
    ],
)
def test_environment_is_development_unless_somebody_says_otherwise(
    tmp_path: Path, variables: dict[str, str], settings: str | None, expected: str | None
) -> None:
    if settings is not None:
        (tmp_path / ".env").write_text(settings)
    assert serving.development_variables(variables, tmp_path / ".env").get("ENVIRONMENT") == expected


def started(repo: PlantedRepo, hanging: str, *arguments: str) -> tuple[subprocess.Popen[str], int]:
    """dev.py in the middle of a step that hangs, and that step's process id."""
    process = subprocess.Popen(
        repo.command(*arguments),
        env=repo.variables({"HANGS": hanging}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("$ ") and f" -m app {hanging}" in line:
            return process, int(process.stdout.readline().split()[1])
    raise AssertionError(process.communicate()[1])


def test_interrupted_server_ends_in_its_own_way(repo: PlantedRepo, port: int) -> None:
    """As the terminal does it: Ctrl-C reaches the whole process group."""
    process, server = started(repo, "serve", "run", "--port", str(port))
    assert server == process.pid, "dev.py has become the server"
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (5, "")
    assert output == "shut down in good order\n"


def test_interrupted_step_leaves_no_traceback_of_ours(repo: PlantedRepo, port: int) -> None:
    process, _ = started(repo, "seed", "run", "--port", str(port))
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "dev.py: interrupted\n")


def test_terminated_run_takes_its_step_along(repo: PlantedRepo, port: int) -> None:
    process, step = started(repo, "init-db", "run", "--port", str(port))
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 143
    with pytest.raises(ProcessLookupError):
        os.kill(step, 0)


def test_test_names_the_missing_server_and_its_command(repo: PlantedRepo) -> None:
    answer = repo.dev("test", variables={"TEST_POSTGRES_URL": "postgresql://given/test"})
    assert answer.returncode == 1
    assert "redis-server is missing. Install it with: " in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert not any(call.startswith("pytest") for call in repo.calls)


@pytest.mark.parametrize("present", ["given", "installed", "not wanted"])
def test_test_goes_on_when_no_server_is_missing(repo: PlantedRepo, present: str) -> None:
    variables = {"TEST_POSTGRES_URL": "postgresql://given/test"}
    if present == "given":
        variables["TEST_REDIS_URL"] = "redis://given"
    elif present == "installed":
        repo.add_program("redis-server")
    else:
        variables.clear()
    arguments = ["--no-services"] if present == "not wanted" else []
    answer = repo.dev("test", *arguments, variables=variables)
    assert answer.returncode == 0, answer.stderr
    workers = min(testing.usable_processors(), testing.MOST_WORKERS)
    assert repo.calls[-1] == f"pytest -n {workers}"


def test_test_passes_arguments_and_wishes_on(repo: PlantedRepo) -> None:
    answer = repo.dev(
        "test",
        "-k",
        "a and b",
        "--full",
        "tests/x.py::test_y",
        "-n",
        "0",
        "--no-services",
        variables={"FAILS": "pytest=3"},
    )
    assert answer.returncode == 3
    assert repo.calls[-1] == "pytest -k a and b tests/x.py::test_y -n 0"
    assert "{'TEST_FULL': '1', 'TEST_NO_SERVICES': '1'}" in answer.stdout


def test_test_wishes_nothing_that_was_not_asked_for(repo: PlantedRepo) -> None:
    repo.add_program("redis-server")
    given = {"TEST_POSTGRES_URL": "postgresql://given/test"}
    output = repo.dev("test", variables=given).stdout
    assert "TEST_FULL" not in output
    assert "TEST_NO_SERVICES" not in output


@pytest.mark.parametrize(
    "arguments",
    [
        ["-n", "4"],
        ["-n4"],
        ["-nauto"],
        ["--numprocesses=2"],
        ["--dist", "no"],
        ["-p", "no:xdist"],
        ["-pno:xdist"],
        ["--pdb"],
    ],
)
def test_workers_are_left_to_a_caller_who_chooses(arguments: list[str]) -> None:
    assert testing.worker_arguments(arguments) == []


@pytest.mark.parametrize("arguments", [[], ["-x", "--no-header"], ["tests/test_n.py"], ["-k", "pdb"]])
def test_workers_are_chosen_otherwise(arguments: list[str]) -> None:
    assert testing.worker_arguments(arguments)[:1] == ["-n"]
