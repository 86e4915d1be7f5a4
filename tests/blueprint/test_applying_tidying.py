"""Merged files are in style where they were before, and what was written by hand stays byte for byte."""

from pathlib import Path

import pytest

from app.core.config import ROOT
from blueprint_tool.applying.memory import Memory, digest
from blueprint_tool.applying.merging import merged
from blueprint_tool.applying.planning import FileChange, ModulePlan, Verdict
from blueprint_tool.applying.tidying import Tidied, tidied
from blueprint_tool.model import Entity
from blueprint_tool.rendering.formatting import formatted

FILE = "app/modules/probes/service.py"
BASE = '''"""Probes."""

from datetime import date
from typing import Any


def first(value: Any, day: date) -> Any:
    """The first."""
    return value, day


def last(day: date) -> date:
    """The last."""
    return day
'''
BY_HAND = '''

def by_hand(value: Any) -> str:
    """Made by hand."""
    return f"{value}"
'''


def merge(base: str, there: str, wanted: str) -> Tidied:
    """As a run does it: merged line by line, then tidied."""
    text = merged(base, there, wanted)
    assert text is not None
    change = FileChange(FILE, Verdict.MERGED, there, text)
    memory = Memory("probes", {}, ("probes",), {FILE: digest(base)})
    plan = ModulePlan(Entity("Probe", "probes", ()), memory, (change,), {FILE: digest(wanted)})
    return tidied([plan], lambda: {FILE: base}, ROOT)


def text_of(done: Tidied) -> str:
    ((change,),) = (plan.changes for plan in done.plans)
    return change.after or ""


def test_imports_of_both_sides_are_in_order() -> None:
    """Both add a line, which by themselves would stand in the wrong order."""
    by_hand = BY_HAND.replace("value: Any", "value: UUID")
    there = (
        BASE.replace("from typing import Any\n", "from typing import Any\nfrom uuid import UUID\n") + by_hand
    )
    wanted = BASE.replace('Probes."""\n\nfrom', 'Probes."""\n\nfrom zoneinfo import ZoneInfo\nfrom')
    wanted = wanted.replace("return value, day", "return value, ZoneInfo")
    assert formatted({FILE: there}, ROOT) == {FILE: there}
    done = merge(BASE, there, wanted)
    assert formatted({FILE: text_of(done)}, ROOT) == {FILE: text_of(done)}
    assert text_of(done).index("import UUID") < text_of(done).index("import ZoneInfo")
    assert text_of(done).endswith(by_hand)
    assert done.left == []


def test_line_that_became_too_long_is_broken() -> None:
    there = BASE + BY_HAND
    long = "value, day, " + ", ".join(f"value_number_{number}" for number in range(8))
    wanted = BASE.replace("return value, day", f"return ({long})")
    done = merge(BASE, there, wanted)
    assert formatted({FILE: text_of(done)}, ROOT) == {FILE: text_of(done)}
    assert text_of(done).endswith(BY_HAND)
    assert done.left == []


def test_file_that_was_not_in_style_stays_as_it_was_merged() -> None:
    untidy = BY_HAND.replace('return f"{value}"', 'return  f"{value}"  # by hand')
    wanted = BASE.replace("return value, day", "return  value , day , 1")
    done = merge(BASE, BASE + untidy, wanted)
    assert text_of(done) == merged(BASE, BASE + untidy, wanted)
    assert done.left == [FILE]


def test_import_that_only_hand_written_lines_need_comes_back() -> None:
    wanted = BASE.replace("from typing import Any\n", "").replace("value: Any", "value: int")
    wanted = wanted.replace("-> Any", "-> tuple[int, date]")
    done = merge(BASE, BASE + BY_HAND, wanted)
    assert "from typing import Any\n" in text_of(done)
    assert text_of(done).endswith(BY_HAND)
    assert formatted({FILE: text_of(done)}, ROOT) == {FILE: text_of(done)}
    compile(text_of(done), FILE, "exec")


@pytest.mark.parametrize("odd", ["\udcff", "\udc80x"])
def test_bytes_that_are_no_text_are_left_alone(odd: str) -> None:
    there = f"{BASE}# {odd}\n"
    wanted = BASE.replace("return value, day", "return  day , value")
    done = merge(BASE, there, wanted)
    assert text_of(done) == merged(BASE, there, wanted)


def test_nothing_merged_costs_nothing(tmp_path: Path) -> None:
    plan = ModulePlan(Entity("Probe", "probes", ()), None, (FileChange(FILE, Verdict.NEW, None, BASE),), {})

    def never() -> dict[str, str]:
        raise AssertionError("asked for the texts of before without need")

    assert tidied([plan], never, tmp_path) == Tidied([plan], [])
