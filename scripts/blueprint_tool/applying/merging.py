"""Merges two changes of one text line by line, as diff3 does; and shows changes as patches.

Written out because the known libraries for it are under the GPL, and the one of git is a program that not every
machine has. What the two sides change in the same place is a conflict, unless both change it in the same way.
"""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, unified_diff

Lines = Sequence[str]


def merged(base: str, mine: str, theirs: str) -> str | None:
    """The text with the changes from `base` to `mine` and from `base` to `theirs`; None where they conflict."""
    texts = [text.splitlines(keepends=True) for text in (base, mine, theirs)]
    done: list[str] = []
    for old, left, right in _regions(*texts):
        if left in (old, right):
            done += right
        elif right == old:
            done += left
        else:
            return None
    return "".join(done)


def _regions(base: Lines, mine: Lines, theirs: Lines) -> Iterator[tuple[Lines, Lines, Lines]]:
    """The three texts cut at the runs of lines that all of them share; changed regions stand alone."""
    at_base = at_mine = at_theirs = 0
    for start, in_mine, in_theirs, size in _shared(base, mine, theirs):
        yield base[at_base:start], mine[at_mine:in_mine], theirs[at_theirs:in_theirs]
        run = base[start : start + size]
        yield run, run, run
        at_base, at_mine, at_theirs = start + size, in_mine + size, in_theirs + size


def _shared(base: Lines, mine: Lines, theirs: Lines) -> Iterator[tuple[int, int, int, int]]:
    """Runs of `base` that are in both: where in each text, and how long. The last one is empty, at the ends."""
    left, right = _blocks(base, mine), _blocks(base, theirs)
    while left and right:
        (a, in_mine, size_a), (b, in_theirs, size_b) = left[0], right[0]
        start, end = max(a, b), min(a + size_a, b + size_b)
        if start < end:
            yield start, in_mine + start - a, in_theirs + start - b, end - start
        (left if a + size_a < b + size_b else right).pop(0)
    yield len(base), len(mine), len(theirs), 0


def _blocks(base: Lines, other: Lines) -> list[tuple[int, int, int]]:
    matcher = SequenceMatcher(None, base, other, autojunk=False)
    return [(block.a, block.b, block.size) for block in matcher.get_matching_blocks() if block.size]


def patch(path: str, before: str | None, after: str | None) -> str:
    """A unified diff that `git apply` takes; None stands for no file. Empty where nothing differs."""
    old, new = (f"{side}/{path}" for side in ("a", "b"))
    lines = unified_diff(
        (before or "").splitlines(keepends=True),
        (after or "").splitlines(keepends=True),
        old if before is not None else "/dev/null",
        new if after is not None else "/dev/null",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
