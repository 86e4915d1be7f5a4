"""Docstrings that names made too long for a line: a sentence that stands for itself, and the rest below it."""

import re
import textwrap

WIDTH = 110
_LONGEST = 120  # as the linter counts it
_ONE_LINE = re.compile(r'^( *)"""(.+)"""$', re.MULTILINE)
_ENDS = re.compile(r"[.:;,] ")


def folded(source: str) -> str:
    """The source with each docstring that is too long on several lines."""
    return _ONE_LINE.sub(_fold, source)


def _fold(found: re.Match[str]) -> str:
    indent, text = found.groups()
    if len(found.group()) <= _LONGEST:
        return found.group()
    first, rest = _parted(text, _LONGEST - len(indent) - 4)
    lines = textwrap.wrap(
        rest, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False
    )
    return "\n".join([f'{indent}"""{first}', "", *lines, f'{indent}"""'])


def _parted(text: str, room: int) -> tuple[str, str]:
    """A first sentence that fits, at the latest end of a part that does; and what is left, as sentences too."""
    places = [end.start() for end in _ENDS.finditer(text) if end.start() < room]
    ends = [place for place in places if text[place] == "."] or places
    assert ends, f"can't be parted: {text}"  # noqa: S101  the templates see to it
    rest = text[ends[-1] + 2 :]
    return f"{text[: ends[-1]]}.", rest[:1].upper() + rest[1:]
