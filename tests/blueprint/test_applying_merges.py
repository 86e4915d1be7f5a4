"""Merging line by line: what either side changed is there, and what both changed is left to people."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from blueprint_tool.applying.merging import merged, patch

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n"]), max_size=8).map("".join)
BASE = "one\ntwo\nthree\nfour\nfive\n"


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        (
            "one\ntwo\nthree\nfour\nfive\nmine\n",
            "zero\none\ntwo\nthree\nfour\nfive\n",
            "zero\n" + BASE + "mine\n",
        ),
        ("ONE\ntwo\nthree\nfour\nfive\n", "one\ntwo\nthree\nfour\nFIVE\n", "ONE\ntwo\nthree\nfour\nFIVE\n"),
        ("one\nfour\nfive\n", "one\ntwo\nthree\nfour\n", "one\nfour\n"),
        ("one\nTWO\nthree\nfour\nfive\n", "one\nTWO\nthree\nfour\nfive\n", "one\nTWO\nthree\nfour\nfive\n"),
        ("one\nmine\nthree\nfour\nfive\n", "one\ntheirs\nthree\nfour\nfive\n", None),
        (BASE + "mine\n", BASE + "theirs\n", None),
        ("one\nthree\nfour\nfive\n", "one\nTWO\nthree\nfour\nfive\n", None),
    ],
)
def test_merge(mine: str, theirs: str, expected: str | None) -> None:
    assert merged(BASE, mine, theirs) == expected
    assert merged(BASE, theirs, mine) == expected


def test_line_ends_of_hand_made_lines_stay() -> None:
    assert (
        merged("a\nb\nc\nd\n", "a\nb\nc\nd\n\tmine  \r\n", "z\na\nb\nc\nd\n") == "z\na\nb\nc\nd\n\tmine  \r\n"
    )
    assert merged("a\nb\nc", "a\nb\nc", "z\nb\nc") == "z\nb\nc"


@given(base=LINES, mine=LINES)
def test_one_side_alone_is_taken_as_it_is(base: str, mine: str) -> None:
    assert merged(base, mine, base) == mine
    assert merged(base, base, mine) == mine
    assert merged(base, mine, mine) == mine


@given(base=LINES, mine=LINES, theirs=LINES)
def test_sides_are_equal(base: str, mine: str, theirs: str) -> None:
    assert merged(base, mine, theirs) == merged(base, theirs, mine)


@st.composite
def edits(draw: st.DrawFn, author: str) -> list[str]:
    """Ten numbered lines, of which some are gone, with lines of the author's between."""
    lines = []
    for number in range(10):
        lines += draw(st.sampled_from([[f"{number}\n"]] * 6 + [[], [f"{number}\n", f"{author}{number}\n"]]))
    return lines


@given(mine=edits("m"), theirs=edits("t"))
def test_nothing_of_either_side_is_lost(mine: list[str], theirs: list[str]) -> None:
    base = [f"{number}\n" for number in range(10)]
    text = merged("".join(base), "".join(mine), "".join(theirs))
    gone = set(base) - set(mine) | set(base) - set(theirs)
    expected = {*mine, *theirs} - gone
    assert text is None or set(text.splitlines(keepends=True)) == expected
    event("conflict" if text is None else "merged")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is asked whether it can read the patch")
@pytest.mark.parametrize(
    ("before", "after"),
    [("a\nb\n", "a\nc\n"), (None, "new\n"), ("old\n", None), ("a\n", "a\nno end"), ("", "a\n")],
)
def test_patch_can_be_applied(tmp_path: Path, before: str | None, after: str | None) -> None:
    file = tmp_path / "x" / "y.py"
    file.parent.mkdir()
    if before is not None:
        file.write_text(before)
    subprocess.run(
        ["git", "apply", "-"], cwd=tmp_path, input=patch("x/y.py", before, after), text=True, check=True
    )
    assert (file.read_text() if file.exists() else None) == after


def test_patch_of_nothing_is_empty() -> None:
    assert patch("x", "a\n", "a\n") == ""
