"""`scripts/generate_entities.py` as it is typed: help, wrong use, faults, and what programs can read."""

import json
from pathlib import Path
from typing import Any

import pytest

from blueprint_tool import command_line
from blueprint_tool.applying.planning import FileChange, ModulePlan, Verdict
from blueprint_tool.applying.run import Request, Result
from blueprint_tool.command_line import main
from blueprint_tool.model import Entity
from blueprint_tool.refusals import Refused

PROBE = Entity("Probe", "probes", (), source={"name": "Probe"})
NEW = FileChange("app/modules/probes/models.py", Verdict.NEW, None, "new\n")
STUCK = FileChange("app/modules/probes/models.py", Verdict.CONFLICT, "a\n", "b\n", "--- a\n+++ b\n")
CONFIG = ("--config", "entities.json")


def answering(
    monkeypatch: pytest.MonkeyPatch, *changes: FileChange, fault: Exception | None = None
) -> list[Request]:
    """Lets the work be done by a stand-in; what it was asked."""
    asked = []

    def carry_out(_root: Path, request: Request) -> Result:
        asked.append(request)
        if fault is not None:
            raise fault
        plans = [ModulePlan(PROBE, None, changes, {})] if changes else []
        return Result(plans, written=[change for change in changes if change.is_written], notices=["rows go"])

    monkeypatch.setattr(command_line, "carry_out", carry_out)
    return asked


def test_help_names_options_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for word in (
        "--config",
        "--dry-run",
        "--check",
        "--remove",
        "--keep",
        "--force",
        "--json",
        "exit codes",
        "  3  ",
    ):
        assert word in told


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--conf", "x"),
        ("--check",),
        ("--keep", "x"),
        (*CONFIG, "--check", "--dry-run"),
        (*CONFIG, "--check", "--remove", "Probe"),
        (*CONFIG, "--force"),
        ("--remove",),
        (*CONFIG, "dance"),
    ],
)
def test_wrong_use_is_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: generate_entities.py")


@pytest.mark.parametrize(
    ("words", "changes", "code", "status"),
    [
        (CONFIG, (), 0, "agrees"),
        (CONFIG, (NEW,), 0, "done"),
        ((*CONFIG, "--dry-run"), (NEW,), 0, "would"),
        (CONFIG, (STUCK,), 3, "stuck"),
        ((*CONFIG, "--check"), (), 0, "agrees"),
        ((*CONFIG, "--check"), (NEW,), 3, "differs"),
        ((*CONFIG, "--check"), (STUCK,), 3, "stuck"),
    ],
)
def test_exit_code_and_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    changes: tuple[FileChange, ...],
    code: int,
    status: str,
) -> None:
    answering(monkeypatch, *changes)
    assert main([*words, "--json"]) == code
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["status"] == status
    assert document["notices"] == ["rows go"]
    assert document["patches"] == ({STUCK.path: STUCK.wish} if status == "stuck" else {})
    assert ("diffs" in document) == (status == "would")
    assert main(words) == code
    assert capsys.readouterr().out.endswith("\n")


def test_what_was_typed_is_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch)
    main([*CONFIG, "--remove", "A", "b", "--force", "--keep", "x", "--keep", "y"])
    assert asked == [Request(Path("entities.json"), ["A", "b"], ["x", "y"], force=True)]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Refused(["one", "two"]), "one\ntwo\n"),
        (PermissionError(13, "not allowed", "x.py"), "[Errno 13] not allowed: 'x.py'\n"),
    ],
)
def test_faults_are_lines_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: Exception, told: str
) -> None:
    answering(monkeypatch, fault=fault)
    assert main(CONFIG) == 1
    assert capsys.readouterr() == ("", told)


def test_missing_blueprint_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "none.json")]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "there is no such file" in told.err


def test_conflict_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, STUCK)
    main(CONFIG)
    told = capsys.readouterr().out
    assert STUCK.wish in told
    assert f"--config entities.json --keep {STUCK.path}" in told
