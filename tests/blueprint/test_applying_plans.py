"""What becomes of each file: the whole table of what is remembered, there and wanted."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from blueprint_tool.applying.memory import Memory, digest, memories, memory_path
from blueprint_tool.applying.planning import ModulePlan, Verdict, plan
from blueprint_tool.model import Entity
from blueprint_tool.refusals import Refused

FILE = "app/modules/probes/service.py"
SOURCE = {"name": "Probe", "table": "probes", "attributes": []}
PROBE = Entity("Probe", "probes", (), source=SOURCE)
OLD = "a = 1\nb = 2\nc = 3\nd = 4\n"
EDITED = OLD + "mine = 5\n"
NEW = "z = 0\n" + OLD
RIVAL = OLD + "theirs = 5\n"


def never() -> Mapping[str, str]:
    raise AssertionError("the texts of before were worked out without need")


def planned(
    root: Path,
    remembered: str | None,
    there: str | None,
    wanted: str | None,
    *keep: str,
    base: str | None = OLD,
) -> ModulePlan:
    if there is not None:
        (root / FILE).parent.mkdir(parents=True)
        (root / FILE).write_bytes(there.encode())
    files = {} if remembered is None else {FILE: digest(remembered)}
    memory = Memory("probes", SOURCE, ("probes",), files)
    bases = {} if base is None else {FILE: base}
    return plan(root, PROBE, {} if wanted is None else {FILE: wanted}, memory, lambda: bases, keep)


@pytest.mark.parametrize(
    ("remembered", "there", "wanted", "verdict", "after"),
    [
        (None, None, NEW, Verdict.NEW, NEW),
        (OLD, OLD, OLD, Verdict.SAME, OLD),
        (OLD, OLD, NEW, Verdict.REPLACED, NEW),
        (OLD, NEW, NEW, Verdict.SAME, NEW),
        (OLD, OLD, None, Verdict.REMOVED, None),
        (OLD, EDITED, OLD, Verdict.KEPT, EDITED),
        (OLD, EDITED, NEW, Verdict.MERGED, "z = 0\n" + EDITED),
        (OLD, EDITED, RIVAL, Verdict.CONFLICT, RIVAL),
        (OLD, EDITED, None, Verdict.CONFLICT, None),
        (None, EDITED, NEW, Verdict.CONFLICT, NEW),
        (OLD, None, OLD, Verdict.ABSENT, None),
        (OLD, None, NEW, Verdict.ABSENT, None),
        (OLD, None, None, Verdict.SAME, None),
    ],
)
def test_verdict(
    tmp_path: Path,
    remembered: str | None,
    there: str | None,
    wanted: str | None,
    verdict: Verdict,
    after: str | None,
) -> None:
    (change,) = planned(tmp_path, remembered, there, wanted).changes
    assert (change.verdict, change.before, change.after) == (verdict, there, after)
    assert bool(change.wish) == (verdict is Verdict.CONFLICT)


def test_what_nobody_edited_needs_no_texts_of_before(tmp_path: Path) -> None:
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_text(EDITED)
    memory = Memory("probes", SOURCE, ("probes",), {FILE: digest(OLD)})
    assert not plan(tmp_path, PROBE, {FILE: OLD}, memory, never, ()).is_due


@pytest.mark.parametrize("base", [None, "of another generator\n"])
def test_without_the_text_of_before_nothing_is_merged(tmp_path: Path, base: str | None) -> None:
    (change,) = planned(tmp_path, OLD, EDITED, NEW, base=base).changes
    assert change.verdict is Verdict.CONFLICT
    assert "+z = 0" in change.wish
    assert "-mine = 5" in change.wish


def test_patch_of_a_conflict_is_the_wanted_change_alone(tmp_path: Path) -> None:
    (change,) = planned(tmp_path, OLD, EDITED, RIVAL).changes
    assert "+theirs = 5" in change.wish
    assert "mine" not in change.wish


def test_lines_that_fit_and_are_no_program_are_a_conflict(tmp_path: Path) -> None:
    base = "if x:\n    a()\n\nb()\n\n\n\nc()\n"
    mine = base.replace("    a()\n", "    a(\n")
    (change,) = planned(tmp_path, base, mine, base.replace("c()", "d()"), base=base).changes
    assert change.verdict is Verdict.CONFLICT


def test_bytes_that_are_no_text_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_bytes(b"\xff\xfe")
    memory = Memory("probes", SOURCE, ("probes",), {FILE: digest(OLD)})
    assert plan(tmp_path, PROBE, {FILE: NEW}, memory, lambda: {FILE: OLD}, ()).conflicts


def test_kept_file_counts_as_merged(tmp_path: Path) -> None:
    made = planned(tmp_path, OLD, EDITED, RIVAL, FILE)
    assert (made.conflicts, made.is_due) == ([], True)
    assert made.changes[0].after == EDITED
    assert made.files == {FILE: digest(RIVAL)}


def test_new_module_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_text(EDITED)
    with pytest.raises(Refused, match=r"service\.py: is there already and was not generated"):
        plan(tmp_path, PROBE, {FILE: NEW}, None, never, ())


def test_new_module_whose_files_are_there_already_only_remembers(tmp_path: Path) -> None:
    """As after a run that was killed before it could."""
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_text(NEW)
    made = plan(tmp_path, PROBE, {FILE: NEW}, None, never, ())
    assert made.is_due
    assert not any(change.is_written for change in made.changes)


def test_memory_is_read_as_it_was_written(tmp_path: Path) -> None:
    kept = Memory("probes", SOURCE, ("probes", "probe_tags"), {FILE: digest(OLD)})
    path = tmp_path / memory_path("probes")
    path.parent.mkdir(parents=True)
    path.write_text(kept.text)
    (found,) = memories(tmp_path).values()
    assert found.text == kept.text
    assert (found.entity, found.files) == (kept.entity, kept.files)


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "is damaged"), ("{}", "is damaged"), ('{"format": 2}', "has format 2"), ("[]", "is damaged")],
)
def test_damaged_memory_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / memory_path("probes")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(Refused, match=rf"^app/modules/probes/blueprint\.json: {told}"):
        memories(tmp_path)
